"""ZipDepth, a depth network of known structure: written from the paper and its configurations."""

from math import gcd

from networks.network import Network

__all__ = ["zipdepth"]


def zipdepth(size: int, backbone: bool, head: str) -> Network:
    """ZipDepth base (Aleotti et al. 2026, arXiv 2607.08771), merged for inference.

    Args:
        size: of the square input.
        backbone: not used, the head belongs to it.
        head: what makes the full size of half of it: ``unfold``, ``npu`` or ``bilinear``.
    """
    widths, blocks = (48, 96, 192, 384), (2, 2, 6, 2)
    network = Network(3, size, size).move(2, 2).conv(24, 3, 2)
    half = network.branch()
    network.conv(48, 3, 2)
    maps = []
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if stage:
            network.conv(width, 3, 2)
        for _ in range(count):
            network.conv(width, 3)
        if stage == 1:
            network.join(network.branch().depthwise(3), network.branch().depthwise(3)).add().add()
            network.move(1, 1, 2).join(network.branch().depthwise(1, bias=False)).move(2)
        if stage == 2:
            network.squeeze_excite(width // 8, bias=False)
            _global_context(network)
        maps.append(network.branch())
    _pyramid_pool(network)
    _across_scales(network, maps)
    network.conv(288)
    for lateral, out in zip((maps[2], maps[1], maps[0], half), (192, 144, 96, 32), strict=True):
        _fuse(network, lateral, out)
    return _upsample(network, head)


def _global_context(network: Network) -> None:
    """One weight per position, a mean, two layers on it."""
    c = network.channels
    context = network.branch().conv(1).move(2)
    network.join(context).product(c, network.positions, 1)
    inner = Network(c, 1, 1).conv(c // 4).conv(c)
    network.join(inner).move(2)


def _pyramid_pool(network: Network) -> None:
    """Three poolings of a quarter of the channels, one behind another."""
    out = network.channels
    network.conv(out // 4).move(2, 2, 2)
    network.channels = out
    network.move(2).conv(out)


def _across_scales(network: Network, maps: list[Network]) -> None:
    """The last two stages are added to each other."""
    high = maps[2]
    down = high.branch().conv(network.channels, groups=4, bias=False)
    up = network.branch().conv(high.channels, groups=4, bias=False).resize(high.height, high.width).move(2).add()
    network.join(down.pool(2).move(2).add(), up)


def _fuse(network: Network, lateral: Network, out: int) -> None:
    """Both maps to as many channels by grouped 1×1 convolutions, the coarser one interpolated before; their sum."""
    network.resize(lateral.height, lateral.width)
    network.join(lateral.branch().conv(out, groups=_groups(lateral.channels, out), bias=False))
    network.conv(out, groups=_groups(network.channels, out), bias=False).add()
    network.parameters += 2 * out


def _groups(read: int, out: int) -> int:
    return gcd(4, gcd(read, out))


def _upsample(network: Network, head: str) -> Network:
    """Depth at half the size, then at the whole one."""
    full = (2 * network.height, 2 * network.width)
    depth = network.branch().conv(1, 3)
    features = network.branch()
    if head == "unfold":
        features.conv(8, 3).conv(36).move(2)
        depth.channels = 9
        return network.join(features, depth.move(2).move(*[4 * 3 / 1 / 3] * 3))
    if head == "npu":
        blend = features.conv(16).depthwise(5).conv(1, bias=False).resize(*full)
        nearest = depth.branch().resize(*full)
        return network.join(blend, depth, nearest, depth.branch().resize(*full)).join(blend.branch().move(3, 2, 3, 3))
    return network.join(depth.resize(*full))
