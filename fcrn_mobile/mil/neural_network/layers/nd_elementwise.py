"""Layers of version 4 that work element by element, with full broadcasting. A network knows floats alone: true is 1, false is 0."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor

__all__ = [
    "LAYERS",
    "acosh",
    "asinh",
    "band_part",
    "broadcast_dynamic",
    "broadcast_like",
    "broadcast_static",
    "clamped_relu",
    "clip",
    "gelu",
    "matrix_band_part",
    "triangle",
    "where",
]

_Translate = Callable[[Network, Any, list[Tensor]], Tensor]

_SAME_NAME = ("acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp2", "floor", "round", "sign", "sin", "sinh", "tan", "tanh")
_BINARY = {
    "addBroadcastable": "add",
    "divideBroadcastable": "real_div",
    "floorDivBroadcastable": "floor_div",
    "maxBroadcastable": "maximum",
    "minBroadcastable": "minimum",
    "modBroadcastable": "mod",
    "multiplyBroadcastable": "mul",
    "powBroadcastable": "pow",
    "subtractBroadcastable": "sub",
}
_COMPARISONS = {
    "equal": "equal",
    "greaterEqual": "greater_equal",
    "greaterThan": "greater",
    "lessEqual": "less_equal",
    "lessThan": "less",
    "notEqual": "not_equal",
}
_LOGICAL = {"logicalAnd": "logical_and", "logicalOr": "logical_or", "logicalXor": "logical_xor"}
_GELU = ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION")


def _plain(kind: str) -> _Translate:
    """Of one tensor or of two."""
    return lambda net, params, inputs: net.emit(kind, **dict(zip("xy", inputs, strict=False)))


def _comparison(kind: str) -> _Translate:
    """With a second tensor, or the number ``alpha``."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        x, *second = inputs
        return net.floats(net.emit(kind, x=x, y=next(iter(second), params.alpha)))

    return translate


def _logical(kind: str) -> _Translate:
    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        return net.floats(net.emit(kind, **dict(zip("xy", map(net.truth, inputs), strict=False))))

    return translate


def asinh(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """sign(x)·ln(|x| + √(x² + 1)): MIL has no operator of its own."""
    (x,) = inputs
    root = net.emit("sqrt", x=net.emit("add", x=net.emit("square", x=x), y=1.0))
    return net.emit("mul", x=net.emit("sign", x=x), y=net.emit("log", x=net.emit("add", x=net.emit("abs", x=x), y=root), epsilon=0.0))


def acosh(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """ln(x + √(x² - 1))."""
    (x,) = inputs
    root = net.emit("sqrt", x=net.emit("sub", x=net.emit("square", x=x), y=1.0))
    return net.emit("log", x=net.emit("add", x=x, y=root), epsilon=0.0)


def clip(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Not below one number, not above another."""
    (x,) = inputs
    return net.emit("clip", x=x, alpha=params.minVal, beta=params.maxVal)


def clamped_relu(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """min(x, beta), below 0 min(alpha·x, beta)."""
    (x,) = inputs
    return net.emit("clamped_relu", x=x, alpha=params.alpha, beta=params.beta)


def gelu(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """x·Φ(x), or what comes near it."""
    (x,) = inputs
    return net.emit("gelu", x=x, mode=_GELU[params.mode])


def where(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The second tensor where the first is not 0, the third elsewhere."""
    condition, a, b = inputs
    return net.emit("select", cond=net.truth(condition), a=a, b=b)


def band_part(net: Network, x: Tensor, lower: int, upper: int) -> Tensor:
    """Diagonals ``lower`` to ``upper`` below and above the main one, zeros elsewhere; negative keeps all."""
    return net.emit("band_part", x=x, lower=lower, upper=upper)


def matrix_band_part(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Diagonals around the main one."""
    (x,) = inputs
    return band_part(net, x, int(params.numLower), int(params.numUpper))


def triangle(above: bool) -> _Translate:
    """What lies on the k-th diagonal and above it, or below it."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        (x,), k = inputs, int(params.k) if above else -int(params.k)
        if k <= 0:
            return band_part(net, x, -k, -1) if above else band_part(net, x, -1, -k)
        # The main diagonal is not part of it: what lies on its other side is found first, and taken away where x may be infinite.
        ones = net.emit("fill_like", x.probes, ref_tensor=x, value=1.0)
        outside = band_part(net, ones, -1, k - 1) if above else band_part(net, ones, k - 1, -1)
        return net.emit("select", cond=net.truth(outside), a=net.known(np.zeros(1, np.float32)), b=x)

    return translate


def broadcast_like(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The first tensor in the shape of the second."""
    x, other = inputs
    return net.emit("mul", x=x, y=net.emit("fill_like", other.probes, ref_tensor=other, value=1.0))


def broadcast_static(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The tensor in a given shape."""
    (x,) = inputs
    return net.emit("mul", x=x, y=net.filled([int(length) for length in params.targetShape], 1.0))


def broadcast_dynamic(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The first tensor in the shape that the second spells."""
    x, shape = inputs
    ones = net.filled(shape, 1.0)
    return net.emit("mul", ones.probes, x=x, y=ones)


LAYERS = {
    **{kind: Layer(_plain(kind)) for kind in _SAME_NAME},
    **{kind: Layer(_plain(operator), 2, 2) for kind, operator in _BINARY.items()},
    **{kind: Layer(_comparison(operator), 1, 2) for kind, operator in _COMPARISONS.items()},
    **{kind: Layer(_logical(operator), 2, 2) for kind, operator in _LOGICAL.items()},
    "logicalNot": Layer(_logical("logical_not")),
    "asinh": Layer(asinh),
    "acosh": Layer(acosh),
    "clip": Layer(clip),
    "clampedReLU": Layer(clamped_relu),
    "gelu": Layer(gelu),
    "whereBroadcastable": Layer(where, 3, 3),
    "matrixBandPart": Layer(matrix_band_part),
    "upperTriangular": Layer(triangle(above=True)),
    "lowerTriangular": Layer(triangle(above=False)),
    "broadcastToLike": Layer(broadcast_like, 2, 2),
    "broadcastToStatic": Layer(broadcast_static),
    "broadcastToDynamic": Layer(broadcast_dynamic, 2, 2),
}
