"""Gather and scatter. An index outside its axis is an error here, whatever ``validate_indices`` says: a device's answer is undefined."""

from collections.abc import Callable

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import Operator
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


def gather(x: Tensor, indices: Tensor, axis: Tensor | int = 0, batch_dims: Tensor | int = 0, validate_indices: bool = False) -> Tensor:
    """Slices of ``x`` along an axis: shape x[:axis] + indices[batch_dims:] + x[axis+1:]; the leading ``batch_dims`` axes are shared."""
    along, shared = int(axis) % x.dim(), int(batch_dims)
    positions = _positions(indices, x.shape[along])
    if shared == 0:
        picked = x.index_select(along, positions.reshape(-1))
        return picked.reshape((*x.shape[:along], *indices.shape, *x.shape[along + 1 :]))
    batch, middle, tail = x.shape[:shared], x.shape[shared:along], x.shape[along + 1 :]
    flat = x.reshape(-1, *middle, x.shape[along], *tail)
    rows = positions.reshape(flat.shape[0], -1)
    picked = torch.stack([entry.index_select(along - shared, row) for entry, row in zip(flat, rows, strict=True)])
    return picked.reshape((*batch, *middle, *indices.shape[shared:], *tail))


def gather_along_axis(x: Tensor, indices: Tensor, axis: Tensor | int = 0, validate_indices: bool = False) -> Tensor:
    """``output[…, i, …] = x[…, indices[…, i, …], …]``, as NumPy's ``take_along_axis``."""
    along = int(axis) % x.dim()
    return torch.take_along_dim(x, _positions(indices, x.shape[along]), along)


def gather_nd(x: Tensor, indices: Tensor, batch_dims: Tensor | int = 0, validate_indices: bool = False) -> Tensor:
    """Slices ``x[indices[…, :]]``: shape indices[:-1] + x[batch_dims + K:], K = length of the last axis of ``indices``."""
    shared = int(batch_dims)
    depth = indices.shape[-1]
    columns = [_positions(indices[..., k], x.shape[shared + k]) for k in range(depth)]
    grids = [torch.arange(x.shape[b]).reshape([-1 if axis == b else 1 for axis in range(indices.dim() - 1)]) for b in range(shared)]
    return x[(*grids, *columns)]


def scatter(
    data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """A copy of ``data`` whose slices ``indices`` (a vector) along an axis meet ``updates``."""
    along = int(axis) % data.dim()
    positions = _positions(indices, data.shape[along]).reshape(-1)
    moved = data.movedim(along, 0).clone()
    _combine(moved, (positions,), updates.movedim(along, 0), mode)
    return moved.movedim(0, along)


def scatter_along_axis(
    data: Tensor, indices: Tensor, updates: Tensor, axis: Tensor | int = 0, mode: str = "add", validate_indices: bool = False
) -> Tensor:
    """A copy of ``data`` in which element ``indices[…, i, …]`` along an axis meets ``updates[…, i, …]``."""
    along = int(axis) % data.dim()
    positions = _positions(indices, data.shape[along])
    grids = [torch.arange(n).reshape([-1 if k == a else 1 for k in range(data.dim())]) for a, n in enumerate(indices.shape)]
    grids[along] = positions
    result = data.clone()
    _combine(result, tuple(torch.broadcast_tensors(*grids)), updates, mode)
    return result


def scatter_nd(data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False) -> Tensor:
    """A copy of ``data`` whose slices ``data[indices[…, :]]`` meet ``updates``."""
    columns = tuple(_positions(indices[..., k], data.shape[k]) for k in range(indices.shape[-1]))
    result = data.clone()
    _combine(result, columns, updates, mode)
    return result


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


def _positions(indices: Tensor, length: int) -> Tensor:
    """Indices as int64, negative ones counted from the end."""
    positions = indices.to(torch.int64)
    if positions.numel():
        low, high = int(positions.min()), int(positions.max())
        if low < -length or high >= length:
            raise MilError(f"index {low if low < -length else high} lies outside an axis of length {length}")
        if low < 0:
            positions = torch.where(positions < 0, positions + length, positions)
    return positions


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
    "gather": Operator(gather, "moved", grows=_gather_shape),
    "gather_along_axis": Operator(gather_along_axis, "moved"),
    "gather_nd": Operator(gather_nd, "moved", grows=_gather_nd_shape),
    "non_zero": Operator(non_zero, "exact"),
    "one_hot": Operator(
        one_hot, "exact", grows=lambda declared: (*declared.shape("indices"), int(declared.number("one_hot_vector_size", 1)))
    ),
    "scatter": Operator(scatter, "computed"),
    "scatter_along_axis": Operator(scatter_along_axis, "computed"),
    "scatter_nd": Operator(scatter_nd, "computed"),
}
