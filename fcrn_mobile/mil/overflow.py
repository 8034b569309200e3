"""Where values run over."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.mil.arithmetic import ANE, FLOAT32, Arithmetic
from fcrn_mobile.mil.operation import Operation, Reference
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.ops.lists import TensorList
from fcrn_mobile.mil.ops.states import Cell

__all__ = ["Overflow", "overflow_at"]


@dataclass(frozen=True)
class Overflow:
    """The first result that is not finite though all that went into its operator was.

    Attributes:
        name: of the tensor.
        operator: what computed it.
        largest: largest magnitude among the operator's inputs.
        trait: what happened past a published limit of the Neural Engine, where the result is finite; empty else.
    """

    name: str
    operator: str
    largest: float
    trait: str = ""

    def __str__(self) -> str:
        limit = f", past a published limit: {self.trait}" if self.trait else ""
        return f"'{self.name}' ({self.operator} of values up to {self.largest:.4g}{limit})"


def overflow_at(operation: Operation, values: Mapping[str, Any], arithmetic: Arithmetic = FLOAT32) -> Overflow | None:
    """The first result of an operator that has just run that is not finite, if all that the operator read is.

    Under ``ane`` also one that is finite, but past a limit beyond which the engine gives something else.
    """
    if OPERATORS[operation.kind].blocks:
        return None  # what runs inside is looked at itself
    for info in operation.outputs:
        result = values[info.name]
        if isinstance(result, Tensor) and result.is_floating_point() and not _finite(result):
            largest = _largest(operation, values)
            if math.isfinite(largest):
                return Overflow(info.name, operation.kind, largest)
    if arithmetic.name != ANE.name or not operation.outputs:
        return None
    arguments = {key: values[a.name] if isinstance(a, Reference) else a for key, a in operation.arguments.items()}
    trait = arithmetic.passed(operation.kind, arguments, operation.outputs[0].dtype)
    return Overflow(operation.name, operation.kind, _largest(operation, values), trait.text) if trait else None


def _finite(value: Tensor) -> bool:
    """Whether all elements are; a finite sum says so forty times faster."""
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())


def _largest(operation: Operation, values: Mapping[str, Any]) -> float:
    """Largest magnitude among the numbers that an operator reads; NaN if one is."""
    taken = [values[name] for name in operation.references]
    taken += [a for a in operation.arguments.values() if isinstance(a, Tensor)]
    floats = [value for item in taken for value in _tensors(item) if value.is_floating_point() and value.numel()]
    return float(torch.stack([value.abs().max() for value in floats]).max()) if floats else 0.0


def _tensors(value: Any) -> tuple[Tensor, ...]:
    if isinstance(value, TensorList):
        return tuple(value.written.values())
    return (value.tensor,) if isinstance(value, Cell) else (value,) if isinstance(value, Tensor) else ()
