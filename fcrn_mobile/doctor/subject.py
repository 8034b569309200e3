"""A model as it is examined: its specification, what it declares, and the operators of each stage as far as they hang together."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.doctor.operators import Op, Operators
from fcrn_mobile.latency.placement import Placement, place
from fcrn_mobile.mil.check import CheckedFunction, check_function
from fcrn_mobile.mil.graph import Graph, read_graph
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.models import PROGRAMS, leaves
from fcrn_mobile.mil.neural_network.network import NETWORKS
from fcrn_mobile.mil.parts import Source, described
from fcrn_mobile.mil.sized import check_size
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.metadata import model_contract
from fcrn_mobile.package.reading import metadata, read_specification, require_function, state_descriptions

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

__all__ = ["Place", "Stage", "Subject"]


@dataclass(frozen=True)
class Place:
    """Where something was found.

    Attributes:
        name: of the operator, input, output or constant; empty for the model as a whole.
        what: the operator's kind, or what else it is.
        detail: the values that matter.
    """

    name: str = ""
    what: str = "model"
    detail: str = ""

    def __str__(self) -> str:
        text = f"{self.what} '{self.name}'" if self.name else self.what
        return f"{text}: {self.detail}" if self.detail else text


@dataclass(frozen=True, eq=False)
class Stage:
    """A program or network, alone or in a pipeline.

    Attributes:
        name: in the pipeline; empty for a model that is none.
        source: its specification.
        checked: its function; None where that does not hang together, or it has none.
        broken: what does not hang together; empty if everything does.
    """

    name: str
    source: Source
    checked: CheckedFunction | None = None
    broken: str = ""

    @cached_property
    def operators(self) -> Operators | None:
        """Its operators; None without a function."""
        return Operators(self.checked) if self.checked else None

    @property
    def layers(self) -> list[Any]:
        """Layers of a neural network as they stand in the file; none of an ML program."""
        network = getattr(self.source.model, self.source.kind) if self.source.kind in NETWORKS else None
        return list(network.layers) if network else []

    def place(self, op: Op, detail: str = "") -> Place:
        """Where one of its operators is."""
        return Place(f"{self.name}/{op.name}" if self.name else op.name, op.kind, detail)


@dataclass(frozen=True, eq=False)
class Subject:
    """A model, read but not run; what takes several sizes is run once for the shapes at one of them.

    Attributes:
        path: its file.
        model: the specification.
        stages: programs and networks in it; several in a pipeline.
        inputs, outputs: as it describes them; none where it describes kinds that this runtime lacks.
        states: what it keeps from one prediction to the next.
        contract: what picture and depth are, where the model or its config says so.
        function: of a package with several; None: its default.
        size: height and width of the pictures at which it is examined; None: its default.
    """

    path: Path
    model: "Model"
    stages: tuple[Stage, ...]
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[str, ...]
    contract: DepthContract | None = None
    function: str | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def read(cls, path: Path, function: str | None = None, config: Path | None = None, size: tuple[int, int] | None = None) -> Self:
        """A model on disk.

        Args:
            path: the .mlpackage folder or .mlmodel file.
            function: of a package with several; None takes its default.
            config: its model config; None takes what its metadata or the file beside it say.
            size: height and width of the pictures, of those that it takes; None: its default.

        Raises:
            MilError: it cannot be read at all, has no such function, or does not take ``size``.
            InputError: a contract that cannot be.
        """
        model, folder = read_specification(path)
        whole = Source(model, folder, str(path), function=function)
        if function is not None:
            require_function(model, str(path), function)
        try:
            inputs, outputs = described(whole)
        except MilError:
            inputs, outputs = (), ()
        check_size(str(path), inputs, size)
        return cls(
            path=path,
            model=model,
            stages=tuple(_stages(whole)),
            inputs=inputs,
            outputs=outputs,
            states=tuple(state.name for state in state_descriptions(model, function)),
            contract=model_contract(path, metadata(model), config),
            function=function,
            size=size,
        )

    @property
    def version(self) -> int:
        """Of the specification, see ``systems.py``."""
        return int(self.model.specificationVersion)

    @property
    def images(self) -> tuple[Feature, ...]:
        """Inputs that are images."""
        return tuple(feature for feature in self.inputs if feature.kind == "image")

    @property
    def is_picture_to_map(self) -> bool:
        """Whether one image goes in and one map of a single channel comes out: depth, or something like it."""
        if len(self.images) != 1 or len(self.outputs) != 1 or len(self.inputs) != 1:
            return False
        (output,) = self.outputs
        if output.kind == "image":
            return output.dtype.startswith("GRAYSCALE")
        lengths = [length for length in output.shape if length != 1]
        return output.kind == "array" and output.dtype != "INT32" and len(lengths) == 2 and len(output.shape) > 1

    @cached_property
    def graph(self) -> Graph | None:
        """Its operators' costs; None where something does not hang together."""
        if any(stage.broken for stage in self.stages):
            return None
        return read_graph(self.path, self.function, self.size)

    @cached_property
    def placement(self) -> Placement | None:
        """Where they would run, by published rules."""
        return place(self.graph) if self.graph else None

    def operators(self) -> Iterator[tuple[Stage, Operators, Op]]:
        """All operators of all stages that hang together."""
        for stage in self.stages:
            if operators := stage.operators:
                yield from ((stage, operators, op) for op in operators.all)


def _stages(whole: Source) -> Iterator[Stage]:
    try:
        sources = list(leaves(whole))
    except MilError as error:
        yield Stage("", whole, broken=str(error))
        return
    for name, source in sources:
        if source.kind not in PROGRAMS:
            continue
        try:
            yield Stage(name, source, check_function(source.model, source.folder, source.where, source.function))
        except MilError as error:
            yield Stage(name, source, broken=str(error))
