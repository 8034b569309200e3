"""Networks whose latency was published, as far as their cost goes: shapes of convolutions, products and element-wise operators.

Written from the papers and the published configurations; parameters and multiply-accumulates are held against the published ones in
tests/latency/test_estimate.py. Batch norms are folded and activations fused, as in a converted package.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fcrn_mobile.latency.estimate import Work


@dataclass(frozen=True)
class Layer:
    """One operator: multiply-accumulates, weights, activations read and written, all as numbers of elements."""

    macs: int
    weights: int
    activations: int


@dataclass
class Network:
    """Layers in a row; ``channels``×``height``×``width`` is what the next one reads. Methods return the network, to be chained."""

    channels: int
    height: int
    width: int
    layers: list[Layer] = field(default_factory=list)
    parameters: int = 0

    @property
    def size(self) -> int:
        """Elements of the current activation."""
        return self.channels * self.height * self.width

    @property
    def macs(self) -> int:
        """Of all layers."""
        return sum(layer.macs for layer in self.layers)

    def conv(self, out: int, kernel: int = 1, stride: int = 1, groups: int = 1, bias: bool = True) -> "Network":
        """A convolution that keeps the size, divided by its stride."""
        read, per_output = self.size, self.channels // groups * kernel**2
        self.channels, self.height, self.width = out, -(-self.height // stride), -(-self.width // stride)
        self.layers.append(Layer(self.size * per_output, out * per_output, read + self.size))
        self.parameters += out * per_output + out * bias
        return self

    def depthwise(self, kernel: int, stride: int = 1) -> "Network":
        """A convolution per channel."""
        return self.conv(self.channels, kernel, stride, self.channels)

    def linear(self, out: int, bias: bool = True) -> "Network":
        """A product per position."""
        return self.conv(out, bias=bias)

    def move(self, times: float) -> "Network":
        """An operator without arithmetic worth counting that reads and writes so many times the current activation."""
        self.layers.append(Layer(0, 0, round(times * self.size)))
        return self

    def add(self) -> "Network":
        """A residual sum."""
        return self.move(3)

    def pool(self, stride: int) -> "Network":
        """A pooling that divides the size by its stride."""
        read = self.size
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)
        self.layers.append(Layer(0, 0, read + self.size))
        return self

    def classify(self, *widths: int) -> "Network":
        """Global pooling and linear layers."""
        self.layers.append(Layer(0, 0, self.size + self.channels))
        self.height = self.width = 1
        for width in widths:
            self.linear(width)
        return self

    def squeeze_excite(self, squeezed: int) -> "Network":
        """Global pooling, two linear layers, a product."""
        c = self.channels
        self.layers += [
            Layer(0, 0, self.size + c),
            Layer(c * squeezed, c * squeezed, c + squeezed),
            Layer(c * squeezed, c * squeezed, c + squeezed),
        ]
        self.layers.append(Layer(0, 0, 2 * self.size + c))
        self.parameters += 2 * c * squeezed + c + squeezed
        return self

    def attention(self, heads: int, qkv_bias: bool = False) -> "Network":
        """Self-attention over all positions with its projections, channels first; two transposes and two splits of heads included."""
        c, tokens = self.channels, self.height * self.width
        scores = heads * tokens**2
        self.move(2).linear(3 * c, bias=qkv_bias)
        self.channels = c
        self.move(6)
        self.layers += [
            Layer(tokens**2 * c, 0, 2 * c * tokens + scores),
            Layer(0, 0, 2 * scores),
            Layer(tokens**2 * c, 0, 2 * c * tokens + scores),
        ]
        return self.move(2).linear(c).move(2)

    def join(self, branch: "Network") -> "Network":
        """Layers and parameters of a branch beside this one."""
        self.layers += branch.layers
        self.parameters += branch.parameters
        return self

    def work(self, weight_bytes: float = 2.0, activation_bytes: float = 2.0, int8: bool = False) -> list[Work]:
        """The cost of every layer at so many bytes per element."""
        return [Work(layer.macs, layer.weights * weight_bytes, layer.activations * activation_bytes, int8) for layer in self.layers]


def mobileone(widths: tuple[float, float, float, float], squeeze_excite: bool = False) -> Network:
    """MobileOne with its branches merged (Vasu et al. 2022, arXiv 2206.04040, tables 2 and 7), 224×224; S4 has squeeze-excite."""
    network = Network(3, 224, 224).conv(min(64, int(64 * widths[0])), 3, 2)
    for blocks, base, width, excited in zip((2, 8, 10, 1), (64, 128, 256, 512), widths, (0, 0, 5, 1), strict=True):
        for block in range(blocks):
            squeezes = squeeze_excite and block >= blocks - excited
            network.depthwise(3, 2 if block == 0 else 1)
            if squeezes:
                network.squeeze_excite(network.channels // 16)
            network.conv(int(base * width))
            if squeezes:
                network.squeeze_excite(network.channels // 16)
    return network.classify(1000)


def fastvit(blocks: tuple[int, int, int, int], width: int, expansion: int, attention: bool) -> Network:
    """FastViT with its branches merged (Vasu et al. 2023, arXiv 2303.14189, table 1; apple/ml-fastvit), 256×256."""
    network = Network(3, 256, 256).conv(width, 3, 2).depthwise(3, 2).conv(width)
    for stage, count in enumerate(blocks):
        if stage:
            network.conv(2 * network.channels, 7, 2, network.channels).conv(network.channels)
        mixes_by_attention = attention and stage == 3
        if mixes_by_attention:
            network.depthwise(7)
        for _ in range(count):
            c = network.channels
            if mixes_by_attention:
                network.move(2).attention(c // 32).add()
                network.parameters += 3 * c
            else:
                network.depthwise(3)
            network.depthwise(7).conv(expansion * c).conv(c).add()
            network.parameters += c
    network.conv(2 * network.channels, 3, 1, network.channels)
    return network.squeeze_excite(network.channels // 16).classify(1000)


def resnet(blocks: tuple[int, int, int, int], bottleneck: bool) -> Network:
    """ResNet (He et al. 2016), stride in the 3×3 as torchvision has it, 224×224."""
    network = Network(3, 224, 224).conv(64, 7, 2).pool(2)
    for stage, count in enumerate(blocks):
        planes = 64 * 2**stage
        out = planes * (4 if bottleneck else 1)
        for block in range(count):
            stride = 2 if stage and block == 0 else 1
            if stride > 1 or network.channels != out:
                network.join(Network(network.channels, network.height, network.width).conv(out, 1, stride))
            if bottleneck:
                network.conv(planes).conv(planes, 3, stride).conv(out).add()
            else:
                network.conv(planes, 3, stride).conv(out, 3).add()
    return network.classify(1000)


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


def mobilenetv2() -> Network:
    """MobileNetV2 1.0 (Sandler et al. 2018, table 2), 224×224."""
    network = Network(3, 224, 224).conv(32, 3, 2)
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    for expansion, out, count, stride in stages:
        for block in range(count):
            inverted_residual(network, network.channels * expansion, out, 3, stride if block == 0 else 1)
    return network.conv(1280).classify(1000)


def mobilenetv3_small() -> Network:
    """MobileNetV3-Small 1.0 (Howard et al. 2019, table 2), 224×224; squeezed to a quarter, rounded to eights."""
    network = Network(3, 224, 224).conv(16, 3, 2)
    rows = ((3, 16, 16, 8, 2), (3, 72, 24, 0, 2), (3, 88, 24, 0, 1), (5, 96, 40, 24, 2), (5, 240, 40, 64, 1), (5, 240, 40, 64, 1))
    rows += ((5, 120, 48, 32, 1), (5, 144, 48, 40, 1), (5, 288, 96, 72, 2), (5, 576, 96, 144, 1), (5, 576, 96, 144, 1))
    for kernel, expanded, out, squeezed, stride in rows:
        inverted_residual(network, expanded, out, kernel, stride, squeezed)
    return network.conv(576).classify(1024, 1000)


def mobilevitv2() -> Network:
    """MobileViTv2 1.0 (Mehta and Rastegari 2022, arXiv 2206.02680, table 7), 256×256, separable attention over 2×2 patches."""
    network = Network(3, 256, 256).conv(32, 3, 2)
    for out, stride in ((64, 1), (128, 2), (128, 1)):
        inverted_residual(network, 2 * network.channels, out, 3, stride)
    for out, inner, count in ((256, 128, 2), (384, 192, 4), (512, 256, 3)):
        inverted_residual(network, 2 * network.channels, out, 3, 2)
        network.depthwise(3).conv(inner, bias=False).move(2)
        for _ in range(count):
            _separable_attention(network, inner)
            network.move(2).conv(2 * inner).conv(inner).add()
        network.move(2).move(2).conv(out)
        network.parameters += 2 * inner * (2 * count + 1)  # norms
    return network.classify(1000)


def _separable_attention(network: Network, inner: int) -> None:
    """A score per position, a context vector, a gate."""
    positions = network.height * network.width
    network.move(2).conv(1 + 2 * inner)
    network.channels = inner
    network.layers.append(Layer(0, 0, 2 * positions))
    network.layers.append(Layer(0, 0, network.size + positions + inner))
    network.layers.append(Layer(0, 0, 2 * network.size + inner))
    network.conv(inner).add()


def transformer(network: Network, layers: int, heads: int) -> Network:
    """Layers of a vision transformer (Dosovitskiy et al. 2021), expansion 4."""
    c = network.channels
    for _ in range(layers):
        network.move(2).attention(heads, qkv_bias=True).add().move(2).conv(4 * c).conv(c).add()
        network.parameters += 4 * c
    return network


def vit_b16() -> Network:
    """ViT-B/16, 224×224: 196 patches and a class token."""
    network = Network(3, 224, 224).conv(768, 16, 16)
    network.height, network.width = 1, 197
    network.parameters += 198 * 768 + 2 * 768
    transformer(network, 12, 12)
    network.width = 1
    return network.linear(1000)


def depth_anything_small() -> Network:
    """Depth Anything small: DINOv2-S/14 and a DPT head of 64 features (Yang et al. 2024, arXiv 2401.10891), 518×392."""
    rows, columns = 28, 37
    network = Network(3, 14 * rows, 14 * columns).conv(384, 14, 14)
    network.height, network.width = 1, rows * columns + 1
    network.parameters += 1370 * 384 + 2 * 384 + 12 * 2 * 384  # positions of 37×37 patches and a token, last norm, layer scales
    transformer(network, 12, 6)
    levels = [_reassembled(rows, columns, out, scale) for out, scale in ((48, 4.0), (96, 2.0), (192, 1.0), (384, 0.5))]
    for level in reversed(levels):
        network.join(level)
        for _ in range(1 if level is levels[-1] else 2):
            network.join(Network(64, level.height, level.width).conv(64, 3).conv(64, 3).add())
        # Bilinear to twice the size (1.25 times what comes out), then a 1×1 convolution.
        network.join(Network(64, 2 * level.height, 2 * level.width).move(1.25).conv(64))
    full = Network(64, 8 * rows, 8 * columns).conv(32, 3)
    read = full.size
    full.height, full.width = 14 * rows, 14 * columns
    full.layers.append(Layer(0, 0, read + full.size))
    return network.join(full.conv(32, 3).conv(1))


def _reassembled(rows: int, columns: int, out: int, scale: float) -> Network:
    """Tokens of one level as a map at a scale of the patches, with 64 features."""
    level = Network(384, rows, columns).conv(out)
    if scale > 1:  # a transposed convolution whose kernel is its stride
        taps = int(scale) ** 2
        level.layers.append(Layer(level.size * out * taps, out**2 * taps, level.size * (1 + taps)))
        level.parameters += out**2 * taps + out
        level.height, level.width = level.height * int(scale), level.width * int(scale)
    elif scale < 1:
        level.conv(out, 3, 2)
    return level.conv(64, 3, bias=False)


def product(rows: int, inner: int, columns: int) -> Network:
    """One matrix product with constant weights."""
    return Network(inner, 1, rows).linear(columns)


def convolutions(channels: int, count: int) -> Network:
    """3×3 convolutions in a row over 32×32."""
    network = Network(channels, 32, 32)
    for _ in range(count):
        network.conv(channels, 3)
    return network


def attention(tokens: int, channels: int, heads: int) -> Network:
    """One attention layer with its four projections."""
    return Network(channels, 1, tokens).attention(heads)


NETWORKS: dict[str, Callable[[], Network]] = {
    "mobileone-s0": lambda: mobileone((0.75, 1, 1, 2)),
    "mobileone-s1": lambda: mobileone((1.5, 1.5, 2, 2.5)),
    "mobileone-s2": lambda: mobileone((1.5, 2, 2.5, 4)),
    "mobileone-s3": lambda: mobileone((2, 2.5, 3, 4)),
    "mobileone-s4": lambda: mobileone((3, 3.5, 3.5, 4), squeeze_excite=True),
    "fastvit-t8": lambda: fastvit((2, 2, 4, 2), 48, 3, False),
    "fastvit-t12": lambda: fastvit((2, 2, 6, 2), 64, 3, False),
    "fastvit-s12": lambda: fastvit((2, 2, 6, 2), 64, 4, False),
    "fastvit-sa12": lambda: fastvit((2, 2, 6, 2), 64, 4, True),
    "fastvit-sa24": lambda: fastvit((4, 4, 12, 4), 64, 4, True),
    "fastvit-sa36": lambda: fastvit((6, 6, 18, 6), 64, 4, True),
    "fastvit-ma36": lambda: fastvit((6, 6, 18, 6), 76, 4, True),
    "resnet18": lambda: resnet((2, 2, 2, 2), bottleneck=False),
    "resnet50": lambda: resnet((3, 4, 6, 3), bottleneck=True),
    "mobilenetv2": mobilenetv2,
    "mobilenetv3-small": mobilenetv3_small,
    "mobilevitv2": mobilevitv2,
    "vit-b16": vit_b16,
    "depth-anything-small": depth_anything_small,
    "product-64-256-256": lambda: product(64, 256, 256),
    "product-128-1024-1024": lambda: product(128, 1024, 1024),
    "product-256-4096-4096": lambda: product(256, 4096, 4096),
    "convolutions-64-1": lambda: convolutions(64, 1),
    "convolutions-256-16": lambda: convolutions(256, 16),
    "attention-197-768-12": lambda: attention(197, 768, 12),
    "attention-512-768-12": lambda: attention(512, 768, 12),
}
