"""Gather and scatter.

Before iOS 17 a negative index counts from the end of its axis, and one outside is an error here. From iOS 17 on a negative index lies
outside as well; an index outside is an error if ``validate_indices`` is set, and otherwise Core ML's answer is undefined: here it is
NaN where one is gathered and all NaN where one is scattered, so that nobody takes it for a value, or an error of integers.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import IOS17_SET, Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "gather", "gather_along_axis", "gather_nd", "non_zero", "one_hot", "scatter", "scatter_along_axis", "scatter_nd"]

_Combine = Callable[[Tensor, Tensor], Tensor]

#: How an update meets the value that stands there.
_MODES: dict[str, _Combine] = {
    "add": torch.add,
    "div": lambda old, new: torch.div(old, new) if old.is_floating_point() else torch.div(old, new, rounding_mode="trunc"),
    "max": torch.maximum,
    "min": torch.minimum,
    "mul": torch.mul,
    "sub": torch.sub,
    "update": lambda old, new: new,
}


def gather(
    x: Tensor,
    indices: Tensor,
    axis: Tensor | int = 0,
    batch_dims: Tensor | int = 0,
    validate_indices: bool = False,
    opset: int = IOS17_SET - 1,
) -> Tensor:
    """Slices of ``x`` along an axis: shape x[:axis] + indices[batch_dims:] + x[axis+1:]; the leading ``batch_dims`` axes are shared."""
    along, shared = int(axis) % x.dim(), int(batch_dims)
    positions, outside = _positions(indices, x.shape[along], validate_indices, opset)
    batch, middle, tail = x.shape[:shared], x.shape[shared:along], x.shape[along + 1 :]
    if shared == 0:
        picked = x.index_select(along, positions.reshape(-1))
    else:
        flat = x.reshape(-1, *middle, x.shape[along], *tail)
        rows = positions.reshape(flat.shape[0], -1)
        picked = torch.stack([entry.index_select(along - shared, row) for entry, row in zip(flat, rows, strict=True)])
    picked = picked.reshape((*batch, *middle, *indices.shape[shared:], *tail))
    return _undefined(picked, outside, (*batch, *(1 for _ in middle), *indices.shape[shared:], *(1 for _ in tail)))


def gather_along_axis(
    x: Tensor, indices: Tensor, axis: Tensor | int = 0, validate_indices: bool = False, opset: int = IOS17_SET - 1
) -> Tensor:
    """``output[…, i, …] = x[…, indices[…, i, …], …]``, as NumPy's ``take_along_axis``."""
    along = int(axis) % x.dim()
    positions, outside = _positions(indices, x.shape[along], validate_indices, opset)
    return _undefined(torch.take_along_dim(x, positions, along), outside, indices.shape)


def gather_nd(
    x: Tensor, indices: Tensor, batch_dims: Tensor | int = 0, validate_indices: bool = False, opset: int = IOS17_SET - 1
) -> Tensor:
    """Slices ``x[indices[…, :]]``: shape indices[:-1] + x[batch_dims + K:], K = length of the last axis of ``indices``."""
    shared = int(batch_dims)
    depth = indices.shape[-1]
    columns, outside = _places(indices, x.shape[shared:], validate_indices, opset)
    grids = [torch.arange(x.shape[b]).reshape([-1 if axis == b else 1 for axis in range(indices.dim() - 1)]) for b in range(shared)]
    return _undefined(x[(*grids, *columns)], outside, (*indices.shape[:-1], *(1 for _ in x.shape[shared + depth :])))


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: Tensor | int = 0,
    mode: str = "add",
    validate_indices: bool = False,
    opset: int = IOS17_SET - 1,
) -> Tensor:
    """A copy of ``data`` whose slices ``indices`` (a vector) along an axis meet ``updates``."""
    along = int(axis) % data.dim()
    positions, outside = _positions(indices, data.shape[along], validate_indices, opset)
    moved = data.movedim(along, 0).clone()
    _combine(moved, (positions.reshape(-1),), updates.movedim(along, 0), mode)
    return _undefined(moved.movedim(0, along), outside)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: Tensor | int = 0,
    mode: str = "add",
    validate_indices: bool = False,
    opset: int = IOS17_SET - 1,
) -> Tensor:
    """A copy of ``data`` in which element ``indices[…, i, …]`` along an axis meets ``updates[…, i, …]``."""
    along = int(axis) % data.dim()
    positions, outside = _positions(indices, data.shape[along], validate_indices, opset)
    grids = [torch.arange(n).reshape([-1 if k == a else 1 for k in range(data.dim())]) for a, n in enumerate(indices.shape)]
    grids[along] = positions
    result = data.clone()
    _combine(result, tuple(torch.broadcast_tensors(*grids)), updates, mode)
    return _undefined(result, outside)


def scatter_nd(
    data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False, opset: int = IOS17_SET - 1
) -> Tensor:
    """A copy of ``data`` whose slices ``data[indices[…, :]]`` meet ``updates``."""
    columns, outside = _places(indices, data.shape, validate_indices, opset)
    result = data.clone()
    _combine(result, columns, updates, mode)
    return _undefined(result, outside)


