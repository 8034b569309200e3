"""RepViT, RepNeXt, RecNeXt, FastViT and MobileCLIP's image encoders with their branches merged: written from papers and configurations."""

from networks.network import Network, stem

__all__ = ["fastvit", "recnext", "repnext", "repvit"]


def _mlp(network: Network, expansion: float) -> None:
    width = network.channels
    network.conv(int(width * expansion)).conv(width).add()


def repvit(size: int, backbone: bool, blocks: tuple[int, ...], width: int) -> Network:
    """RepViT (Wang et al. 2024, arXiv 2307.09283, section 3 and its configurations): every other block of a stage squeezes."""
    network = stem(size, width)
    for stage, count in enumerate(blocks):
        if stage:
            network.depthwise(3, 2).conv(width * 2**stage)
            _mlp(network, 2)
        for block in range(count):
            network.depthwise(3)
            if block % 2 == 0 and (block < count - 1 or count == 1):
                network.squeeze_excite(max(8, (network.channels // 4 + 4) // 8 * 8))
            _mlp(network, 2)
    return network if backbone else network.classify(1000)


def repnext(size: int, backbone: bool, blocks: tuple[int, ...], width: int) -> Network:
    """RepNeXt (Zhao et al. 2024, arXiv 2406.16004): a quarter of the channels each through nothing, 3×3, 7×7 and 1×11 with 11×1."""
    network = stem(size, width)
    for stage, count in enumerate(blocks):
        if stage:
            small, large = network.branch().depthwise(3, 2), network.branch().depthwise(7, 2)
            network.channels, network.height, network.width = 2 * network.channels, small.height, small.width
            network.join(small, large).move(2)
            _mlp(network, 2)
        for _ in range(count):
            quarter = network.channels // 4
            network.move(2).join(network.branch(quarter).depthwise(3), network.branch(quarter).depthwise(7))
            network.join(network.branch(quarter).depthwise((1, 11)).depthwise((11, 1))).move(2)
            _mlp(network, 2)
    return network if backbone else network.classify(1000)


def recnext(size: int, backbone: bool, blocks: tuple[int, ...], width: int, attention: bool = False, expansion: float = 2) -> Network:
    """RecNeXt (Zhao et al. 2025, arXiv 2412.19628 and its configurations): M filters recursively, A attends at half the size."""
    network = stem(size, width)
    for stage, count in enumerate(blocks):
        if stage:
            network.conv(2 * network.channels, 7, 2, network.channels)
            _mlp(network, expansion)
        for _ in range(count):
            if attention:
                _recursive_attention(network, stage)
            else:
                _recursive_convolution(network, 4 - stage)
            _mlp(network, expansion)
    return network if backbone else network.classify(1000)


def _recursive_convolution(network: Network, level: int) -> None:
    """5×5 filters on every level of a pyramid; the one that halves is shared by all levels."""
    inner = network.branch()
    sizes = []
    for step in range(level):
        sizes.append((inner.height, inner.width))
        inner.depthwise(5, 2, bias=False)
        if step:
            inner.parameters -= 25 * inner.channels
    for step, size in enumerate(reversed(sizes)):
        if step:
            inner.add()
        inner.depthwise(5, bias=False).resize(*size)
    network.join(inner).add().depthwise(5)


def _recursive_attention(network: Network, stage: int) -> None:
    """Linear attention at half the size; with the products in the usual order in the last stage."""
    heads, c = 2 ** (stage + 1), network.channels
    inner = network.branch().depthwise(5, 2)
    tokens, head = inner.positions, c // heads
    projected = inner.branch().conv(2 * c, 1, 1, 2).move(2)
    local = inner.branch().depthwise(3)
    inner.join(projected, local).move(2, 2, 2)
    if stage >= 3:
        inner.attend(heads, c, c, extra=(1, 2))
    else:
        inner.product(head, tokens, head, heads).product(tokens, head, head, heads).product(tokens, head, 1, heads).move(1, 2)
    inner.move(2).add().resize(network.height, network.width)
    network.join(inner).add().depthwise(5)


def fastvit(
    size: int,
    backbone: bool,
    blocks: tuple[int, ...],
    width: int,
    expansion: int,
    attention: bool,
    squeezes: bool = False,
    classes: int = 1000,
) -> Network:
    """FastViT (Vasu et al. 2023, arXiv 2303.14189, table 1); MobileCLIP's (Vasu et al. 2024, arXiv 2311.17049) squeeze where they halve."""
    network = Network(3, size, size).conv(width, 3, 2).depthwise(3, 2).conv(width)
    for stage, count in enumerate(blocks):
        if stage:
            network.conv(2 * network.channels, 7, 2, network.channels)
            if squeezes and stage >= 2:
                network.squeeze_excite(network.channels // 4)
            network.conv(network.channels)
        attends = attention and stage == 3
        if attends:
            network.depthwise(7)
        for _ in range(count):
            c = network.channels
            if attends:
                network.move(2).attention(c // 32).add()
                network.parameters += 3 * c
            else:
                network.depthwise(3)
            network.depthwise(7).conv(expansion * c).conv(c).add()
            network.parameters += c
    if backbone:
        return network
    network.conv(2 * network.channels, 3, 1, network.channels)
    return network.squeeze_excite(network.channels // 16).classify(classes)
