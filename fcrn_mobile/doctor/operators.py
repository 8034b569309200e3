"""Operators as detections see them: what they read, by whom it is computed and who reads it on, and small constants. Nothing is run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from fcrn_mobile.mil.check import CheckedFunction
from fcrn_mobile.mil.declared import declared_operations
from fcrn_mobile.mil.graph import Tensor
from fcrn_mobile.mil.values import Constant, Constants, shape_of, type_name
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Operation, Value

__all__ = ["Op", "Operators", "half"]

#: A constant with more elements is not read: what rules ask of constants are settings and sentinels.
_MOST_ELEMENTS = 2**18


@dataclass(frozen=True, eq=False)
class Op:
    """One operator.

    Attributes:
        kind: MIL's name of it.
        inputs: every tensor that it reads, constants included, by argument.
        outputs: its results.
        constants: values of the arguments that are constant.
        reader: of them.
    """

    kind: str
    inputs: dict[str, tuple[Tensor, ...]]
    outputs: tuple[Tensor, ...]
    constants: "dict[str, Value]" = field(default_factory=dict)
    reader: Constants | None = None

    @property
    def name(self) -> str:
        """Of its first result, or its type where it has none."""
        return self.outputs[0].name if self.outputs else self.kind

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its first result; () if it has none."""
        return self.outputs[0].shape if self.outputs else ()

    def tensor(self, key: str) -> Tensor | None:
        """The first tensor of an argument."""
        return next(iter(self.inputs.get(key, ())), None)

    def shape_of(self, key: str) -> tuple[int, ...]:
        """Shape of an argument; () if it is not there."""
        tensor = self.tensor(key)
        return tensor.shape if tensor else ()

    def constant(self, key: str) -> Constant:
        """The value of a constant argument; None if it is left out, computed at run time, too large or cannot be read."""
        value = self.constants.get(key)
        if value is None or self.reader is None or Tensor("", "", shape_of(value.type)).elements > _MOST_ELEMENTS:
            return None
        try:
            return self.reader.read(value)
        except MilError:  # what is wrong with the weights file is a finding of its own
            return None

    def numbers(self, key: str) -> tuple[float, ...]:
        """The same as numbers; () if it is none."""
        value = self.constant(key)
        if isinstance(value, bool):
            return (float(value),)
        return tuple(value.reshape(-1).tolist()) if isinstance(value, torch.Tensor) else ()

    def number(self, key: str, default: float) -> float:
        """The same as one number."""
        return next(iter(self.numbers(key)), default)


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
            inputs: dict[str, tuple[Tensor, ...]] = {}
            for key, argument in operation.inputs.items():
                bindings = ((b.name, declarations.types.get(b.name) if b.name else b.value.type) for b in argument.arguments)
                inputs[key] = tuple(Tensor(name, type_name(kind), shape_of(kind)) for name, kind in bindings if kind is not None)
            # Before iOS 18 compressed constants hold what they are made of as attributes.
            parts = {key: value for key, value in operation.attributes.items() if operation.type.startswith("constexpr_") and key != "name"}
            inputs.update({key: (Tensor("", type_name(value.type), shape_of(value.type)),) for key, value in parts.items()})
            outputs = tuple(Tensor(output.name, type_name(output.type), shape_of(output.type)) for output in operation.outputs)
            yield Op(operation.type, inputs, outputs, dict(self._values(operation)) | parts, self._reader)

    def _values(self, operation: "Operation") -> "Iterator[tuple[str, Value]]":
        for key, argument in operation.inputs.items():
            for binding in argument.arguments:
                value = self._constants.get(binding.name) if binding.name else binding.value
                if value is not None and len(argument.arguments) == 1:
                    yield key, value


def half(op: Op) -> bool:
    """Whether an operator gives float16: what the Neural Engine may run."""
    return any(tensor.dtype == "FLOAT16" for tensor in op.outputs)
