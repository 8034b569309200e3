"""EfficientFormer V1 and V2, SwiftFormer: written from the papers and their configurations."""

from networks.network import Network, stem

__all__ = ["efficientformer", "efficientformerv2", "swiftformer"]


def _heads(network: Network, backbone: bool) -> Network:
    """Two classifiers whose mean is the result, as these three are trained with distillation."""
    if backbone:
        return network
    network.classify(1000)
    network.parameters += 1000 * (network.layers[-1].weights // 1000) + 1000
    network.layers.append(network.layers[-1])
    return network.move(3)


def efficientformer(size: int, backbone: bool, blocks: tuple[int, ...], widths: tuple[int, ...], attentions: int) -> Network:
    """EfficientFormer (Li et al. 2022, arXiv 2206.01191): pooling blocks, then attention with 8 heads of 32 and 128 in the last stage."""
    network = stem(size, widths[0])
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage:
            network.conv(width, 3, 2)
        for block in range(count):
            if stage == 3 and count - block <= attentions:
                inner = network.branch().norm().linear(1536).move(2)
                inner.channels = 1024
                inner.attend(8, 256, 1024, extra=(3,)).move(2).linear(width)
                network.join(inner).add(scaled=True).norm().linear(4 * width).linear(width).add(scaled=True)
                network.parameters += 8 * network.positions
            else:
                network.move(2, 3).add(scaled=True).conv(4 * width).conv(width).add(scaled=True)
    return _heads(network if backbone else network.norm(), backbone)


def efficientformerv2(
    size: int, backbone: bool, blocks: tuple[int, ...], widths: tuple[int, ...], expansions: tuple[int, ...], attentions: int
) -> Network:
    """EfficientFormerV2 (Li et al. 2023, arXiv 2212.08059): one kind of block, attention in the last ones of the last two stages.

    Args:
        expansions: of the blocks of the last two stages, first those that expand 4 times, then 3 times, then 4 times again, per stage.
        attentions: how many blocks at the end of each of those stages attend.
    """
    network = stem(size, widths[0])
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage == 3:
            _attend_to_half(network, width)
        elif stage:
            network.conv(width, 3, 2)
        first, middle = (expansions[2 * stage - 4], expansions[2 * stage - 3]) if stage >= 2 else (count, 0)
        for block in range(count):
            if stage >= 2 and block >= count - attentions:
                _talking_heads(network, halves=stage == 2)
            expansion = 3 if first <= block < first + middle else 4
            network.conv(expansion * width).depthwise(3).conv(width).add(scaled=True)
    return _heads(network, backbone)


def _talking_heads(network: Network, halves: bool) -> None:
    """8 heads of 32 and 128 channels that talk before and after the softmax; in the third stage at half the size."""
    width, height, columns = network.channels, network.height, network.width
    inner = network.branch()
    if halves:
        inner.depthwise(3, 2)
    inner.parameters += 8 * inner.positions + 2 * 72
    inner.join(inner.branch().conv(256).move(2), inner.branch().conv(256).move(2))
    inner.conv(1024)
    inner.join(inner.branch().depthwise(3)).move(2)
    scores = 8 * inner.positions**2
    talk = inner.branch(8)
    talk.height, talk.width = inner.positions, inner.positions
    inner.attend(8, 256, 1024, extra=(3,)).join(talk.conv(8, bias=False).conv(8, bias=False))
    assert talk.size == scores
    inner.move(2).add()
    if halves:
        inner.resize(height, columns)
    network.join(inner.conv(width)).add(scaled=True)


def _attend_to_half(network: Network, width: int) -> None:
    """Halves by a 3×3 convolution beside attention whose queries are fewer; 8 heads of 16 and 64 channels."""
    full = network.branch()
    half = network.branch().depthwise(3, 2).add().conv(128).move(2)
    full.join(full.branch().conv(128).move(2)).conv(512)
    local = full.branch().depthwise(3, 2)
    full.move(2)
    half.parameters += 8 * full.positions
    half.attend(8, 128, 512, full.positions, extra=(3,))
    half.channels = 512
    half.move(2).add().conv(width)
    network.join(full, local, half).conv(width, 3, 2).add()


def swiftformer(size: int, backbone: bool, blocks: tuple[int, ...], widths: tuple[int, ...]) -> Network:
    """SwiftFormer (Shaker et al. 2023, arXiv 2303.15446): convolutions, and additive attention in the last block of every stage."""
    network = stem(size, widths[0])
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage:
            network.conv(width, 3, 2)
        for _ in range(count - 1):
            network.depthwise(3).conv(4 * width).conv(width).add(scaled=True)
        network.depthwise(3).conv(width).conv(width).add(scaled=True)
        _additive_attention(network)
        network.norm(0).conv(4 * width).conv(width).add(scaled=True)
    return _heads(network if backbone else network.norm(0), backbone)


def _additive_attention(network: Network) -> None:
    """Queries and keys of unit length, one weight per position, a global query, two products."""
    width = network.channels
    inner = network.branch().move(2)
    inner.join(inner.branch().linear(width).move(1, 2), inner.branch().linear(width).move(1, 2), inner.branch().linear(1, bias=False))
    inner.move(2, 1, 2).linear(width).add().linear(width).move(2)
    network.join(inner).add(scaled=True)
