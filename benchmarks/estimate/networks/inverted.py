"""MobileNet V1 to V4 and EfficientNet: depthwise convolutions between products, written from the papers' tables."""

from math import ceil

from networks.network import Network

__all__ = ["divisible", "efficientnet", "inverted_residual", "mobilenetv1", "mobilenetv2", "mobilenetv3", "mobilenetv4"]


def divisible(width: float, divisor: int = 8) -> int:
    """The nearest multiple, but not below nine tenths of the width, as all of these networks round."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def inverted_residual(network: Network, expanded: int, out: int, kernel: int, stride: int, squeezed: int = 0) -> None:
    """Expand, filter per channel, project (Sandler et al. 2018); with squeeze-excite in MobileNetV3."""
    read = network.channels
    if expanded != read:
        network.conv(expanded)
    network.depthwise(kernel, stride)
    if squeezed:
        network.squeeze_excite(squeezed)
    network.conv(out)
    if stride == 1 and read == out:
        network.add()


def mobilenetv1(size: int, backbone: bool) -> Network:
    """MobileNet (Howard et al. 2017, arXiv 1704.04861, table 1)."""
    network = Network(3, size, size).conv(32, 3, 2)
    for out, stride in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)):
        network.depthwise(3, stride).conv(out)
    return network if backbone else network.classify(1000)


def mobilenetv2(size: int, backbone: bool, width: float = 1.0) -> Network:
    """MobileNetV2 (Sandler et al. 2018, table 2)."""
    network = Network(3, size, size).conv(divisible(32 * width), 3, 2)
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, base, count, stride in stages:
        for block in range(count):
            inverted_residual(network, network.channels * expansion, divisible(base * width), 3, stride if block == 0 else 1)
    return network if backbone else network.conv(divisible(1280 * max(1.0, width))).classify(1000)


#: Kernel, expansion, channels, squeezed or not, stride (Howard et al. 2019, arXiv 1905.02244, tables 1 and 2).
_V3_LARGE = (
    (3, 1, 16, 0, 1), (3, 4, 24, 0, 2), (3, 3, 24, 0, 1), (5, 3, 40, 1, 2), (5, 3, 40, 1, 1), (5, 3, 40, 1, 1), (3, 6, 80, 0, 2),
    (3, 2.5, 80, 0, 1), (3, 2.3, 80, 0, 1), (3, 2.3, 80, 0, 1), (3, 6, 112, 1, 1), (3, 6, 112, 1, 1), (5, 6, 160, 1, 2), (5, 6, 160, 1, 1),
    (5, 6, 160, 1, 1),
)  # fmt: skip
_V3_SMALL = (
    (3, 1, 16, 1, 2), (3, 4.5, 24, 0, 2), (3, 11 / 3, 24, 0, 1), (5, 4, 40, 1, 2), (5, 6, 40, 1, 1), (5, 6, 40, 1, 1), (5, 3, 48, 1, 1),
    (5, 3, 48, 1, 1), (5, 6, 96, 1, 2), (5, 6, 96, 1, 1), (5, 6, 96, 1, 1),
)  # fmt: skip


def mobilenetv3(size: int, backbone: bool, large: bool, width: float = 1.0) -> Network:
    """MobileNetV3 (Howard et al. 2019, tables 1 and 2); squeezed to a quarter, rounded to eights."""
    network = Network(3, size, size).conv(divisible(16 * width), 3, 2)
    for kernel, expansion, out, squeezed, stride in _V3_LARGE if large else _V3_SMALL:
        inner = divisible(network.channels * expansion)
        inverted_residual(network, inner, divisible(out * width), kernel, stride, divisible(inner / 4) if squeezed else 0)
    network.conv(divisible((960 if large else 576) * width))
    return network if backbone else network.classify(1280 if large else 1024, 1000)


#: Channels, kernel before expanding, kernel after it, stride, expansion (Qin et al. 2024, arXiv 2404.10518, tables 11 to 13); 0: none.
_V4_SMALL = (
    (96, 5, 5, 2, 3), *[(96, 0, 3, 1, 2)] * 4, (96, 3, 0, 1, 4),
    (128, 3, 3, 2, 6), (128, 5, 5, 1, 4), (128, 0, 5, 1, 4), (128, 0, 5, 1, 3), (128, 0, 3, 1, 4), (128, 0, 3, 1, 4),
)  # fmt: skip
_V4_MEDIUM = (
    (80, 3, 5, 2, 4), (80, 3, 3, 1, 2),
    (160, 3, 5, 2, 6), (160, 3, 3, 1, 4), (160, 3, 3, 1, 4), (160, 3, 5, 1, 4), (160, 3, 3, 1, 4), (160, 3, 0, 1, 4), (160, 0, 0, 1, 2),
    (160, 3, 0, 1, 4),
    (256, 5, 5, 2, 6), (256, 5, 5, 1, 4), (256, 3, 5, 1, 4), (256, 3, 5, 1, 4), (256, 0, 0, 1, 4), (256, 3, 0, 1, 4), (256, 3, 5, 1, 2),
    (256, 5, 5, 1, 4), (256, 0, 0, 1, 4), (256, 0, 0, 1, 4), (256, 5, 0, 1, 2),
)  # fmt: skip
_V4_LARGE = (
    (96, 3, 5, 2, 4), (96, 3, 3, 1, 4),
    (192, 3, 5, 2, 4), *[(192, 3, 3, 1, 4)] * 3, (192, 3, 5, 1, 4), *[(192, 5, 3, 1, 4)] * 5, (192, 3, 0, 1, 4),
    (512, 5, 5, 2, 4), *[(512, 5, 5, 1, 4)] * 3, (512, 5, 0, 1, 4), (512, 5, 3, 1, 4), (512, 5, 0, 1, 4), (512, 5, 0, 1, 4),
    (512, 5, 3, 1, 4), (512, 5, 5, 1, 4), *[(512, 5, 0, 1, 4)] * 3,
)  # fmt: skip
_V4 = {"small": (32, _V4_SMALL), "medium": (32, _V4_MEDIUM), "large": (24, _V4_LARGE)}


def mobilenetv4(size: int, backbone: bool, variant: str) -> Network:
    """MobileNetV4-Conv (Qin et al. 2024): universal inverted bottlenecks, in the larger two behind a fused one."""
    stem, blocks = _V4[variant]
    network = Network(3, size, size).conv(stem, 3, 2)
    if variant == "small":
        network.conv(32, 3, 2).conv(32).conv(96, 3, 2).conv(64)
    else:
        network.conv(4 * stem, 3, 2).conv(48)
    for out, before, after, stride, expansion in blocks:
        _universal(network, out, before, after, stride, expansion)
    return network.conv(960) if backbone else network.conv(960).classify(1280, 1000)


def _universal(network: Network, out: int, before: int, after: int, stride: int, expansion: int) -> None:
    """A universal inverted bottleneck; the kernel after expanding has the stride where there is one."""
    read = network.channels
    if before:
        network.depthwise(before, 1 if after else stride)
    network.conv(divisible(read * expansion))
    if after:
        network.depthwise(after, stride)
    network.conv(out)
    if stride == 1 and read == out:
        network.add()


def efficientnet(size: int, backbone: bool, width: float = 1.0, depth: float = 1.0) -> Network:
    """EfficientNet (Tan and Le 2019, arXiv 1905.11946, table 1), squeezed to a quarter of what a block reads."""
    network = Network(3, size, size).conv(divisible(32 * width), 3, 2)
    stages = (
        (1, 16, 1, 3, 1),
        (6, 24, 2, 3, 2),
        (6, 40, 2, 5, 2),
        (6, 80, 3, 3, 2),
        (6, 112, 3, 5, 1),
        (6, 192, 4, 5, 2),
        (6, 320, 1, 3, 1),
    )
    for expansion, base, count, kernel, stride in stages:
        for block in range(ceil(count * depth)):
            read = network.channels
            inverted_residual(network, read * expansion, divisible(base * width), kernel, stride if block == 0 else 1, read // 4)
    return network if backbone else network.conv(divisible(1280 * width)).classify(1000)
