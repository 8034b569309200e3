"""Convolutions and layers that multiply by a matrix."""

from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, product
from fcrn_mobile.mil.neural_network.weights import weight
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "amounts", "convolution", "embedding", "inner_product", "padding", "pair", "table"]


def pair(values: Any, default: int = 1) -> list[int]:
    """Two lengths, height first; ``default`` for both if there are none.

    Raises:
        MilError: other than none or two of them.
    """
    if len(values) not in (0, 2):
        raise MilError(f"it has {len(values)} lengths where it takes a height and a width")
    return [int(value) for value in values] or [default, default]


def amounts(borders: Any) -> list[int]:
    """Before and after the height and the width, of ``BorderAmounts``; zeros if none are given."""
    sides = [int(size) for edge in borders.borderAmounts for size in (edge.startEdgeSize, edge.endEdgeSize)]
    if len(sides) not in (0, 4):
        raise MilError(f"its border has {len(sides)} amounts where it takes four")
    return sides or [0, 0, 0, 0]


def padding(params: Any, kind: str | None) -> dict[str, Any]:
    """Padding of a convolution or a pooling; ``same`` puts an odd line behind, or in front (``TOP_LEFT_HEAVY``)."""
    if kind == "same":
        return {"pad_type": "same_lower" if params.same.asymmetryMode else "same"}
    return {"pad_type": "custom", "pad": amounts(params.valid.paddingAmounts)}


def convolution(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Kernels O×(I/groups)×h×w, of a deconvolution I×(O/groups)×h×w. With ``outputShape`` its padding is ignored: what the full result
    has more is cut on both sides, an odd line behind. Its dilation counts: NeuralNetwork.proto calls it ignored, but coremltools writes it
    and its test of it (``test_convolution_transpose2d_dynamic_input``) wants the size that it gives.
    """
    x, *kernels = inputs
    groups, outputs = int(params.nGroups) or 1, int(params.outputChannels)
    settings: dict[str, Any] = {"strides": pair(params.stride), "groups": groups, "dilations": pair(params.dilationFactor)}
    if params.isDeconvolution and len(params.outputShape):
        settings |= {"pad_type": "same", "output_shape": pair(params.outputShape)}
    else:
        settings |= padding(params, params.WhichOneof("ConvolutionPaddingType"))
    transposed = (int(params.kernelChannels), outputs // groups)
    leading = transposed if params.isDeconvolution else (outputs, int(params.kernelChannels))
    axis = 1 if params.isDeconvolution else 0
    (kernel,) = kernels or [weight(net, params.weights, (*leading, *pair(params.kernelSize, 3)), axis=axis)]
    offset = weight(net, params.bias, (outputs,), "bias") if params.hasBias else None
    operator = "conv_transpose" if params.isDeconvolution else "conv"
    return net.like(x, net.emit(operator, x=net.images(x), weight=kernel, bias=offset, **settings))


def inner_product(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Of tensors of up to three axes along the last one; else of all channels, rows and columns together. Weights that are to meet
    inputs quantized on the way (``int8DynamicQuantize``) meet them as they are: the file does not say how they are quantized.
    """
    (x,) = inputs
    matrix = weight(net, params.weights, (int(params.outputChannels), int(params.inputChannels)))
    offset = weight(net, params.bias, (int(params.outputChannels),), "bias") if params.hasBias else None
    if x.rank <= 3:
        return net.emit("linear", x=x, weight=matrix, bias=offset)
    rows = net.reshape(x, (*x.shape[:-3], product(x.shape[-3:])))
    return net.emit("expand_dims", x=net.emit("linear", x=rows, weight=matrix, bias=offset), axes=[-2, -1])


def embedding(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Columns of a matrix that is stored output × input; whole numbers …×1×1×1 pick them."""
    (x,) = inputs
    rows = table(net, params.weights, int(params.inputDim), int(params.outputChannels))
    picked = net.gather(rows, net.reshape(x, x.shape[:-3]))
    if params.hasBias:
        picked = net.emit("add", x=picked, y=weight(net, params.bias, (int(params.outputChannels),), "bias"))
    return net.emit("expand_dims", x=picked, axes=[-2, -1])


def table(net: Network, params: Any, rows: int, columns: int) -> Tensor:
    """Rows that are stored as columns."""
    return net.emit("transpose", x=weight(net, params, (columns, rows)), perm=[1, 0])


LAYERS = {
    "convolution": Layer(convolution, 1, 2),
    "innerProduct": Layer(inner_product),
    "embedding": Layer(embedding),
}
