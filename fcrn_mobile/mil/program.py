"""Loading and execution of an ML program, operator by operator."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.binding import with_constants
from fcrn_mobile.mil.execution import Values, run
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.models import read_parts
from fcrn_mobile.mil.operation import Operation, every
from fcrn_mobile.mil.overflow import Overflow, overflow_at
from fcrn_mobile.mil.parts import Source
from fcrn_mobile.mil.state import State
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import metadata, specification_apart

__all__ = ["Program"]


@dataclass(frozen=True)
class Program:
    """An ML program, ready to run.

    Attributes:
        inputs, outputs: what goes in and comes out.
        operations: in order; constants are already part of their arguments.
        arithmetic: the policy it runs under.
        metadata: what the author wrote: ``description``, ``author``, ``license``, ``version`` and user-defined keys.
        function: its name in the package.
        states: what it keeps from one prediction to the next, see ``make_state``.
    """

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    operations: tuple[Operation, ...]
    arithmetic: Arithmetic
    metadata: dict[str, str]
    function: str = "main"
    states: tuple[Feature, ...] = ()

    @classmethod
    def load(cls, path: Path | str, arithmetic: Arithmetic | str = "float32", function: str | None = None) -> Self:
        """Read a model from disk, expand its constants and check that every operator is known.

        Args:
            path: the .mlpackage folder or .mlmodel file: an ML program, a pipeline, or another kind of model (``models.py``).
            arithmetic: ``float32``; ``float16`` to round every float16 tensor of the program; ``ane``, a simulation of the
                Neural Engine, where large products overflow earlier, ``ane without softplus`` leaves a trait out (see ``arithmetic.py``).
            function: of a package with several; None takes its default.

        Raises:
            MilError: unknown policy or function; a missing, damaged or truncated model, or of a kind that does not run here; an
                operator this runtime lacks; a program that Core ML itself refuses.
        """
        policy = Arithmetic.of(arithmetic)
        with specification_apart(Path(path)) as (model, folder):
            parts = read_parts(Source(model, folder, str(path), policy, function))
        return cls(**vars(parts), arithmetic=policy, metadata=metadata(model))

    def make_state(self) -> State:
        """A state to hand to the predictions of one sequence; zero at first, and empty if the program keeps nothing."""
        return State(self.states)

    def predict(self, inputs: Mapping[str, Any], state: State | None = None) -> dict[str, Any]:
        """Run the program.

        Args:
            inputs: a value per input, see ``Feature.to_tensor``; inputs with a default may be left out.
            state: of ``make_state``; what the program keeps is read from it and, when it has run, written to it.

        Returns:
            A value per output, see ``Feature.to_array``.

        Raises:
            MilError: an input is missing, unknown or of another shape or type; an operator that cannot take what reaches it; no state
                for a program that has some, or another program's.
        """
        values = self.start(inputs, state)
        for _ in self.every_step(values):
            pass
        return self._end(values, state)

    def trace(self, inputs: Mapping[str, Any], state: State | None = None) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run the program, yielding every named tensor as it appears; those of a loop once for every time that it goes round."""
        values = self.start(inputs, state)
        for operation in self.every_step(values):
            for info in operation.outputs:
                if isinstance(values[info.name], Tensor):
                    yield info.name, values[info.name].numpy()
        self._end(values, state)

    def watch(self, inputs: Mapping[str, Any], state: State | None = None) -> tuple[dict[str, Any], Overflow | None]:
        """As ``predict``, looking at every tensor on the way: a clamp or a quotient may turn an overflow into a finite output.

        Returns:
            A value per output, and the first tensor that runs over under this arithmetic, or None if all stay finite.
        """
        values = self.start(inputs, state)
        overflow: Overflow | None = None
        for operation in self.every_step(values):
            overflow = overflow or overflow_at(operation, values, self.arithmetic)
        return self._end(values, state), overflow

    def first_overflow(self, inputs: Mapping[str, Any], state: State | None = None) -> Overflow | None:
        """The first tensor that runs over under this arithmetic, or None if all stay finite; the run ends there, the state is left."""
        values = self.start(inputs, state)
        return next(filter(None, (overflow_at(operation, values, self.arithmetic) for operation in self.every_step(values))), None)

    def with_constants(self, constants: Mapping[str, Mapping[str, Any]]) -> Self:
        """The same program with other weights.

        Args:
            constants: name of an operator → name of an argument → an array or tensor of the shape that the argument has.

        Raises:
            MilError: no such operator, no such constant of it, or another shape.
        """
        unknown = sorted(set(constants) - {operation.name for operation in every(self.operations)})
        if unknown:
            raise MilError(f"the program has no operator '{unknown[0]}': name one by its first output")
        return replace(self, operations=with_constants(self.operations, constants))

    def start(self, inputs: Mapping[str, Any], state: State | None = None) -> Values:
        """What is there before the first operator has run; see ``predict`` for the inputs and what is wrong with them."""
        names = [feature.name for feature in self.inputs]
        unknown = sorted(set(inputs) - set(names))
        missing = [feature.name for feature in self.inputs if feature.name not in inputs and feature.default is None]
        if unknown or missing:
            problem = f"unknown input '{unknown[0]}'" if unknown else f"input '{missing[0]}' is missing"
            raise MilError(f"{problem}: the package takes {', '.join(names) or 'none'}")
        if self.states and state is None:
            # Core ML: "The input feature for … must be an MLState, but it was not" (coremltools #2519).
            raise MilError(f"the program keeps the state '{self.states[0].name}': give predict(…, state=program.make_state())")
        values = Values((f.name, f.to_tensor(inputs[f.name]) if f.name in inputs else f.default_tensor()) for f in self.inputs)
        values.update(state.cells(self.states) if state else {})
        return values

    def every_step(self, values: Values) -> Iterator[Operation]:
        """Run all operators, yielding each while what it read and gave is still there, those inside of others before those.

        Args:
            values: of ``start``; grows and shrinks as the run goes on.
        """
        return run(self.operations, values, self.arithmetic)

    def steps(self, values: Values, first: int = 0) -> Iterator[Operation]:
        """As ``every_step``, yielding only the program's own operators, of which a loop or a condition is one.

        Args:
            values: results so far by name; grows and shrinks as the run goes on.
            first: index of the operator to go on with; ``values`` must hold what it and later ones read, as a copy does that was
                taken when a run of this program, or of one that begins with the same operators, had come that far.
        """
        for operation in self.operations[first:]:
            yield from (ended for ended in run((operation,), values, self.arithmetic) if ended is operation)

    def results(self, values: Values) -> dict[str, Any]:
        """A value per output, once all operators have run."""
        return {feature.name: feature.to_array(values[feature.name]) for feature in self.outputs}

    def _end(self, values: Values, state: State | None) -> dict[str, Any]:
        """The results, once the state holds what the run has left in it."""
        results = self.results(values)
        if state is not None:
            state.keep(values)
        return results
