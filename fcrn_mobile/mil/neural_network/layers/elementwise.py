"""Layers of version 1 that combine tensors element by element, with constants or with each other."""

from collections.abc import Callable
from functools import reduce
from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Shape, Tensor
from fcrn_mobile.mil.neural_network.weights import weight
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "average", "bias", "combined", "dot", "load_constant", "scale"]

_Translate = Callable[[Network, Any, list[Tensor]], Tensor]


def combined(kind: str, alone: bool = False) -> _Translate:
    """All inputs by one operator of two; ``alone`` combines a single one with the number ``alpha``."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        first, *others = inputs
        if alone and not others:
            return net.emit(kind, x=first, y=params.alpha)
        return reduce(lambda x, y: net.emit(kind, x=x, y=y), others, first)

    return translate


def average(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Sum, divided by their number."""
    return net.emit("mul", x=combined("add")(net, params, inputs), y=1 / len(inputs))


def dot(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Σxy along the channels; of vectors of length 1 for the cosine."""
    x, y = inputs

    def product(one: Tensor, other: Tensor) -> Tensor:
        return net.emit("reduce_sum", x=net.emit("mul", x=one, y=other), axes=[-3], keep_dims=True)

    if not params.cosineSimilarity:
        return product(x, y)
    length = net.emit("sqrt", x=net.emit("mul", x=product(x, x), y=product(y, y)))
    return net.emit("real_div", x=product(x, y), y=length)


def scale(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The tensor·scale, and + bias if it has one."""
    (x,) = inputs
    x = net.emit("mul", x=x, y=weight(net, params.scale, _spread(params.shapeScale), "scale"))
    return net.emit("add", x=x, y=weight(net, params.bias, _spread(params.shapeBias), "bias")) if params.hasBias else x


def bias(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The tensor + bias."""
    (x,) = inputs
    return net.emit("add", x=x, y=weight(net, params.bias, _spread(params.shape), "bias"))


def load_constant(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """C×H×W."""
    shape = tuple(int(length) for length in params.shape)
    if len(shape) != 3:
        raise MilError(f"its constant has the shape {by(shape)} where channels × height × width are taken")
    return weight(net, params.data, (1, *shape) if net.compact else (1, 1, *shape), "constant")


def _spread(shape: Any) -> Shape:
    """A shape of one length per channel, spread over rows and columns."""
    lengths = tuple(int(length) for length in shape)
    return (*lengths, 1, 1) if len(lengths) == 1 else lengths


LAYERS = {
    "add": Layer(combined("add", alone=True), 1, None),
    "multiply": Layer(combined("mul", alone=True), 1, None),
    "average": Layer(average, 1, None),
    "max": Layer(combined("maximum"), 1, None),
    "min": Layer(combined("minimum"), 1, None),
    "dot": Layer(dot, 2, 2),
    "scale": Layer(scale),
    "bias": Layer(bias),
    "loadConstant": Layer(load_constant, 0, 0),
}
