"""Normalizations of version 1: along channels (axis -3) and the map behind them."""

from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor
from fcrn_mobile.mil.neural_network.weights import is_given, weight
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "batchnorm", "l2_normalize", "local_response", "mean_variance", "softmax"]


def batchnorm(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """With stored statistics, those of each image's own channels, or those of the whole batch."""
    (x,) = inputs
    count, images = int(params.channels), net.images(x)
    if images.shape[1] != count:
        raise MilError(f"it has {count} channels, {by(x.shape)} has {images.shape[1]}")
    fields = ("gamma", "beta") if params.computeMeanVar else ("mean", "variance", "gamma", "beta")
    needed = () if params.computeMeanVar else ("mean", "variance")
    settings: dict[str, Any] = {"epsilon": params.epsilon or 1e-5}
    for name in fields:
        if name in needed or is_given(getattr(params, name)):
            settings[name] = weight(net, getattr(params, name), (count,), name)
    if not params.computeMeanVar:
        return net.like(x, net.emit("batch_norm", x=images, **settings))
    if params.instanceNormalization or images.shape[0] == 1:
        return net.like(x, net.emit("instance_norm", x=images, **settings))
    number, channels, height, width = images.shape
    rows = net.reshape(net.emit("transpose", x=images, perm=[1, 0, 2, 3]), (1, channels, -1))
    normal = net.reshape(net.emit("instance_norm", x=rows, **settings), (channels, number, height, width))
    return net.like(x, net.emit("transpose", x=normal, perm=[1, 0, 2, 3]))


def mean_variance(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The tensor - mean, divided by √(variance + epsilon) if asked for, over a map or over all maps together."""
    (x,) = inputs
    axes = [-3, -2, -1] if params.acrossChannels else [-2, -1]
    if params.normalizeVariance:
        return net.emit("layer_norm", x=x, axes=axes, epsilon=params.epsilon or 1e-6)
    return net.emit("sub", x=x, y=net.emit("reduce_mean", x=x, axes=axes, keep_dims=True))


def l2_normalize(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """x/√(Σx² + epsilon) over channels, rows and columns."""
    (x,) = inputs
    return net.emit("l2_norm", x=x, epsilon=params.epsilon or 1e-6)


def local_response(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Over neighbouring channels."""
    (x,) = inputs
    settings = {"size": int(params.localSize), "alpha": params.alpha, "beta": params.beta, "k": params.k or 1.0}
    return net.like(x, net.emit("local_response_norm", x=net.images(x), **settings))


def softmax(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Over the channels."""
    (x,) = inputs
    return net.emit("softmax", x=x, axis=-3)


LAYERS = {
    "batchnorm": Layer(batchnorm),
    "mvn": Layer(mean_variance),
    "l2normalize": Layer(l2_normalize),
    "lrn": Layer(local_response),
    "softmax": Layer(softmax),
}
