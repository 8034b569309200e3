"""Layers of version 4 that make tensors: one number everywhere, or random ones."""

from collections.abc import Callable
from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, meta, paired, unknown
from fcrn_mobile.mil.values import check_size

__all__ = ["LAYERS", "categorical", "fill_dynamic", "fill_like", "fill_static"]

_Translate = Callable[[Network, Any, list[Tensor]], Tensor]


def fill_like(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """In the shape of a tensor."""
    (x,) = inputs
    return net.emit("fill_like", x.probes, ref_tensor=x, value=params.value)


def fill_dynamic(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """In the shape that a tensor spells."""
    (shape,) = inputs
    return net.filled(shape, params.value)


def fill_static(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """In a given shape."""
    return net.filled([int(length) for length in params.targetShape], params.value)


def _random(kind: str, constants: dict[str, str], shape: str) -> _Translate:
    """Random numbers in the shape of a tensor (``Like``), in one that a tensor spells (``Dynamic``), or in a given one (``Static``)."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        settings = {name: float(getattr(params, field)) for name, field in constants.items()} | {"seed": int(params.seed)}
        if shape == "Static":
            return _of_shape(net, kind, [int(length) for length in params.outputShape], settings)
        (x,) = inputs
        if shape == "Dynamic":
            lengths = net.numbers(x)
            if lengths is None:
                return net.emit(kind, unknown((-1,) * net.count(x)), shape=net.whole(x), **settings)
            return _of_shape(net, kind, lengths, settings)
        if -1 not in x.shape:
            return _of_shape(net, kind, list(x.shape), settings)
        return net.emit(kind, x.probes, shape=net.emit("shape", x=x), **settings)

    return translate


def _of_shape(net: Network, kind: str, lengths: list[int], settings: dict[str, Any]) -> Tensor:
    check_size(tuple(lengths), "its result")
    return net.emit(kind, (meta(lengths),), shape=lengths, **settings)


def categorical(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Indices drawn by the probabilities of the last axis, or by their logarithms; a temperature divides the logarithms."""
    (x,), temperature, count = inputs, params.temperature or 1.0, int(params.numSamples)
    mode = "logits" if params.isLogits else "probs"
    if temperature != 1:
        logits = x if params.isLogits else net.emit("log", x=x, epsilon=params.eps or 1e-10)
        x, mode = net.emit("real_div", x=logits, y=temperature), "logits"
    probes = paired(lambda shape: (*shape[:-1], count), x)
    return net.emit("random_categorical", probes, "FLOAT32", x=x, mode=mode, size=count, seed=int(params.seed))


_DISTRIBUTIONS = {
    "Bernoulli": ("random_bernoulli", {"prob": "prob"}),
    "Normal": ("random_normal", {"mean": "mean", "stddev": "stdDev"}),
    "Uniform": ("random_uniform", {"low": "minVal", "high": "maxVal"}),
}

LAYERS = {
    **{
        f"random{name}{shape}": Layer(_random(kind, constants, shape), least, least)
        for name, (kind, constants) in _DISTRIBUTIONS.items()
        for shape, least in (("Like", 1), ("Static", 0), ("Dynamic", 1))
    },
    "categoricalDistribution": Layer(categorical),
    "fillLike": Layer(fill_like),
    "fillStatic": Layer(fill_static, 0, 0),
    "fillDynamic": Layer(fill_dynamic),
}
