"""How large the results of operators become that can be far larger than what goes in, without running them.

Only operators that would allocate on a few damaged numbers are here; what they yield follows coremltools, mil/ops/defs.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import TYPE_CHECKING

from fcrn_mobile.mil.values import shape_of

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, Operation, Value, ValueType

Shape = tuple[int, ...]
Numbers = tuple[float, ...]

#: A constant with more numbers than this is data, no shape.
_MOST_NUMBERS = 32


class Sizes:
    """Shapes and small constants of a function, as far as it has been read.

    Attributes:
        types: what every name so far is declared to be.
        numbers: the values of small constants that stand in the specification.
    """

    def __init__(self, types: Mapping[str, "ValueType"]) -> None:
        self.types = types
        self.numbers: dict[str, Numbers] = {}

    def learn(self, operation: "Operation") -> None:
        """Remember a constant if it is small."""
        if operation.type == "const" and "val" in operation.attributes and operation.outputs:
            numbers = _numbers(operation.attributes["val"])
            if numbers is not None:
                self.numbers[operation.outputs[0].name] = numbers

    def result(self, operation: "Operation") -> Shape | None:
        """The shape that an operator yields or pads its input to; None if it cannot grow, or nothing is known of it."""
        rule = _RULES.get(operation.type)
        return rule(_Inputs(operation, self)) if rule else None


class _Inputs:
    """Inputs of one operator by name."""

    def __init__(self, operation: "Operation", sizes: Sizes) -> None:
        self._operation, self._sizes = operation, sizes

    def shapes(self, key: str) -> list[Shape]:
        """Declared shapes of a list of tensors, unknown lengths as 1."""
        found = [self._sizes.types.get(binding.name) if binding.name else binding.value.type for binding in self._bindings(key)]
        return [tuple(max(length, 1) for length in shape_of(declared)) for declared in found if declared is not None]

    def shape(self, key: str) -> Shape:
        """Declared shape; () if there is none."""
        return next(iter(self.shapes(key)), ())

    def numbers(self, key: str) -> Numbers:
        """Values of a small constant; () if it is anything else."""
        for binding in self._bindings(key):
            return (self._sizes.numbers.get(binding.name) if binding.name else _numbers(binding.value)) or ()
        return ()

    def lengths(self, key: str) -> Shape:
        """A constant shape; ones if it has too many numbers to be one, or is not known, so that at least its rank is."""
        count = next(iter(self.shape(key)), 0)
        return tuple(int(length) for length in self.numbers(key)) or (1,) * min(count, _MOST_NUMBERS)

    def number(self, key: str, default: float) -> float:
        """The single value of a constant."""
        return next(iter(self.numbers(key)), default)

    def _bindings(self, key: str) -> "Iterable[Argument.Binding]":
        return self._operation.inputs[key].arguments if key in self._operation.inputs else ()


def _numbers(value: "Value") -> Numbers | None:
    tensor = value.immediateValue.tensor
    field = tensor.WhichOneof("value")
    if field not in ("ints", "floats", "longInts", "bools"):
        return None
    held = getattr(tensor, field).values
    return tuple(item if math.isfinite(item) else 0 for item in held) if len(held) <= _MOST_NUMBERS else None


def _broadcast(*shapes: Shape) -> Shape:
    lengths = [max(pair) for pair in zip_longest(*(reversed(shape) for shape in shapes), fillvalue=1)]
    return tuple(reversed(lengths))


def _padded(inputs: _Inputs, key: str = "pad") -> Shape:
    """The last axes with what is put before and behind them."""
    shape, pads = list(inputs.shape("x")), inputs.numbers(key)
    for axis in range(1, min(len(pads) // 2, len(shape)) + 1):
        shape[-axis] += int(max(pads[-2 * axis], 0) + max(pads[-2 * axis + 1], 0))
    return tuple(shape)


def _pool(inputs: _Inputs) -> Shape:
    """The padded input; in ceil mode the last window hangs over it by less than a stride."""
    padded = _padded(inputs)
    if not inputs.number("ceil_mode", 0):
        return padded
    strides = zip_longest(reversed(padded), reversed(inputs.numbers("strides")), fillvalue=0)
    return tuple(reversed([int(length + max(stride, 0)) for length, stride in strides]))


def _conv(inputs: _Inputs) -> Shape:
    """What it yields, or its padded input if that is larger."""
    padded, weight = _padded(inputs), inputs.shape("weight")
    ones = (1,) * len(padded[2:])
    sizes = zip(padded[2:], weight[2:], inputs.numbers("strides") or ones, inputs.numbers("dilations") or ones, strict=False)
    spatial = (int((length - (kernel - 1) * d - 1) / max(s, 1)) + 1 for length, kernel, s, d in sizes)
    return max(padded, (*padded[:1], *weight[:1], *spatial), key=math.prod)


def _conv_transpose(inputs: _Inputs) -> Shape:
    shape, weight = inputs.shape("x"), inputs.shape("weight")
    ones = (1,) * len(shape[2:])
    sizes = zip(shape[2:], inputs.numbers("strides") or ones, weight[2:], inputs.numbers("dilations") or ones, strict=False)
    return (*shape[:1], *weight[1:2], *(int((length - 1) * s + (kernel - 1) * d + 1) for length, s, kernel, d in sizes))


def _matmul(inputs: _Inputs) -> Shape:
    x, y = inputs.shape("x"), inputs.shape("y")
    if len(x) < 2 or len(y) < 2:
        return ()
    rows = x[-1] if inputs.number("transpose_x", 0) else x[-2]
    columns = y[-2] if inputs.number("transpose_y", 0) else y[-1]
    return (*_broadcast(x[:-2], y[:-2]), rows, columns)


def _upsample(inputs: _Inputs) -> Shape:
    *rest, height, width = (1, 1, *inputs.shape("x"))
    return (*rest, int(height * inputs.number("scale_factor_height", 1)), int(width * inputs.number("scale_factor_width", 1)))


def _resize(inputs: _Inputs) -> Shape:
    *rest, height, width = (1, 1, *inputs.shape("x"))
    if sizes := inputs.numbers("shape"):
        return (*rest, int(sizes[-2]) if len(sizes) > 1 else height, int(sizes[-1]))
    return (*rest, int(inputs.number("target_size_height", height)), int(inputs.number("target_size_width", width)))


def _crop_resize(inputs: _Inputs) -> Shape:
    boxes = inputs.shape("roi") or inputs.shape("boxes")
    return (*boxes[:1], *inputs.shape("x")[-3:-2], int(inputs.number("target_height", 1)), int(inputs.number("target_width", 1)))


def _range(inputs: _Inputs) -> Shape:
    step = inputs.number("step", 1)
    return (int((inputs.number("end", 0) - inputs.number("start", 0)) / step),) if step else ()


def _gather(inputs: _Inputs) -> Shape:
    shape, axis = inputs.shape("x"), int(inputs.number("axis", 0))
    rest = [length for index, length in enumerate(shape) if index != axis % len(shape)]
    return (*rest, *inputs.shape("indices")[int(inputs.number("batch_dims", 0)) :])


def _windows(inputs: _Inputs) -> Shape:
    shape, axis, size = inputs.shape("x"), int(inputs.number("axis", 0)), int(inputs.number("size", 1))
    length = shape[axis % len(shape)] if shape else 1
    windows = (length - size) // max(int(inputs.number("stride", 1)), 1) + 1
    return (math.prod(shape) // length, windows, size)


_RULES: dict[str, Callable[[_Inputs], Shape]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "crop_resize": _crop_resize,
    "expand_dims": lambda inputs: (*inputs.shape("x"), *(1 for _ in inputs.lengths("axes"))),
    "fill": lambda inputs: inputs.lengths("shape"),
    "gather": _gather,
    "linear": lambda inputs: (*inputs.shape("x")[:-1], *inputs.shape("weight")[:1]),
    "matmul": _matmul,
    "one_hot": lambda inputs: (*inputs.shape("indices"), int(inputs.number("one_hot_vector_size", 1))),
    "range_1d": _range,
    "reshape": lambda inputs: tuple(1 for _ in inputs.lengths("shape")),
    "scaled_dot_product_attention": lambda inputs: (*inputs.shape("query")[:-1], *inputs.shape("key")[-2:-1]),
    "select": lambda inputs: _broadcast(*(inputs.shape(key) for key in ("cond", "a", "b"))),
    "sliding_windows": _windows,
    "space_to_batch": lambda inputs: _padded(inputs, "paddings"),
    "tile": lambda inputs: tuple(a * b for a, b in zip_longest(inputs.shape("x"), inputs.lengths("reps"), fillvalue=1)),
    **dict.fromkeys(("concat", "stack"), lambda inputs: (sum(math.prod(shape) for shape in inputs.shapes("values")),)),
    **dict.fromkeys(
        (
            *("add", "sub", "mul", "real_div", "floor_div", "mod", "pow", "maximum", "minimum"),
            *("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or", "logical_xor"),
        ),
        lambda inputs: _broadcast(inputs.shape("x"), inputs.shape("y")),
    ),
    "pad": _padded,
    **dict.fromkeys(("max_pool", "avg_pool", "l2_pool"), _pool),
    **dict.fromkeys(("upsample_nearest_neighbor", "upsample_bilinear"), _upsample),
    **dict.fromkeys(("resize_nearest_neighbor", "resize_bilinear", "resize"), _resize),
}
