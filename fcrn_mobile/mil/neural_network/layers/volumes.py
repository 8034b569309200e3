"""Convolution and pooling over depth, height and width: batch × channels × depth × height × width."""

from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor
from fcrn_mobile.mil.neural_network.weights import weight

__all__ = ["LAYERS", "convolution", "global_pooling", "pooling"]

_SIDES = ("Front", "Back", "Top", "Bottom", "Left", "Right")


def convolution(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Kernels O×(I/groups)×d×h×w, of a deconvolution I×(O/groups)×d×h×w."""
    (x,) = inputs
    groups, outputs = int(params.nGroups) or 1, int(params.outputChannels)
    settings: dict[str, Any] = {"strides": _lengths(params, "stride"), "dilations": _lengths(params, "dilation"), "groups": groups}
    settings |= _padding(params)
    if params.isDeconvolution:
        shape = (int(params.inputChannels), outputs // groups)
        settings["output_shape"] = [int(length) for length in params.outputShape] or None
    else:
        shape = (outputs, int(params.inputChannels) // groups)
    kernel = weight(net, params.weights, (*shape, *_lengths(params, "kernel")), axis=1 if params.isDeconvolution else 0)
    offset = weight(net, params.bias, (outputs,), "bias") if params.hasBias else None
    return net.emit("conv_transpose" if params.isDeconvolution else "conv", x=x, weight=kernel, bias=offset, **settings)


def pooling(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The largest or the mean of each window."""
    (x,) = inputs
    settings: dict[str, Any] = {"kernel_sizes": _lengths(params, "kernel"), "strides": _lengths(params, "stride")} | _padding(params)
    if params.type == params.AVERAGE:
        return net.emit("avg_pool", x=x, exclude_padding_from_average=bool(params.countExcludePadding), **settings)
    return net.emit("max_pool", x=x, **settings)


def global_pooling(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The largest or the mean of each volume."""
    (x,) = inputs
    kind = "reduce_mean" if params.type == params.AVERAGE else "reduce_max"
    return net.emit(kind, x=x, axes=[-3, -2, -1], keep_dims=True)


def _lengths(params: Any, what: str) -> list[int]:
    return [int(getattr(params, f"{what}{axis}")) or 1 for axis in ("Depth", "Height", "Width")]


def _padding(params: Any) -> dict[str, Any]:
    if params.paddingType == params.CUSTOM:
        return {"pad_type": "custom", "pad": [int(getattr(params, f"customPadding{side}")) for side in _SIDES]}
    return {"pad_type": "same" if params.paddingType == params.SAME else "valid"}


LAYERS = {
    "convolution3d": Layer(convolution),
    "pooling3d": Layer(pooling),
    "globalPooling3d": Layer(global_pooling),
}
