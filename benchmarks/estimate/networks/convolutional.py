"""ResNet, VGG, DenseNet, MobileOne, ConvNeXt, PoolFormer: written from the papers' tables."""

from networks.network import Network

__all__ = ["convnext", "densenet", "mobileone", "poolformer", "resnet", "vgg"]


def resnet(size: int, backbone: bool, blocks: tuple[int, ...], bottleneck: bool) -> Network:
    """ResNet (He et al. 2016, table 1), stride in the 3×3 as torchvision has it."""
    network = Network(3, size, size).conv(64, 7, 2).pool(2)
    for stage, count in enumerate(blocks):
        planes = 64 * 2**stage
        out = planes * (4 if bottleneck else 1)
        for block in range(count):
            stride = 2 if stage and block == 0 else 1
            if stride > 1 or network.channels != out:
                network.join(network.branch().conv(out, 1, stride))
            if bottleneck:
                network.conv(planes).conv(planes, 3, stride).conv(out).add()
            else:
                network.conv(planes, 3, stride).conv(out, 3).add()
    return network if backbone else network.classify(1000)


def vgg(size: int, backbone: bool, blocks: tuple[int, ...]) -> Network:
    """VGG (Simonyan and Zisserman 2015, table 1)."""
    network = Network(3, size, size)
    for width, count in zip((64, 128, 256, 512, 512), blocks, strict=True):
        for _ in range(count):
            network.conv(width, 3)
        network.pool(2)
    if backbone:
        return network
    network.channels, network.height, network.width = network.size, 1, 1
    return network.linear(4096).linear(4096).linear(1000)


def densenet(size: int, backbone: bool, blocks: tuple[int, ...], growth: int, first: int) -> Network:
    """DenseNet-BC (Huang et al. 2017, table 1); its norms stand before the convolutions, so they are products of their own."""
    network = Network(3, size, size).conv(first, 7, 2).pool(2)
    for stage, count in enumerate(blocks):
        for _ in range(count):
            read = network.channels
            network.join(network.branch().norm().conv(4 * growth, bias=False).conv(growth, 3, bias=False))
            network.parameters += 2 * 4 * growth
            network.channels = read + growth
            network.move(2)
        network.norm()
        if stage < len(blocks) - 1:
            network.conv(network.channels // 2, bias=False).pool(2)
    return network if backbone else network.classify(1000)


def mobileone(size: int, backbone: bool, widths: tuple[float, ...], squeeze_excite: bool = False) -> Network:
    """MobileOne with its branches merged (Vasu et al. 2022, arXiv 2206.04040, tables 2 and 7); S4 has squeeze-excite."""
    network = Network(3, size, size).conv(min(64, int(64 * widths[0])), 3, 2)
    for blocks, base, width, excited in zip((2, 8, 10, 1), (64, 128, 256, 512), widths, (0, 0, 5, 1), strict=True):
        for block in range(blocks):
            squeezes = squeeze_excite and block >= blocks - excited
            network.depthwise(3, 2 if block == 0 else 1)
            if squeezes:
                network.squeeze_excite(network.channels // 16)
            network.conv(int(base * width))
            if squeezes:
                network.squeeze_excite(network.channels // 16)
    return network if backbone else network.classify(1000)


def convnext(size: int, backbone: bool, blocks: tuple[int, ...], widths: tuple[int, ...]) -> Network:
    """ConvNeXt (Liu et al. 2022, arXiv 2201.03545, table 9)."""
    network = Network(3, size, size).conv(widths[0], 4, 4).norm(4)
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        if stage:
            network.norm(4).conv(width, 2, 2)
        for _ in range(count):
            network.depthwise(7).move(2).norm().linear(4 * width).linear(width).move(2).add(scaled=True)
    if backbone:
        return network
    network.parameters += 2 * network.channels
    return network.classify(1000)


def poolformer(size: int, backbone: bool, blocks: tuple[int, ...]) -> Network:
    """PoolFormer (Yu et al. 2022, arXiv 2111.11418, table 1), with a group norm of one group before pooling and before the two layers."""
    network = Network(3, size, size).conv(64, 7, 4)
    for stage, (count, width) in enumerate(zip(blocks, (64, 128, 320, 512), strict=True)):
        if stage:
            network.conv(width, 3, 2)
        for _ in range(count):
            network.norm(4).move(2, 3).add(scaled=True)
            network.norm(4).conv(4 * width).conv(width).add(scaled=True)
    return network if backbone else network.norm(4).classify(1000)
