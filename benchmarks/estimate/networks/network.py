"""A network as far as its cost goes: operators in a row, each with its multiply-accumulates, weights and activations."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fcrn_mobile.latency.work import Work

__all__ = ["Layer", "Network", "stem"]


@dataclass(frozen=True)
class Layer:
    """One operator: multiply-accumulates, weights, activations read and written, in elements."""

    macs: int
    weights: int
    activations: int


@dataclass
class Network:
    """Layers in a row; ``channels``×``height``×``width`` is what the next one reads. Methods return the network, to be chained.

    Batch norms are folded and activations fused, as in a converted package; reshapes cost nothing.
    """

    channels: int
    height: int
    width: int
    layers: list[Layer] = field(default_factory=list)
    parameters: int = 0

    @property
    def size(self) -> int:
        """Elements of the current activation."""
        return self.channels * self.positions

    @property
    def positions(self) -> int:
        """Of the current activation."""
        return self.height * self.width

    @property
    def macs(self) -> int:
        """Of all layers."""
        return sum(layer.macs for layer in self.layers)

    def branch(self, channels: int | None = None) -> "Network":
        """An empty network that reads what is current, or so many of its channels."""
        return Network(self.channels if channels is None else channels, self.height, self.width)

    def join(self, *branches: "Network") -> "Network":
        """Layers and parameters of branches beside this one."""
        for branch in branches:
            self.layers += branch.layers
            self.parameters += branch.parameters
        return self

    def conv(self, out: int, kernel: int | tuple[int, int] = 1, stride: int = 1, groups: int = 1, bias: bool = True) -> "Network":
        """A convolution that keeps the size, divided by its stride."""
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        read, per_output = self.size, self.channels // groups * rows * columns
        self.channels, self.height, self.width = out, -(-self.height // stride), -(-self.width // stride)
        self.layers.append(Layer(self.size * per_output, out * per_output, read + self.size))
        self.parameters += out * per_output + out * bias
        return self

    def depthwise(self, kernel: int | tuple[int, int], stride: int = 1, bias: bool = True) -> "Network":
        """A convolution per channel."""
        return self.conv(self.channels, kernel, stride, self.channels, bias)

    def linear(self, out: int, bias: bool = True) -> "Network":
        """A product per position."""
        return self.conv(out, bias=bias)

    def move(self, *times: float) -> "Network":
        """Operators without arithmetic worth counting, each of which reads and writes so many times the current activation."""
        self.layers += [Layer(0, 0, round(each * self.size)) for each in times]
        return self

    def add(self, scaled: bool = False) -> "Network":
        """A residual sum, of a branch that is scaled per channel before, if so."""
        self.parameters += scaled * self.channels
        return self.move(2, 3) if scaled else self.move(3)

    def norm(self, operators: int = 1) -> "Network":
        """A normalisation with scale and shift that is not folded, as so many operators (a layer norm is one, over channels about four)."""
        self.parameters += 2 * self.channels
        return self.move(*[2] * operators)

    def pool(self, stride: int) -> "Network":
        """A pooling that divides the size by its stride."""
        read = self.size
        self.height, self.width = -(-self.height // stride), -(-self.width // stride)
        self.layers.append(Layer(0, 0, read + self.size))
        return self

    def resize(self, height: int, width: int) -> "Network":
        """Interpolation to another size."""
        read = self.size
        self.height, self.width = height, width
        self.layers.append(Layer(0, 0, read + self.size))
        return self

    def classify(self, *widths: int) -> "Network":
        """Global pooling and linear layers."""
        self.layers.append(Layer(0, 0, self.size + self.channels))
        self.height = self.width = 1
        for width in widths:
            self.linear(width)
        return self

    def squeeze_excite(self, squeezed: int, bias: bool = True) -> "Network":
        """Global pooling, two linear layers, a product."""
        c = self.channels
        self.layers.append(Layer(0, 0, self.size + c))
        self.layers += 2 * [Layer(c * squeezed, c * squeezed, c + squeezed)]
        self.layers.append(Layer(0, 0, 2 * self.size + c))
        self.parameters += 2 * c * squeezed + bias * (c + squeezed)
        return self

    def product(self, rows: int, inner: int, columns: int, heads: int = 1) -> "Network":
        """Products of two activations, rows×inner and inner×columns, one for each head; what is current stays."""
        moved = heads * (rows * inner + inner * columns + rows * columns)
        self.layers.append(Layer(heads * rows * inner * columns, 0, moved))
        return self

    def attend(self, heads: int, key: int, value: int, sources: int | None = None, extra: Sequence[float] = ()) -> "Network":
        """Scores of every position with every source, softmax, weighted sum; ``extra`` operators move so many times the scores.

        Args:
            heads: of them.
            key, value: channels of all heads together.
            sources: positions that are attended to; None for all there are.
        """
        tokens, others = self.positions, sources or self.positions
        scores = heads * tokens * others
        self.product(tokens, key // heads, others, heads)
        self.layers += [Layer(0, 0, round(each * scores)) for each in (2, *extra)]
        return self.product(tokens, others, value // heads, heads)

    def attention(self, heads: int, qkv_bias: bool = False) -> "Network":
        """Self-attention over all positions with its projections, channels first; transposes and splits of heads included."""
        c = self.channels
        self.move(2).linear(3 * c, bias=qkv_bias)
        self.channels = c
        return self.move(6).attend(heads, c, c).move(2).linear(c).move(2)

    def work(self, weight_bytes: float = 2.0, activation_bytes: float = 2.0, int8: bool = False) -> list[Work]:
        """The cost of every layer at so many bytes per element."""
        return [Work(layer.macs, layer.weights * weight_bytes, layer.activations * activation_bytes, int8) for layer in self.layers]


def stem(size: int, width: int) -> Network:
    """A picture of that side through two 3×3 convolutions that halve it, the first to half of the channels."""
    return Network(3, size, size).conv(width // 2, 3, 2).conv(width, 3, 2)
