"""The program as this runtime holds it: operators whose constants are already read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Operation", "Reference", "TensorInfo", "renamed"]


@dataclass(frozen=True)
class TensorInfo:
    """A named result: data type as the program declares it (``FLOAT16`` …) and shape (-1 where unknown, None if nothing is declared)."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a result of this shape is what is declared."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(declared in (actual, -1) for actual, declared in zip(shape, self.shape, strict=True))


@dataclass(frozen=True)
class Reference:
    """An argument that is computed at run time."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One operator of the program.

    Attributes:
        kind: MIL's name of it.
        arguments: constants, references, or tuples of both.
        outputs: what it yields.
        releases: names of tensors that nothing needs after it.
        names: argument → what the package calls the constant there, often after the layer it comes from.
    """

    kind: str
    arguments: dict[str, Any]
    outputs: tuple[TensorInfo, ...]
    releases: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its first output."""
        return self.outputs[0].name

    @property
    def references(self) -> set[str]:
        """Names of the tensors it reads."""
        values = [v for a in self.arguments.values() for v in (a if isinstance(a, tuple) else (a,))]
        return {value.name for value in values if isinstance(value, Reference)}

    def __str__(self) -> str:
        return f"operator '{self.kind}' at '{self.name}'"


def renamed(operation: Operation, scope: dict[str, str], prefix: str) -> Operation:
    """An operation as it stands among others whose values might have the same names.

    Args:
        operation: as it is.
        scope: name of each value that it may read → what that is called now; its results are added.
        prefix: what its results get before their names.
    """
    arguments = {key: _renamed(argument, scope) for key, argument in operation.arguments.items()}
    scope.update((info.name, prefix + info.name) for info in operation.outputs)
    outputs = tuple(replace(info, name=scope[info.name]) for info in operation.outputs)
    return replace(operation, arguments=arguments, outputs=outputs)


def _renamed(argument: Any, scope: Mapping[str, str]) -> Any:
    if isinstance(argument, tuple):
        return tuple(_renamed(item, scope) for item in argument)
    return Reference(scope[argument.name]) if isinstance(argument, Reference) else argument
