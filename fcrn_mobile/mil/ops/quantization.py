"""Quantisation of activations, exactly as integers: what an int8 tensor holds here is what a device's holds."""

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

_TYPES = {"int8": (torch.int8, -128, 127), "uint8": (torch.uint8, 0, 255)}


def quantize(input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """clip(round(x / scale) + zero point), ties to even; one scale, or one per slice along ``axis``."""
    if output_dtype not in _TYPES:
        raise MilError(f"quantize to '{output_dtype}' is not one of {', '.join(_TYPES)}")
    dtype, low, high = _TYPES[output_dtype]
    steps = torch.round(input / along(scale, input.dim(), axis))
    if zero_point is not None:
        steps = steps + along(zero_point, input.dim(), axis).to(steps.dtype)
    return steps.clamp_(low, high).to(dtype)


def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """Scale · (q - zero point); the difference is taken in integers, so that it cannot wrap."""
    steps = input.to(torch.int32)
    if zero_point is not None:
        steps = steps - along(zero_point, input.dim(), axis).to(torch.int32)
    return steps * along(scale, input.dim(), axis)


def along(parameter: Tensor, rank: int, axis: Tensor | None) -> Tensor:
    """A scalar as it is; a vector shaped to broadcast along its axis."""
    if parameter.dim() == 0 or axis is None:
        return parameter
    shape = [1] * rank
    shape[int(axis)] = -1
    return parameter.reshape(shape)


OPERATORS = {
    "dequantize": Operator(dequantize, "computed", inserted=True, free=True),
    "quantize": Operator(quantize, "exact", inserted=True, free=True),
}
