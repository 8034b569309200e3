"""Results of a function under construction, whose shapes are inferred by running operators on tensors without memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil.values import to_torch
from fcrn_mobile.package.errors import MilError

__all__ = ["Probes", "Shape", "Tensor", "joined", "meta", "paired", "product", "unknown"]

#: Lengths that stand in for one that only running tells.
_UNKNOWN = (5, 7, 11)
#: Types of elements that stay what they are, whatever a tensor is joined with → torch's.
_EXACT = {"BOOL": torch.bool, "INT32": torch.int32}

Shape = tuple[int, ...]
Probes = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Tensor:
    """A result of the function under construction.

    Attributes:
        name: of the MIL value.
        dtype: as declared.
        probes: tensors without memory of every size that it was inferred for; one where its shape is fixed.
        value: of a small constant.
        values: what the elements are for each of the probes, of a shape that is computed from those of inputs.
        is_scalar: whether its one axis stands for none: networks have no scalars.
    """

    name: str
    dtype: str
    probes: tuple[torch.Tensor, ...] = field(repr=False)
    value: NDArray[Any] | None = None
    values: tuple[NDArray[Any], ...] = ()
    is_scalar: bool = False

    @property
    def shape(self) -> Shape:
        """Lengths; -1 where they differ between probes."""
        first, *others = (tuple(probe.shape) for probe in self.probes)
        return tuple(length if all(other[axis] == length for other in others) else -1 for axis, length in enumerate(first))

    @property
    def is_spelled(self) -> bool:
        """Whether its elements are known for every probe."""
        return self.value is not None or bool(self.values)

    def spelled(self, at: int) -> torch.Tensor:
        """Its elements, for the ``at``-th probe."""
        return to_torch(np.array(self.values[at % len(self.values)] if self.values else self.value))

    def probe(self, at: int) -> torch.Tensor:
        """The ``at``-th tensor without memory."""
        return self.probes[at % len(self.probes)]

    @property
    def rank(self) -> int:
        return self.probes[0].dim()


def meta(shape: Sequence[int], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A tensor without memory."""
    return torch.empty(tuple(shape), dtype=dtype, device="meta")


def product(lengths: Shape) -> int:
    """How many elements there are along some axes, -1 if one of them is open."""
    return -1 if -1 in lengths else math.prod(lengths)


def paired(shape: Callable[..., Sequence[int]], *tensors: Tensor, dtype: torch.dtype = torch.float32) -> Probes:
    """Probes of a result whose shape follows from those of tensors."""
    count = max(len(tensor.probes) for tensor in tensors)
    return tuple(meta(shape(*(tuple(t.probe(at).shape) for t in tensors)), dtype) for at in range(count))


def unknown(shape: Shape, dtype: torch.dtype = torch.float32) -> Probes:
    """Probes of a shape of which only running tells the lengths that are -1 here."""
    return tuple(meta([each if length < 0 else length for length in shape], dtype) for each in (_UNKNOWN if -1 in shape else _UNKNOWN[:1]))


def joined(first: Tensor, second: Tensor) -> Tensor:
    """A value that is now the one, now the other: lengths that differ are open, floats were rounded where they need it.

    Raises:
        MilError: they have different numbers of axes.
    """
    if first.rank != second.rank:
        raise MilError(f"'{first.name}' has {first.rank} axes, and then {second.rank}")
    dtype = first.dtype if first.dtype == second.dtype and first.dtype in _EXACT else "FLOAT32"
    kind = _EXACT.get(dtype, torch.float32)
    count = max(len(first.probes), len(second.probes))
    pairs = [tuple(tuple(each.probe(at).shape) for each in (first, second)) for at in range(count)]
    open_axes = {axis for axis in range(first.rank) if any(a[axis] != b[axis] for a, b in pairs)}
    number = max(count, len(_UNKNOWN)) if open_axes else len(first.probes)
    probes = (
        meta([_UNKNOWN[at % len(_UNKNOWN)] if axis in open_axes else length for axis, length in enumerate(pairs[at % count][0])], kind)
        for at in range(number)
    )
    return Tensor(first.name, dtype, tuple(probes))
