"""Operators one by one: what runs them, loops and branches included, and where their results lie while a program runs."""

from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

import torch
from torch import Tensor

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.ops.control import Flow
from fcrn_mobile.mil.ops.lists import TensorList
from fcrn_mobile.mil.ops.states import Cell
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["Values", "run"]


class Values(dict[str, Any]):
    """Results by name while a program runs, and the names of those whose declared shape is wrong."""

    def __init__(self, inputs: Iterable[tuple[str, Any]]) -> None:
        super().__init__(inputs)
        self.misdeclared: set[str] = set()

    def copy(self) -> "Values":
        """The same results for a run that goes its own way from here; tensors are shared, no operator overwrites one."""
        values = Values((name, Cell(value.tensor) if isinstance(value, Cell) else value) for name, value in self.items())
        values.misdeclared = set(self.misdeclared)
        return values


def run(operations: Iterable[Operation], values: Values, arithmetic: Arithmetic) -> Iterator[Operation]:
    """Run operators in order, yielding each while what it read and gave is still there, those inside of one before itself.

    Args:
        operations: of a program or of a block.
        values: results so far; grows and shrinks as the run goes on.
        arithmetic: the policy.

    Raises:
        MilError: an operator that cannot take what reaches it, or gives another shape than is declared.
    """
    for operation in operations:
        if operation.blocks:
            yield from _flow(operation, values, arithmetic)
        else:
            _execute(operation, values, arithmetic)
        yield operation
        for name in operation.releases:
            del values[name]


@torch.inference_mode()
def _execute(operation: Operation, values: Values, arithmetic: Arithmetic) -> None:
    """Run one operator and file its results under their names."""
    try:
        arguments = _arguments(operation, values)
        result = OPERATORS[operation.kind].run(**arguments)
        if operation.outputs:
            result = arithmetic.follow(operation.kind, arguments, operation.outputs[0].dtype, result)
    except Exception as error:
        _fail(operation, error)
    _file(operation, result if isinstance(result, tuple) else (result,), values, arithmetic)


def _flow(operation: Operation, values: Values, arithmetic: Arithmetic) -> Iterator[Operation]:
    """Run one operator with blocks, yielding what runs inside, and file its results."""
    flow = OPERATORS[operation.kind].run(**_arguments(operation, values))
    number, payload = _advance(operation, flow, None)
    while number is not None:
        block = operation.blocks[number]
        for info, value in zip(block.inputs, payload, strict=True):
            values[info.name] = _fitting(operation, info, torch.tensor(value) if isinstance(value, bool) else value, values)
        yield from run(block.operations, values, arithmetic)
        payload = tuple(_resolve(output, values) for output in block.outputs)
        _note_misdeclared(operation, block, values)
        for name in block.releases:
            del values[name]
        number, payload = _advance(operation, flow, payload)
    _file(operation, payload, values, arithmetic)


def _advance(operation: Operation, flow: Flow, payload: tuple[Any, ...] | None) -> tuple[int | None, tuple[Any, ...]]:
    """Number of the block that an operator runs next, and what goes into it; None and its results at its end."""
    try:
        return flow.send(payload)  # type: ignore[arg-type] # a generator starts with None
    except StopIteration as end:
        return None, end.value
    except Exception as error:
        _fail(operation, error)


def _fail(operation: Operation, error: Exception) -> NoReturn:
    if isinstance(error, MilError):
        raise MilError(f"{operation}: {error}") from error
    # Whatever torch raises on values that do not fit together.
    what = " ".join(str(error).split())[:160] or type(error).__name__
    raise MilError(f"{operation} fails ({what}): the package or its input is not usable") from error


def _file(operation: Operation, results: tuple[Any, ...], values: Values, arithmetic: Arithmetic) -> None:
    """Keep the results under their names."""
    if len(results) < len(operation.outputs):
        raise MilError(f"{operation} gives {len(results)} results, {len(operation.outputs)} are declared: export the package again")
    for info, value in zip(operation.outputs, results, strict=False):
        value = _fitting(operation, info, value, values)
        values[info.name] = arithmetic.apply(operation.kind, info.dtype, value) if isinstance(value, Tensor) else value


def _fitting(operation: Operation, info: TensorInfo, value: Any, values: Values) -> Any:
    """The value itself, once it is sure that it is what is declared."""
    if isinstance(value, TensorList) != (info.dtype == "listType"):
        raise MilError(f"{operation} gives {_shown(value)} as '{info.name}', declared is {info.dtype}: export the package again")
    if isinstance(value, Tensor) and not info.fits(value.shape):
        # Either the program is damaged or the operator is wrong here, and then its values must not be believed. Only where
        # coremltools declares too little itself, there and in what is computed from it, the declaration is not held against us.
        if not OPERATORS[operation.kind].misdeclared and values.misdeclared.isdisjoint(operation.references):
            raise MilError(f"{operation} gives shape {by(value.shape)}, declared is {by(info.shape or ())}: export the package again")
        values.misdeclared.add(info.name)
    return value


def _note_misdeclared(operation: Operation, block: Block, values: Values) -> None:
    """What comes out of a block is computed from what its operator reads: if it is misdeclared, so is what follows."""
    if not values.misdeclared.isdisjoint(output.name for output in block.outputs if isinstance(output, Reference)):
        values.misdeclared |= operation.references


def _shown(value: Any) -> str:
    return "a list" if isinstance(value, TensorList) else type(value).__name__


def _arguments(operation: Operation, values: Values) -> dict[str, Any]:
    return {key: _resolve(argument, values) for key, argument in operation.arguments.items()}


def _resolve(argument: Any, values: Values) -> Any:
    if isinstance(argument, Reference):
        return values[argument.name]
    if isinstance(argument, tuple):
        return tuple(_resolve(item, values) for item in argument)
    return argument
