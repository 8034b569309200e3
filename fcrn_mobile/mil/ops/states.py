"""States: tensors that a program keeps from one prediction to the next.

No operator overwrites a tensor, so that what was read stays as it was when another is written.
"""

from dataclasses import dataclass

from torch import Tensor

from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "Cell", "read_state", "write_state"]


@dataclass
class Cell:
    """What a state holds at present."""

    tensor: Tensor


def read_state(input: Cell) -> Tensor:
    """What it holds."""
    return _cell(input).tensor


def write_state(input: Cell, data: Tensor) -> tuple[()]:
    """Let it hold something else of its shape; coremltools' ``coreml_update_state`` is written as this and a ``read_state``."""
    cell = _cell(input)
    if not isinstance(data, Tensor) or data.shape != cell.tensor.shape or data.dtype != cell.tensor.dtype:
        raise MilError(f"it writes {_shown(data)} into a state of {_shown(cell.tensor)}")
    cell.tensor = data
    return ()


def _cell(cell: Cell) -> Cell:
    if not isinstance(cell, Cell):
        raise MilError("it reads or writes something that is no state")
    return cell


def _shown(value: Tensor) -> str:
    return f"{value.dtype} {by(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


OPERATORS = {
    "read_state": Operator(read_state, "moved", since=8),
    "write_state": Operator(write_state, "exact", writes=True, since=8),
}
