"""Compressed constants, expanded once when the package is loaded. iOS 16 packs indices and masks into bytes, iOS 18 names their type."""

import math

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.blob import unpack
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.quantize.blocks import along
from fcrn_mobile.quantize.grids import Integers, Table

__all__ = [
    "OPERATORS",
    "constexpr_affine_dequantize",
    "constexpr_blockwise_shift_scale",
    "constexpr_cast",
    "constexpr_lut_to_dense",
    "constexpr_lut_to_sparse",
    "constexpr_sparse_blockwise_shift_scale",
    "constexpr_sparse_to_dense",
]


def constexpr_affine_dequantize(quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: Tensor) -> Tensor:
    """scale·(q - zero_point), with one scale and zero point, or one per slice along ``axis`` (iOS 16)."""
    scale, zero_point = (along(each, quantized_data.dim(), axis) for each in (scale, zero_point))
    return Integers(scale, zero_point).values(quantized_data)


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """scale·(q - offset), with one scale and offset per block; the block's size follows from the shapes (iOS 18)."""
    for parameter in (scale, offset):
        if parameter is not None:
            _check_blocks(parameter.shape, data.shape, "scales")
    return Integers(scale, offset).values(data)


def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """Half-precision values as single precision, which they are here already."""
    if output_dtype != "fp32":
        raise MilError(f"constexpr_cast to '{output_dtype}' is not defined: only fp32 is")
    return source_val.float()


def constexpr_lut_to_dense(indices: Tensor, lut: Tensor, shape: Tensor | None = None, vector_axis: Tensor | None = None) -> Tensor:
    """Values of a look-up table.

    Args:
        indices: iOS 16, with ``shape``: bytes that pack indices of log₂(entries) bits from the lowest bit on; iOS 18: the indices.
        lut: iOS 16: the entries; iOS 18: one table per block of the indices, blocks…×entries×vector length.
        shape: of the result (iOS 16).
        vector_axis: along which the vector of an entry is laid out (iOS 18).
    """
    if shape is not None:
        lengths = ints(shape)
        indices = _unpacked(indices, round(math.log2(lut.numel())), math.prod(lengths)).reshape(lengths)
        lut = lut.reshape(*[1] * len(lengths), -1, 1)
    _check_blocks(lut.shape[:-2], indices.shape, "look-up tables")
    if lut.shape[-1] == 1:
        return Table(lut.squeeze(-1)).values(indices)
    if vector_axis is None:
        raise MilError("a look-up table of vectors names no vector_axis")
    axis = int(vector_axis) % indices.dim()
    elements = [Table(entries).values(indices) for entries in lut.unbind(-1)]
    return torch.stack(elements, axis + 1).flatten(axis, axis + 1)


def constexpr_lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mask and non-zero values of a sparse tensor whose values are indices into a table (iOS 18)."""
    indices = constexpr_sparse_to_dense(indices_nonzero_data, indices_mask)
    dense = constexpr_lut_to_dense(indices, lut, vector_axis=vector_axis)
    vector = lut.shape[-1]
    mask = indices_mask.repeat_interleave(vector, dim=int(vector_axis)) if vector > 1 and vector_axis is not None else indices_mask
    return mask, dense[mask.bool()]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mask and non-zero values of a sparse tensor whose values are quantised per block (iOS 18)."""
    dense = constexpr_blockwise_shift_scale(constexpr_sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask.bool()]


def constexpr_sparse_to_dense(nonzero_data: Tensor, mask: Tensor, shape: Tensor | None = None) -> Tensor:
    """Values where the mask is set, in row-major order, zeros elsewhere.

    Args:
        nonzero_data: as many values as the mask has bits.
        mask: iOS 16, with ``shape``: bytes that pack one bit per element from the lowest on; iOS 18: the mask itself.
        shape: of the result (iOS 16).
    """
    if shape is not None:
        lengths = ints(shape)
        mask = _unpacked(mask, 1, math.prod(lengths)).reshape(lengths)
    dense = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    dense[mask.bool()] = nonzero_data
    return dense


def _check_blocks(blocks: torch.Size, shape: torch.Size, what: str) -> None:
    for count, length in zip(blocks, shape, strict=True):
        if length % count:
            raise MilError(f"{count} {what} do not divide an axis of length {length}")


def _unpacked(packed: Tensor, bits: int, count: int) -> Tensor:
    """``count`` numbers of so many bits out of bytes."""
    return packed.reshape(-1)[:count] if bits == 8 else torch.from_numpy(unpack(packed.reshape(-1).numpy(), bits, False, count))


OPERATORS = {
    "constexpr_affine_dequantize": Operator(constexpr_affine_dequantize, "computed", since=6),
    "constexpr_blockwise_shift_scale": Operator(constexpr_blockwise_shift_scale, "computed", since=8),
    "constexpr_cast": Operator(constexpr_cast, "computed", since=6),
    "constexpr_lut_to_dense": Operator(constexpr_lut_to_dense, "computed", since=6),
    "constexpr_lut_to_sparse": Operator(constexpr_lut_to_sparse, "computed", since=8),
    "constexpr_sparse_blockwise_shift_scale": Operator(constexpr_sparse_blockwise_shift_scale, "computed", since=8),
    "constexpr_sparse_to_dense": Operator(constexpr_sparse_to_dense, "computed", since=6),
}
