"""Activations, and the functions of one tensor of version 1."""

from collections.abc import Callable
from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor
from fcrn_mobile.mil.neural_network.weights import values
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "activation", "unary"]

#: Kind of activation → MIL's operator and its constants, which have the same names.
_PLAIN: dict[str, tuple[str, tuple[str, ...]]] = {
    "linear": ("linear_activation", ("alpha", "beta")),
    "ReLU": ("relu", ()),
    "leakyReLU": ("leaky_relu", ("alpha",)),
    "thresholdedReLU": ("thresholded_relu", ("alpha",)),
    "tanh": ("tanh", ()),
    "scaledTanh": ("scaled_tanh", ("alpha", "beta")),
    "sigmoid": ("sigmoid", ()),
    "sigmoidHard": ("sigmoid_hard", ("alpha", "beta")),
    "ELU": ("elu", ("alpha",)),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
}


def activation(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A function of every element; of channels (axis -3) with one constant, or one for each."""
    (x,) = inputs
    kind = params.WhichOneof("NonlinearityType")
    if kind in _PLAIN:
        operator, constants = _PLAIN[kind]
        return net.emit(operator, x=x, **{name: float(getattr(getattr(params, kind), name)) for name in constants})
    if kind not in ("PReLU", "parametricSoftplus"):
        raise MilError(f"its activation is {kind or 'missing'}, which is not known")
    images = net.images(x)
    if kind == "PReLU":
        return net.like(x, net.emit("prelu", x=images, alpha=_per_channel(net, params.PReLU.alpha, images)))
    soft = params.parametricSoftplus
    alpha, beta = (_per_channel(net, each, images) for each in (soft.alpha, soft.beta))
    return net.like(x, net.emit("softplus_parametric", x=images, alpha=alpha, beta=beta))


def _per_channel(net: Network, params: Any, images: Tensor) -> Tensor:
    single = len(params.floatValue) == 1 or len(params.float16Value) == 2
    return net.constant(values(params, (1 if single else images.shape[1],)))


def unary(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A function of scale·x + shift."""
    (x,) = inputs
    scale, shift, epsilon = params.scale or 1.0, params.shift, params.epsilon or 1e-6
    if (scale, shift) != (1.0, 0.0):
        x = net.emit("linear_activation", x=x, alpha=scale, beta=shift)
    name = params.Operation.Name(params.type)
    functions: dict[str, Callable[[], Tensor]] = {
        "SQRT": lambda: net.emit("sqrt", x=x),
        "RSQRT": lambda: net.emit("rsqrt", x=x, epsilon=epsilon),
        "INVERSE": lambda: net.emit("inverse", x=x, epsilon=epsilon),
        "POWER": lambda: net.emit("pow", x=x, y=params.alpha),
        "EXP": lambda: net.emit("exp", x=x),
        "LOG": lambda: net.emit("log", x=x, epsilon=0.0),
        "ABS": lambda: net.emit("abs", x=x),
        "THRESHOLD": lambda: net.emit("threshold", x=x, alpha=params.alpha),
    }
    return functions[name]()


LAYERS = {
    "activation": Layer(activation),
    "unary": Layer(unary),
}
