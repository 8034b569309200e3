"""Compressed constants, expanded once when the package is loaded."""

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import Operator


def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: Tensor) -> Tensor:
    """scale·(q - zero_point), with one scale and zero point, or one per slice along ``axis`` (iOS 16)."""
    along = [1] * quantized_data.dim()
    along[int(axis)] = -1
    return (quantized_data.float() - zero_point.float().reshape(along)) * scale.reshape(along)


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """scale·(q - offset), with one scale and offset per block; the block's size follows from the shapes (iOS 18)."""
    values = data.float()
    if offset is not None:
        values = values - _blocks(offset.float(), data.shape)
    return values * _blocks(scale, data.shape)


def _blocks(parameters: Tensor, shape: torch.Size) -> Tensor:
    """Repeat block parameters to the shape of the data."""
    for axis, length in enumerate(shape):
        count = parameters.shape[axis]
        if count not in (1, length):
            parameters = parameters.repeat_interleave(length // count, dim=axis)
    return parameters


OPERATORS: dict[str, Operator] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
}
