"""Operators that take or replace parts of a tensor."""

import math

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.arguments import flags, ints
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "band_part", "reverse", "reverse_sequence", "slice_by_index", "slice_by_size", "slice_update", "sliding_windows"]


def slice_by_index(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    """``x[begin:end:stride, …]`` as NumPy slices; a masked bound is open, a squeezed axis is indexed at ``begin``."""
    parts, squeezed = _slices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    for axis, (start, stop, step) in enumerate(parts):
        if step < 0:
            # torch has no negative steps: walk the same elements forwards and flip them.
            indices = range(x.shape[axis])[start:stop:step]
            x = x.index_select(axis, torch.tensor(list(indices), dtype=torch.int64))
        else:
            x = x[(slice(None),) * axis + (slice(start, stop, step),)]
    return x.squeeze(squeezed) if squeezed else x


def slice_by_size(x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    """``size`` elements from ``begin`` on, per axis; -1 takes the rest."""
    for axis, (start, length) in enumerate(zip(ints(begin), ints(size), strict=True)):
        start += x.shape[axis] if start < 0 else 0
        x = x.narrow(axis, start, x.shape[axis] - start if length == -1 else length)
    return x


def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None = None,
    begin_mask: Tensor | None = None,
    end_mask: Tensor | None = None,
    squeeze_mask: Tensor | None = None,
) -> Tensor:
    """A copy of ``x`` whose slice (see ``slice_by_index``) holds ``update``."""
    parts, squeezed = _slices(x, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    grids = [torch.arange(x.shape[axis])[list(range(x.shape[axis])[slice(*part)])] for axis, part in enumerate(parts)]
    shape = [1 if axis in squeezed else len(grid) for axis, grid in enumerate(grids)]
    result = x.clone()
    result[torch.meshgrid(*grids, indexing="ij")] = update.reshape(shape)
    return result


def sliding_windows(x: Tensor, axis: Tensor, size: Tensor, stride: Tensor | int = 1) -> Tensor:
    """Windows along an axis: its place takes their count, the axis behind it their elements."""
    along = int(axis) % x.dim()
    return x.unfold(along, int(size), int(stride)).movedim(-1, along + 1)


def reverse(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Elements in reverse order along these axes, or all."""
    return torch.flip(x, ints(axes) if axes is not None else list(range(x.dim())))


def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: Tensor | int = 0, batch_axis: Tensor | int = 0) -> Tensor:
    """The first ``lengths[b]`` elements along ``seq_axis`` reversed, for every b of ``batch_axis``."""
    along, batch = int(seq_axis) % x.dim(), int(batch_axis) % x.dim()
    result = x.clone()
    for index, length in enumerate(ints(lengths)):
        row = result.select(batch, index)
        inner = along - (1 if batch < along else 0)
        row.narrow(inner, 0, length).copy_(x.select(batch, index).narrow(inner, 0, length).flip(inner))
    return result


def band_part(x: Tensor, lower: Tensor | int = -1, upper: Tensor | int = -1) -> Tensor:
    """The diagonals from ``lower`` below to ``upper`` above the main one of the last two axes, zeros elsewhere; negative keeps all."""
    rows, columns = torch.arange(x.shape[-2])[:, None], torch.arange(x.shape[-1])
    keep = torch.ones(x.shape[-2:], dtype=torch.bool)
    if int(lower) >= 0:
        keep &= rows - columns <= int(lower)
    if int(upper) >= 0:
        keep &= columns - rows <= int(upper)
    return torch.where(keep, x, torch.zeros((), dtype=x.dtype))


def _slices(
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: Tensor | None,
    begin_mask: Tensor | None,
    end_mask: Tensor | None,
    squeeze_mask: Tensor | None,
) -> tuple[list[tuple[int | None, int | None, int]], tuple[int, ...]]:
    """A Python slice per axis, and the axes to squeeze."""
    rank = x.dim()
    starts, stops, steps = ints(begin), ints(end), ints(stride, 1, rank)
    open_start, open_stop, squeeze = flags(begin_mask, rank), flags(end_mask, rank), flags(squeeze_mask, rank)
    parts: list[tuple[int | None, int | None, int]] = []
    for axis in range(rank):
        length = x.shape[axis]
        if squeeze[axis]:
            index = 0 if open_start[axis] else starts[axis]
            if not -length <= index < length:
                raise MilError(f"index {index} lies outside axis {axis} of length {length}")
            index %= length
            parts.append((index, index + 1, 1))
            continue
        # A negative bound counts from the end, as in Python; backwards over everything needs an open end.
        parts.append((None if open_start[axis] else starts[axis], None if open_stop[axis] else stops[axis], steps[axis]))
    return parts, tuple(axis for axis in range(rank) if squeeze[axis])


def _windows_shape(declared: Declared) -> Shape:
    shape, axis, size = declared.shape("x"), int(declared.number("axis", 0)), int(declared.number("size", 1))
    length = shape[axis % len(shape)] if shape else 1
    windows = (length - size) // max(int(declared.number("stride", 1)), 1) + 1
    return (math.prod(shape) // length, windows, size)


OPERATORS = {
    "band_part": Operator(band_part, "moved"),
    "reverse": Operator(reverse, "moved"),
    "reverse_sequence": Operator(reverse_sequence, "moved"),
    "slice_by_index": Operator(slice_by_index, "moved"),
    "slice_by_size": Operator(slice_by_size, "moved"),
    "slice_update": Operator(slice_update, "moved", since=8),
    "sliding_windows": Operator(sliding_windows, "moved", grows=_windows_shape),
}
