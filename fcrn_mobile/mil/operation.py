"""The program as this runtime holds it: operators whose constants are already read."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Operation", "Reference", "TensorInfo"]


@dataclass(frozen=True)
class TensorInfo:
    """A named result: data type as the program declares it (``FLOAT16`` …) and shape (-1 where unknown)."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a result of this shape is what is declared."""
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
