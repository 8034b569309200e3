"""Lists of tensors of one shape. No operator changes a list: what writes gives another one.

An element that nobody has written is zero. A list grows with what is written behind its end, unless its length is fixed
(coremltools, ``list_write``: "similar to an auto-resizing array"; its test writes element 4 of a list of 2).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.elementwise import data_type
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import check_size
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "TensorList", "list_gather", "list_length", "list_read", "list_scatter", "list_write", "make_list"]


@dataclass(frozen=True)
class TensorList:
    """A list.

    Attributes:
        length: how many elements it has.
        shape: of an element; -1 where the first that is written decides.
        dtype: of an element.
        dynamic: whether it grows.
        written: the elements that were written, by index.
    """

    length: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    dynamic: bool = True
    written: dict[int, Tensor] = field(default_factory=dict)

    def with_elements(self, elements: Iterable[tuple[int, Tensor]]) -> "TensorList":
        """The list with other elements at some indices.

        Raises:
            MilError: an index before its start or behind the end that it cannot pass; an element of another shape or type.
        """
        length, shape, written = self.length, self.shape, dict(self.written)
        for index, element in elements:
            if index < 0 or (index >= length and not self.dynamic):
                raise MilError(f"element {index} cannot be written: the list has {self.length}")
            same = element.dim() == len(shape) and all(ours in (theirs, -1) for ours, theirs in zip(shape, element.shape, strict=True))
            if not same or element.dtype != self.dtype:
                raise MilError(f"an element is {element.dtype} {by(element.shape)}, the list holds {self.dtype} {by(shape)}")
            written[index], shape, length = element, tuple(element.shape), max(length, index + 1)
        check_size((length, *shape), "the list")
        return replace(self, length=length, shape=shape, written=written)

    def stacked(self, indices: list[int]) -> Tensor:
        """Elements along a new first axis.

        Raises:
            MilError: there is no such element.
        """
        for index in indices:
            if not 0 <= index < self.length:
                raise MilError(f"there is no element {index}: the list has {self.length}")
        shape = tuple(1 if length == -1 else length for length in self.shape)
        check_size((len(indices), *shape), "what is read of the list")
        if not indices:
            return torch.zeros(0, *shape, dtype=self.dtype)
        blank = torch.zeros((), dtype=self.dtype).expand(shape)
        return torch.stack([self.written.get(index, blank) for index in indices])


def make_list(
    elem_shape: tuple[Tensor | str, ...], init_length: Tensor | None = None, dynamic_length: bool = True, dtype: str = "fp32"
) -> TensorList:
    """A list of zeros.

    Args:
        elem_shape: lengths; a text where the first element that is written decides.
        init_length: how many; 1 if not given.
        dynamic_length: whether it grows.
        dtype: MIL's name.

    Raises:
        MilError: a negative or monstrous size, an unknown type.
    """
    length = 1 if init_length is None else int(init_length)
    shape = tuple(-1 if isinstance(item, str) else int(item) for item in elem_shape)
    if length < 0 or any(item < -1 for item in shape):
        raise MilError(f"a list of {length} elements {by(shape)} cannot be made")
    check_size((length, *shape), "the list")
    return TensorList(length, shape, data_type(dtype), dynamic_length)


def list_length(ls: TensorList) -> Tensor:
    """How many elements it has."""
    return torch.tensor(_list(ls).length, dtype=torch.int32)


def list_read(ls: TensorList, index: Tensor) -> Tensor:
    """One element."""
    return _list(ls).stacked([int(index)])[0]


def list_write(ls: TensorList, index: Tensor, value: Tensor) -> TensorList:
    """The list with another element."""
    return _list(ls).with_elements([(int(index), value)])


def list_gather(ls: TensorList, indices: Tensor) -> Tensor:
    """Several elements along a new first axis."""
    return _list(ls).stacked([int(index) for index in indices.reshape(-1).tolist()])


def list_scatter(ls: TensorList, indices: Tensor, value: Tensor) -> TensorList:
    """The list with other elements, which lie along the first axis of ``value``."""
    places = [int(index) for index in indices.reshape(-1).tolist()]
    if value.dim() == 0 or len(value) != len(places):
        raise MilError(f"values {by(value.shape)} do not fit {len(places)} indices")
    return _list(ls).with_elements(zip(places, value, strict=True))


def _list(ls: TensorList) -> TensorList:
    if not isinstance(ls, TensorList):
        raise MilError("it reads a list where there is none")
    return ls


OPERATORS = {
    "list_gather": Operator(list_gather, "moved", grows=lambda declared: declared.result),
    "list_length": Operator(list_length, "exact"),
    "list_read": Operator(list_read, "moved"),
    "list_scatter": Operator(list_scatter, "moved"),
    "list_write": Operator(list_write, "moved"),
    "make_list": Operator(make_list, "exact", lists=("elem_shape",)),
}
