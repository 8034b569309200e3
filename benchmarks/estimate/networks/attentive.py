"""SHViT, iFormer, MobileViT and MobileViTv2: written from the papers and their configurations."""

from networks.inverted import inverted_residual
from networks.network import Network

__all__ = ["iformer", "mobilevit", "mobilevitv2", "shvit"]


def shvit(size: int, backbone: bool, blocks: tuple[int, ...], widths: tuple[int, ...], attended: tuple[int, ...]) -> Network:
    """SHViT (Yun and Ro 2024, arXiv 2401.16456): 16 times smaller at once, one head over some channels from the second stage on."""
    first = widths[0]
    network = Network(3, size, size)
    for part in (8, 4, 2, 1):
        network.conv(first // part, 3, 2)
    for stage, (count, width, partial) in enumerate(zip(blocks, widths, attended, strict=True)):
        if stage:
            _filter_and_mix(network)
            network.conv(4 * network.channels).depthwise(3, 2).squeeze_excite(network.channels // 4).conv(width)
            _filter_and_mix(network)
        for _ in range(count):
            network.depthwise(3)
            if stage:
                inner = network.branch(partial).norm(4).conv(32 + partial).move(2)
                inner.channels = partial
                network.move(2).join(inner.attend(1, 16, partial, extra=(2,))).move(2).conv(width).add()
            network.conv(2 * width).conv(width).add()
    return network if backbone else network.classify(1000)


def _filter_and_mix(network: Network) -> None:
    width = network.channels
    network.depthwise(3).conv(2 * width).conv(width).add()


def iformer(
    size: int,
    backbone: bool,
    widths: tuple[int, ...],
    early: tuple[int, int, int],
    attentions: tuple[int, int],
    expansion: int = 4,
    mixing: int = 3,
) -> Network:
    """IFormer (Zheng 2025, arXiv 2501.15369): ConvNeXt-like blocks, then single-head attention with a gate in the last two stages.

    At sizes from 512 on, the third stage attends within windows of 16×16, as its authors measured it, from its first such block to the last
    but one.

    Args:
        widths: of the stages.
        early: convolutional blocks of the first three stages; one more follows the third stage's attention.
        attentions: blocks with attention in the last two stages.
        expansion, mixing: of the convolutional blocks and of the layers behind attention.
    """
    first = widths[0]
    network = Network(3, size, size).conv(first // 2, 5, 2).conv(2 * first, 5, 2).conv(first)
    for stage, width in enumerate(widths):
        if stage:
            network.conv(width, 3, 2)
        for _ in range(early[stage] if stage < 3 else 0):
            network.depthwise(7).conv(expansion * width).conv(width).add()
        for _ in range(attentions[stage - 2] if stage >= 2 else 0):
            network.depthwise(3)
            _gated_attention(network, 2 if stage == 2 else 4, window=16 if stage == 2 and size >= 512 else 0)
            network.conv(mixing * width).conv(width).add()
        if stage == 2:
            network.depthwise(7).conv(expansion * width).conv(width).add()
    return network if backbone else network.classify(1000)


def _gated_attention(network: Network, reduction: int, window: int) -> None:
    """One head with fewer query channels; values are gated by a sigmoid."""
    width = network.channels
    inner, key = network.branch(), width // reduction
    inner.join(inner.branch().conv(key).move(2), inner.branch().conv(key), inner.branch().conv(2 * width).move(2))
    windows = max(1, network.positions // window**2) if window else 1
    whole = inner.height
    inner.height //= windows
    for _ in range(windows):
        inner.attend(1, key, width, extra=(2,))
    inner.height = whole
    network.join(inner.move(3).conv(width)).add()


def mobilevit(size: int, backbone: bool) -> Network:
    """MobileViT-S (Mehta and Rastegari 2022, arXiv 2110.02178, table 4): attention with 4 heads between every fourth position."""
    network = Network(3, size, size).conv(16, 3, 2)
    for out, stride in ((32, 1), (64, 2), (64, 1), (64, 1)):
        inverted_residual(network, 4 * network.channels, out, 3, stride)
    for out, inner, count in ((96, 144, 2), (128, 192, 4), (160, 240, 3)):
        inverted_residual(network, 4 * network.channels, out, 3, 2)
        attended = network.branch().conv(out, 3).conv(inner, bias=False).move(2)
        for _ in range(count):
            attended.norm().linear(3 * inner)
            attended.channels = inner
            attended.move(6)
            _unfolded(attended, heads=4)
            attended.move(2).linear(inner).add().norm().linear(2 * inner).linear(inner).add()
        network.join(attended.norm().move(2).conv(out))
        network.channels = 2 * out
        network.move(2).conv(out, 3)
    return network if backbone else network.conv(640).classify(1000)


def _unfolded(network: Network, heads: int) -> None:
    """Attention within each of the four sets of positions that 2×2 patches have."""
    for _ in range(4):
        part = network.branch()
        part.height, part.width = -(-network.height // 2), -(-network.width // 2)
        network.join(part.attend(heads, network.channels, network.channels))


def mobilevitv2(size: int, backbone: bool) -> Network:
    """MobileViTv2 1.0 (Mehta and Rastegari 2022, arXiv 2206.02680, table 7), separable attention over 2×2 patches."""
    network = Network(3, size, size).conv(32, 3, 2)
    for out, stride in ((64, 1), (128, 2), (128, 1)):
        inverted_residual(network, 2 * network.channels, out, 3, stride)
    for out, inner, count in ((256, 128, 2), (384, 192, 4), (512, 256, 3)):
        inverted_residual(network, 2 * network.channels, out, 3, 2)
        network.depthwise(3).conv(inner, bias=False).move(2)
        for _ in range(count):
            _separable_attention(network, inner)
            network.move(2).conv(2 * inner).conv(inner).add()
        network.move(2, 2).conv(out)
        network.parameters += 2 * inner * (2 * count + 1)  # norms
    return network if backbone else network.classify(1000)


def _separable_attention(network: Network, inner: int) -> None:
    """A score per position, a context vector, a gate."""
    network.move(2).conv(1 + 2 * inner)
    network.channels = inner
    network.move(2 / inner, 1 + 1 / inner, 2).conv(inner).add()
