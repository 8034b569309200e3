"""The program as this runtime holds it: operators whose constants are already read."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Block", "Operation", "Reference", "TensorInfo", "every", "renamed"]


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
        blocks: operators that it runs itself, as often as it likes: of a loop, of the branches of a condition.
    """

    kind: str
    arguments: dict[str, Any]
    outputs: tuple[TensorInfo, ...]
    releases: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    blocks: tuple["Block", ...] = ()

    @property
    def name(self) -> str:
        """Name of its first output; of what it writes to if it has none."""
        return self.outputs[0].name if self.outputs else min(self.references, default=self.kind)

    @property
    def references(self) -> set[str]:
        """Names of the tensors it reads, those that its blocks read from outside included."""
        return _named(self.arguments.values()).union(*(block.reads for block in self.blocks))

    def __str__(self) -> str:
        return f"operator '{self.kind}' at '{self.name}'"


@dataclass(frozen=True)
class Block:
    """Operators inside an operator. They see every value that stands before that operator, and their own.

    Attributes:
        inputs: what the operator hands in, by the names that it has inside.
        operations: in order.
        outputs: what it hands back: references or constants.
        releases: names of its own values that are left at its end.
    """

    inputs: tuple[TensorInfo, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[Any, ...]
    releases: tuple[str, ...] = ()

    @property
    def reads(self) -> set[str]:
        """Names of the values outside that it reads."""
        own = {info.name for info in self.inputs}.union(info.name for operation in self.operations for info in operation.outputs)
        return _named(self.outputs).union(*(operation.references for operation in self.operations)) - own


def every(operations: Iterable[Operation]) -> Iterator[Operation]:
    """All operators, those inside of one before itself, as they end when they run."""
    for operation in operations:
        for block in operation.blocks:
            yield from every(block.operations)
        yield operation


def renamed(operation: Operation, scope: dict[str, str], prefix: str) -> Operation:
    """An operation as it stands among others whose values might have the same names.

    Args:
        operation: as it is.
        scope: name of each value that it may read → what that is called now; its results are added.
        prefix: what its results get before their names.
    """
    arguments = {key: _renamed(argument, scope) for key, argument in operation.arguments.items()}
    blocks = tuple(_renamed_block(block, scope, prefix) for block in operation.blocks)
    scope.update((info.name, prefix + info.name) for info in operation.outputs)
    outputs = tuple(replace(info, name=scope[info.name]) for info in operation.outputs)
    releases = tuple(scope[name] for name in operation.releases)
    return replace(operation, arguments=arguments, outputs=outputs, releases=releases, blocks=blocks)


def _renamed_block(block: Block, scope: Mapping[str, str], prefix: str) -> Block:
    inside = {**scope, **{info.name: prefix + info.name for info in block.inputs}}
    return Block(
        inputs=tuple(replace(info, name=inside[info.name]) for info in block.inputs),
        operations=tuple(renamed(operation, inside, prefix) for operation in block.operations),
        outputs=tuple(_renamed(output, inside) for output in block.outputs),
        releases=tuple(inside[name] for name in block.releases),
    )


def _renamed(argument: Any, scope: Mapping[str, str]) -> Any:
    if isinstance(argument, tuple):
        return tuple(_renamed(item, scope) for item in argument)
    return Reference(scope[argument.name]) if isinstance(argument, Reference) else argument


def _named(arguments: Iterable[Any]) -> set[str]:
    values = [value for argument in arguments for value in (argument if isinstance(argument, tuple) else (argument,))]
    return {value.name for value in values if isinstance(value, Reference)}
