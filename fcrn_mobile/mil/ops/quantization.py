"""Quantisation of activations, exactly as integers: what an int8 tensor holds here is what a device's holds."""

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.quantize.blocks import along
from fcrn_mobile.quantize.grids import Integers

__all__ = ["OPERATORS", "dequantize", "quantize"]

_TYPES = {"int8": torch.int8, "uint8": torch.uint8}


def quantize(input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """clip(round(x / scale) + zero point), ties to even; one scale, or one per slice along ``axis``."""
    if output_dtype not in _TYPES:
        raise MilError(f"quantize to '{output_dtype}' is not one of {', '.join(_TYPES)}")
    return _grid(input, scale, zero_point, axis, output_dtype == "int8").codes(input).to(_TYPES[output_dtype])


def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: Tensor | None = None) -> Tensor:
    """Scale · (q - zero point); the difference is taken in floats, so that it cannot wrap."""
    return _grid(input, scale, zero_point, axis, input.dtype == torch.int8).values(input)


def _grid(tensor: Tensor, scale: Tensor, zero: Tensor | None, axis: Tensor | None, signed: bool) -> Integers:
    rank = tensor.dim()
    return Integers(along(scale, rank, axis), None if zero is None else along(zero, rank, axis), signed=signed)


OPERATORS = {
    "dequantize": Operator(dequantize, "computed", inserted=True, free=True, since=7),
    "quantize": Operator(quantize, "exact", inserted=True, free=True, since=7),
}
