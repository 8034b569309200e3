"""Loading and execution of an ML program, operator by operator."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import Arithmetic, apply, check_policy
from fcrn_mobile.mil.binding import with_constants
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.models import read_parts
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.overflow import Overflow
from fcrn_mobile.mil.parts import Source
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import metadata, read_specification

__all__ = ["Program", "Values"]


@dataclass(frozen=True)
class Program:
    """An ML program, ready to run.

    Attributes:
        inputs, outputs: what goes in and comes out.
        operations: in order; constants are already part of their arguments.
        arithmetic: the policy it runs under.
        metadata: what the author wrote: ``description``, ``author``, ``license``, ``version`` and user-defined keys.
        function: its name in the package.
    """

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    operations: tuple[Operation, ...]
    arithmetic: Arithmetic
    metadata: dict[str, str]
    function: str = "main"

    @classmethod
    def load(cls, path: Path | str, arithmetic: Arithmetic = "float32", function: str | None = None) -> Self:
        """Read a model from disk, expand its constants and check that every operator is known.

        Args:
            path: the .mlpackage folder or .mlmodel file: an ML program, a pipeline, or another kind of model (``models.py``).
            arithmetic: ``float32``; ``float16`` to round every float16 tensor of the program; ``ane``, a simulation of the
                Neural Engine, where large products overflow earlier (see ``arithmetic.py``).
            function: of a package with several; None takes its default.

        Raises:
            MilError: unknown policy or function; a missing, damaged or truncated model, or of a kind that does not run here; an
                operator this runtime lacks; a program that Core ML itself refuses.
        """
        check_policy(arithmetic)
        model, folder = read_specification(Path(path))
        parts = read_parts(Source(model, folder, str(path), arithmetic, function))
        return cls(**vars(parts), arithmetic=arithmetic, metadata=metadata(model))

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the program.

        Args:
            inputs: a value per input, see ``Feature.to_tensor``; inputs with a default may be left out.

        Returns:
            A value per output, see ``Feature.to_array``.

        Raises:
            MilError: an input is missing, unknown or of another shape or type; an operator that cannot take what reaches it.
        """
        values = self.start(inputs)
        for _ in self.steps(values):
            pass
        return self.results(values)

    def trace(self, inputs: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run the program, yielding every named tensor as it appears."""
        values = self.start(inputs)
        for operation in self.steps(values):
            for info in operation.outputs:
                if isinstance(values[info.name], Tensor):
                    yield info.name, values[info.name].numpy()

    def watch(self, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], Overflow | None]:
        """As ``predict``, looking at every tensor on the way: a clamp or a quotient may turn an overflow into a finite output.

        Returns:
            A value per output, and the first tensor that runs over under this arithmetic, or None if all stay finite.
        """
        values = self.start(inputs)
        overflow: Overflow | None = None
        for operation in self.steps(values):
            overflow = overflow or _overflow(operation, values)
        return self.results(values), overflow

    def first_overflow(self, inputs: Mapping[str, Any]) -> Overflow | None:
        """The first tensor that runs over under this arithmetic, or None if all stay finite; the run ends there."""
        values = self.start(inputs)
        return next(filter(None, (_overflow(operation, values) for operation in self.steps(values))), None)

    def with_constants(self, constants: Mapping[str, Mapping[str, Any]]) -> Self:
        """The same program with other weights.

        Args:
            constants: name of an operator → name of an argument → an array or tensor of the shape that the argument has.

        Raises:
            MilError: no such operator, no such constant of it, or another shape.
        """
        unknown = sorted(set(constants) - {operation.name for operation in self.operations})
        if unknown:
            raise MilError(f"the program has no operator '{unknown[0]}': name one by its first output")
        operations = (with_constants(o, constants[o.name]) if o.name in constants else o for o in self.operations)
        return replace(self, operations=tuple(operations))

    def start(self, inputs: Mapping[str, Any]) -> "Values":
        """What is there before the first operator has run; see ``predict`` for the inputs and what is wrong with them."""
        names = [feature.name for feature in self.inputs]
        unknown = sorted(set(inputs) - set(names))
        missing = [feature.name for feature in self.inputs if feature.name not in inputs and feature.default is None]
        if unknown or missing:
            problem = f"unknown input '{unknown[0]}'" if unknown else f"input '{missing[0]}' is missing"
            raise MilError(f"{problem}: the package takes {', '.join(names)}")
        return Values((f.name, f.to_tensor(inputs[f.name]) if f.name in inputs else f.default_tensor()) for f in self.inputs)

    def steps(self, values: "Values", first: int = 0) -> Iterator[Operation]:
        """Run the operators in order, yielding each while what it read and gave is still there.

        Args:
            values: results so far by name; grows and shrinks as the run goes on.
            first: index of the operator to go on with; ``values`` must hold what it and later ones read, as a copy does that was
                taken when a run of this program, or of one that begins with the same operators, had come that far.
        """
        for operation in self.operations[first:]:
            self._execute(operation, values)
            yield operation
            for name in operation.releases:
                del values[name]

    def results(self, values: "Values") -> dict[str, Any]:
        """A value per output, once all operators have run."""
        return {feature.name: feature.to_array(values[feature.name]) for feature in self.outputs}

    @torch.inference_mode()
    def _execute(self, operation: Operation, values: "Values") -> None:
        """Run one operator and file its results under their names."""
        arguments = {key: _resolve(argument, values) for key, argument in operation.arguments.items()}
        try:
            result = OPERATORS[operation.kind].run(**arguments)
        except MilError as error:
            raise MilError(f"{operation}: {error}") from error
        except Exception as error:  # whatever torch raises on values that do not fit together
            raise MilError(f"{operation} fails ({' '.join(str(error).split())[:160]}): the package or its input is not usable") from error
        results = result if isinstance(result, tuple) else (result,)
        if len(results) < len(operation.outputs):
            raise MilError(f"{operation} gives {len(results)} results, {len(operation.outputs)} are declared: export the package again")
        for info, value in zip(operation.outputs, results, strict=False):
            values[info.name] = self._checked(operation, info, value, values)

    def _checked(self, operation: Operation, info: TensorInfo, value: Any, values: "Values") -> Any:
        if not isinstance(value, Tensor):
            return value
        if not info.fits(value.shape):
            # Either the program is damaged or the operator is wrong here, and then its values must not be believed. Only where
            # coremltools declares too little itself, there and in what is computed from it, the declaration is not held against us.
            if not OPERATORS[operation.kind].misdeclared and values.misdeclared.isdisjoint(operation.references):
                raise MilError(f"{operation} gives shape {by(value.shape)}, declared is {by(info.shape)}: export the package again")
            values.misdeclared.add(info.name)
        return apply(self.arithmetic, operation.kind, info.dtype, value)


class Values(dict[str, Any]):
    """Results by name while a program runs, and the names of those whose declared shape is wrong."""

    def __init__(self, inputs: Iterable[tuple[str, Any]]) -> None:
        super().__init__(inputs)
        self.misdeclared: set[str] = set()

    def copy(self) -> "Values":
        """The same results for a run that goes its own way from here; tensors are shared, no operator overwrites one."""
        values = Values(self.items())
        values.misdeclared = set(self.misdeclared)
        return values


def _overflow(operation: Operation, values: dict[str, Any]) -> Overflow | None:
    """The first result of an operator that is not finite, if all that the operator read is."""
    for info in operation.outputs:
        result = values[info.name]
        if isinstance(result, Tensor) and result.is_floating_point() and not _finite(result):
            largest = _largest(operation, values)
            if math.isfinite(largest):
                return Overflow(info.name, operation.kind, largest)
    return None


def _finite(value: Tensor) -> bool:
    """Whether all elements are; a finite sum says so forty times faster."""
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())


def _largest(operation: Operation, values: dict[str, Any]) -> float:
    """Largest magnitude among the numbers that an operator reads; NaN if one is."""
    taken = [values[name] for name in operation.references]
    taken += [a for a in operation.arguments.values() if isinstance(a, Tensor)]
    floats = [value for value in taken if isinstance(value, Tensor) and value.is_floating_point() and value.numel()]
    return float(torch.stack([value.abs().max() for value in floats]).max()) if floats else 0.0


def _resolve(argument: Any, values: dict[str, Any]) -> Any:
    if isinstance(argument, Reference):
        return values[argument.name]
    if isinstance(argument, tuple):
        return tuple(_resolve(item, values) for item in argument)
    return argument
