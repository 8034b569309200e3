"""YOLO26 with its depth head: written from the published configuration."""

from networks.network import Network

__all__ = ["yolo26_depth"]

#: Depth, width, most channels, and whether every block is a deep one.
_SCALES = {"n": (0.5, 0.25, 1024, False), "s": (0.5, 0.5, 1024, False), "m": (0.5, 1.0, 512, True), "l": (1.0, 1.0, 512, True)}
_SCALES |= {"x": (1.0, 1.5, 512, True)}


def yolo26_depth(size: int, backbone: bool, scale: str) -> Network:
    """YOLO26-depth (Ultralytics, configuration ``yolo26-depth``): backbone, pyramid in both directions, a head of 256 channels.

    Args:
        size: of the square input.
        backbone: not used, the head belongs to it.
        scale: n to x.
    """
    depth, width, most, deep = _SCALES[scale]
    repeats = max(round(2 * depth), 1)

    def channels(base: int) -> int:
        return int(min(base, most) * width + 7) // 8 * 8

    network = Network(3, size, size).conv(channels(64), 3, 2).conv(channels(128), 3, 2)
    _block(network, channels(256), repeats, deep, 0.25)
    _block(network.conv(channels(256), 3, 2), channels(512), repeats, deep, 0.25)
    fine = network.branch()
    _block(network.conv(channels(512), 3, 2), channels(512), repeats, True)
    middle = network.branch()
    _block(network.conv(channels(1024), 3, 2), channels(1024), repeats, True)
    _pooled(network)
    _attended(network, repeats)
    coarse = network.branch()
    _block(_concatenated(network.resize(middle.height, middle.width), middle), channels(512), repeats, True)
    up = network.branch()
    _block(_concatenated(network.resize(fine.height, fine.width), fine), channels(256), repeats, True)
    maps = [network.branch()]
    _block(_concatenated(network.conv(channels(256), 3, 2), up), channels(512), repeats, True)
    maps.append(network.branch())
    _block(_concatenated(network.conv(channels(512), 3, 2), coarse), channels(1024), 1, True, attends=True)
    return _depth(network, maps)


def _concatenated(network: Network, other: Network) -> Network:
    network.channels += other.channels
    return network.move(2)


def _block(network: Network, out: int, repeats: int, deep: bool, ratio: float = 0.5, attends: bool = False) -> None:
    """Half of the channels through bottlenecks, each of whose results stays (C3k2)."""
    inner = int(out * ratio)
    network.conv(2 * inner).move(2)
    part = network.branch(inner)
    for _ in range(repeats):
        if attends:
            part.conv(inner // 2, 3).conv(inner, 3).add()
            _attention(part, max(inner // 64, 1))
        elif deep:
            half = part.branch().conv(inner // 2)
            for _ in range(2):
                half.conv(inner // 2, 3).conv(inner // 2, 3).add()
            half.join(part.branch().conv(inner // 2))
            half.channels = inner
            part.join(half.move(2).conv(inner))
        else:
            part.conv(inner // 2, 3).conv(inner, 3).add()
    network.join(part)
    network.channels = (2 + repeats) * inner
    network.move(2).conv(out)


def _pooled(network: Network) -> None:
    """Three poolings of half of the channels, one behind another, beside what they read (SPPF)."""
    width = network.channels
    network.conv(width // 2).move(2, 2, 2)
    network.channels = 2 * width
    network.move(2).conv(width).add()


def _attended(network: Network, repeats: int) -> None:
    """Half of the channels through attention (C2PSA)."""
    width = network.channels
    network.conv(width).move(2)
    part = network.branch(width // 2)
    for _ in range(repeats):
        _attention(part, max(width // 128, 1))
    network.join(part).move(2).conv(width)


def _attention(network: Network, heads: int) -> None:
    """Attention with half as many channels in queries and keys, and two layers."""
    width = network.channels
    inner = network.branch().conv(2 * width).move(2)
    inner.channels = width
    inner.attend(heads, width // 2, width, extra=(2,)).join(inner.branch().depthwise(3)).add().conv(width)
    network.join(inner).add().conv(2 * width).conv(width).add()


def _depth(network: Network, maps: list[Network]) -> Network:
    """All maps to 256 channels, added from the coarsest to the finest, then twice the size and depth."""
    network.conv(256)
    network.parameters += 2 * (9 * 256**2 + 256)  # the published weights hold two convolutions for the coarsest map that nothing computes
    for lateral in reversed(maps):
        network.resize(lateral.height, lateral.width).join(lateral.branch().conv(256)).add().conv(256, 3).conv(256, 3)
    network.conv(128, 3).conv(4 * 128, bias=False)
    network.parameters += 128
    network.channels, network.height, network.width = 128, 2 * network.height, 2 * network.width
    network.conv(64, 3).conv(1).move(2, 2, 2, 2)
    return network.resize(4 * network.height, 4 * network.width)
