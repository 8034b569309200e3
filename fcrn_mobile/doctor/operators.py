"""Operators as detections see them: what they read, by whom it is computed and who reads it on, and small constants. Nothing is run."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from fcrn_mobile.mil.check import CheckedFunction
from fcrn_mobile.mil.declared import Declarations, Declared, Numbers, Tensor, declared_operations
from fcrn_mobile.mil.values import Constant, Constants
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Operation, Value

__all__ = ["Op", "Operators", "half"]

#: A constant with more elements is not read: what rules ask of constants are settings and sentinels.
_MOST_ELEMENTS = 2**18


class Op(Declared):
    """One operator with the values of its constants.

    Args:
        operation, declarations: see ``Declared``.
        constants: values of the arguments that are constant.
        reader: of them.
    """

    def __init__(self, operation: "Operation", declarations: Declarations, constants: "dict[str, Value]", reader: Constants) -> None:
        super().__init__(operation, declarations)
        self.constants, self._reader = constants, reader

    @cached_property
    def inputs(self) -> dict[str, tuple[Tensor, ...]]:
        """Those of ``Declared``, and what compressed constants are made of, which they hold as attributes before iOS 18."""
        own = super().inputs
        return own | {key: (Tensor.of("", value.type),) for key, value in self.constants.items() if key not in own}

    def constant(self, key: str) -> Constant:
        """The value of a constant argument; None if it is left out, computed at run time, too large or cannot be read."""
        value = self.constants.get(key)
        if value is None or Tensor.of("", value.type).elements > _MOST_ELEMENTS:
            return None
        try:
            return self._reader.read(value)
        except MilError:  # what is wrong with the weights file is a finding of its own
            return None

    def numbers(self, key: str) -> Numbers:
        """The same as numbers; () if it is none."""
        value = self.constant(key)
        if isinstance(value, bool):
            return (float(value),)
        return tuple(value.reshape(-1).tolist()) if isinstance(value, torch.Tensor) else ()


class Operators:
    """The operators of a function, those inside of others behind them, constants left out.

    Args:
        checked: the function.

    Attributes:
        all: in order.
        outputs: names of what the function gives.
    """

    def __init__(self, checked: CheckedFunction) -> None:
        self._checked, self._reader = checked, checked.constants
        self._constants: dict[str, Value] = {}
        self.all: tuple[Op, ...] = tuple(self._read())
        self.outputs = frozenset(checked.block.outputs)

    def of(self, *kinds: str) -> Iterator[Op]:
        """Those of some kinds."""
        return (op for op in self.all if op.kind in kinds)

    def producer(self, tensor: Tensor | None, *kinds: str) -> Op | None:
        """What computes a tensor, if it is of one of these kinds."""
        op = self._producers.get(tensor.name) if tensor else None
        return op if op and op.kind in kinds else None

    def consumers(self, op: Op, *kinds: str) -> list[Op]:
        """What reads the first result of an operator; where kinds are given, those of it that are of one."""
        return [consumer for consumer in self._consumers.get(op.name, []) if not kinds or consumer.kind in kinds]

    def constant_values(self) -> "Iterable[tuple[str, Value]]":
        """Every constant that has a name, and its value."""
        return self._constants.items()

    @cached_property
    def _producers(self) -> dict[str, Op]:
        return {tensor.name: op for op in self.all for tensor in op.outputs}

    @cached_property
    def _consumers(self) -> dict[str, list[Op]]:
        readers: dict[str, list[Op]] = {}
        for op in self.all:
            for name in dict.fromkeys(tensor.name for tensors in op.inputs.values() for tensor in tensors):
                readers.setdefault(name, []).append(op)
        return readers

    def _read(self) -> Iterator[Op]:
        for operation, declarations in declared_operations(self._checked.proto, self._checked.block):
            if operation.type == "const":
                self._constants[operation.outputs[0].name] = operation.attributes["val"]
                continue
            parts = {key: value for key, value in operation.attributes.items() if operation.type.startswith("constexpr_") and key != "name"}
            yield Op(operation, declarations, dict(self._values(operation)) | parts, self._reader)

    def _values(self, operation: "Operation") -> "Iterator[tuple[str, Value]]":
        for key, argument in operation.inputs.items():
            for binding in argument.arguments:
                value = self._constants.get(binding.name) if binding.name else binding.value
                if value is not None and len(argument.arguments) == 1:
                    yield key, value


def half(op: Op) -> bool:
    """Whether an operator gives float16: what the Neural Engine may run."""
    return any(tensor.dtype == "FLOAT16" for tensor in op.outputs)
