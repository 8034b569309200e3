"""Pooling over two spatial axes."""

from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.layers.convolution import padding, pair
from fcrn_mobile.mil.neural_network.tensor import Tensor

__all__ = ["LAYERS", "pooling"]

_WINDOWS = {"MAX": "max_pool", "AVERAGE": "avg_pool", "L2": "l2_pool"}
_GLOBAL = {"MAX": "reduce_max", "AVERAGE": "reduce_mean", "L2": "reduce_l2_norm"}


def pooling(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Windows of a map, or the whole map; ``includeLastPixel`` adds a last window that hangs over the padded map."""
    (x,) = inputs
    kind = params.PoolingType.Name(params.type)
    if params.globalPooling:
        return net.emit(_GLOBAL[kind], x=x, axes=[-2, -1], keep_dims=True)
    pads = params.WhichOneof("PoolingPaddingType")
    settings: dict[str, Any] = {"kernel_sizes": pair(params.kernelSize, 3), "strides": pair(params.stride)}
    if pads == "includeLastPixel":
        height, width = pair(params.includeLastPixel.paddingAmounts, 0)
        settings |= {"pad_type": "custom", "pad": [height, height, width, width], "ceil_mode": True}
    else:
        settings |= padding(params, pads)
    if kind == "AVERAGE":
        settings["exclude_padding_from_average"] = bool(params.avgPoolExcludePadding)
    return net.like(x, net.emit(_WINDOWS[kind], x=net.images(x), **settings))


LAYERS = {
    "pooling": Layer(pooling),
}
