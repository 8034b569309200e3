"""Layers of version 4 that reduce, normalize and multiply tensors of any rank."""

from collections.abc import Callable
from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.layers.convolution import table
from fcrn_mobile.mil.neural_network.tensor import Tensor
from fcrn_mobile.mil.neural_network.weights import weight
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "batched_matmul", "embedding", "layer_normalization", "softmax"]

_Translate = Callable[[Network, Any, list[Tensor]], Tensor]

_REDUCTIONS = {
    "reduceL1": "reduce_l1_norm",
    "reduceL2": "reduce_l2_norm",
    "reduceLogSum": "reduce_log_sum",
    "reduceLogSumExp": "reduce_log_sum_exp",
    "reduceMax": "reduce_max",
    "reduceMean": "reduce_mean",
    "reduceMin": "reduce_min",
    "reduceProd": "reduce_prod",
    "reduceSum": "reduce_sum",
    "reduceSumSquare": "reduce_sum_square",
}


def _reduction(kind: str) -> _Translate:
    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        (x,) = inputs
        axes = range(x.rank) if params.reduceAll or not params.axes else params.axes
        return net.emit(kind, x=x, axes=[int(axis) for axis in axes], keep_dims=bool(params.keepDims))

    return translate


def batched_matmul(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Matrices of the last two axes, or a stored matrix with each row; a vector is a row on the left, a column on the right."""
    x, *second = inputs
    if not second:
        sizes = (int(params.weightMatrixSecondDimension), int(params.weightMatrixFirstDimension))
        offset = weight(net, params.bias, sizes[:1], "bias") if params.hasBias else None
        return net.emit("linear", x=x, weight=weight(net, params.weights, sizes), bias=offset)
    (y,) = second
    x = net.emit("expand_dims", x=x, axes=[0]) if x.rank == 1 else x
    y = net.emit("expand_dims", x=y, axes=[1]) if y.rank == 1 else y
    return net.emit("matmul", x=x, y=y, transpose_x=bool(params.transposeA), transpose_y=bool(params.transposeB))


def embedding(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Columns of a matrix that is stored output × input; whole numbers …×1 pick them."""
    (x,), size = inputs, int(params.embeddingSize)
    picked = net.gather(table(net, params.weights, int(params.vocabSize), size), net.reshape(x, x.shape[:-1]))
    return net.emit("add", x=picked, y=weight(net, params.bias, (size,), "bias")) if params.hasBias else picked


def layer_normalization(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Over the last axes, gamma and beta of their lengths."""
    (x,), shape = inputs, tuple(int(length) for length in params.normalizedShape)
    if not 0 < len(shape) <= x.rank:
        raise MilError(f"it normalizes {by(shape)} of {by(x.shape)}")
    factors = {name: weight(net, getattr(params, name), shape, name) for name in ("gamma", "beta")}
    return net.emit("layer_norm", x=x, axes=list(range(-len(shape), 0)), epsilon=params.eps, **factors)


def softmax(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Along an axis."""
    (x,) = inputs
    return net.emit("softmax", x=x, axis=int(params.axis))


LAYERS = {
    **{kind: Layer(_reduction(operator)) for kind, operator in _REDUCTIONS.items()},
    "batchedMatmul": Layer(batched_matmul, 1, 2),
    "embeddingND": Layer(embedding),
    "layerNormalization": Layer(layer_normalization),
    "softmaxND": Layer(softmax),
}