def one_hot(
    indices: Tensor,
    one_hot_vector_size: Tensor | int,
    axis: Tensor | int = -1,
    on_value: Tensor | int | bool = 1,
    off_value: Tensor | int | bool = 0,
) -> Tensor:
    """A new axis that holds ``on_value`` at the index and ``off_value`` elsewhere; an index outside it leaves it off."""
    along = int(axis) % (indices.dim() + 1)
    on, off = torch.as_tensor(on_value), torch.as_tensor(off_value)
    on, off = (value.to(torch.int32) if value.dtype == torch.int64 else value for value in (on, off))
    hit = indices.unsqueeze(-1) == torch.arange(int(one_hot_vector_size))
    return torch.where(hit, on, off).movedim(-1, along)


def non_zero(x: Tensor) -> Tensor:
    """N×rank indices of the elements that are not zero, in row-major order."""
    return torch.nonzero(x).to(torch.int32)


def _positions(indices: Tensor, length: int, validate: bool, opset: int) -> tuple[Tensor, Tensor | None]:
    """Indices as int64 from 0 to length - 1, and where they were outside so that what is read or written there is undefined.

    Raises:
        MilError: an index outside that is not undefined but wrong.
    """
    positions = indices.to(torch.int64)
    low, high = (int(positions.min()), int(positions.max())) if positions.numel() else (0, 0)
    least = 0 if opset >= IOS17_SET else -length
    if low >= 0 and (high < length or not positions.numel()):
        return positions, None
    if low >= least and high < length:
        return torch.where(positions < 0, positions + length, positions), None
    if opset < IOS17_SET or validate:
        hint = "; from iOS 17 on negative ones do not count from the end" if -length <= low < 0 and high < length else ""
        raise MilError(f"index {low if low < least else high} lies outside an axis of length {length}{hint}")
    return positions.clamp(0, length - 1), (positions < 0) | (positions >= length)


def _places(indices: Tensor, lengths: Sequence[int], validate: bool, opset: int) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """The same of indices into several axes, which the last axis holds side by side."""
    pairs = [_positions(indices[..., k], lengths[k], validate, opset) for k in range(indices.shape[-1])]
    outside = [mask for _, mask in pairs if mask is not None]
    return tuple(positions for positions, _ in pairs), torch.stack(outside).any(0) if outside else None


def _undefined(result: Tensor, outside: Tensor | None, shape: Sequence[int] | None = None) -> Tensor:
    """NaN where a result is undefined: there, the mask having this shape, or everywhere."""
    if outside is None:
        return result
    if not result.is_floating_point():
        raise MilError("an index lies outside its axis, which is undefined from iOS 17 on: keep indices inside (coremltools, iOS17 gather)")
    return result.masked_fill(outside.reshape(shape), math.nan) if shape is not None else torch.full_like(result, math.nan)


def _combine(target: Tensor, places: tuple[Tensor, ...], updates: Tensor, mode: str) -> None:
    """Let updates meet the slices at these places, in place; a place that is named twice meets both, in order."""
    if mode not in _MODES:
        raise MilError(f"scatter mode '{mode}' is not one of {', '.join(_MODES)}")
    if mode in ("add", "sub", "update"):
        values = (-updates if mode == "sub" else updates).to(target.dtype)
        target.index_put_(places, values.expand(places[0].shape + target.shape[len(places) :]), accumulate=mode != "update")
        return
    flat_places = [place.reshape(-1) for place in places]
    flat_updates = updates.reshape(-1, *target.shape[len(places) :])
    for index, place in enumerate(zip(*(place.tolist() for place in flat_places), strict=True)):
        target[place] = _MODES[mode](target[place], flat_updates[index])


def _gather_shape(declared: Declared) -> Shape:
    shape, axis = declared.shape("x"), int(declared.number("axis", 0))
    rest = [length for index, length in enumerate(shape) if index != axis % len(shape)]
    return (*rest, *declared.shape("indices")[int(declared.number("batch_dims", 0)) :])


def _gather_nd_shape(declared: Declared) -> Shape:
    indices = declared.shape("indices")
    return (*indices[:-1], *declared.shape("x")[int(declared.number("batch_dims", 0)) + sum(indices[-1:]) :])


OPERATORS = {
    "gather": Operator(gather, "moved", grows=_gather_shape, versioned=True),
    "gather_along_axis": Operator(gather_along_axis, "moved", versioned=True),
    "gather_nd": Operator(gather_nd, "moved", grows=_gather_nd_shape, versioned=True),
    "non_zero": Operator(non_zero, "exact"),
    "one_hot": Operator(
        one_hot, "exact", grows=lambda declared: (*declared.shape("indices"), int(declared.number("one_hot_vector_size", 1)))
    ),
    "scatter": Operator(scatter, "computed", versioned=True),
    "scatter_along_axis": Operator(scatter_along_axis, "computed", versioned=True),
    "scatter_nd": Operator(scatter_nd, "computed", versioned=True),
}
