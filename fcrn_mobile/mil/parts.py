"""What a program is made of, whatever kind of model it is read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.mil.arithmetic import FLOAT32, Arithmetic
from fcrn_mobile.mil.binding import release_after_last_use
from fcrn_mobile.mil.check_features import check_described
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, TensorInfo
from fcrn_mobile.package.errors import DAMAGED, MilError
from fcrn_mobile.package.reading import feature_descriptions

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

__all__ = ["Parts", "Source", "class_labels", "described", "single"]


@dataclass(frozen=True)
class Source:
    """A model that is to be read: one on disk, or a stage of a pipeline.

    Attributes:
        model: its specification.
        folder: what file names in it are relative to.
        where: names it in messages.
        arithmetic: under which its constants are expanded.
        function: of an ML program with several; None takes its default.
    """

    model: "Model"
    folder: Path
    where: str
    arithmetic: Arithmetic = FLOAT32
    function: str | None = None

    @property
    def kind(self) -> str:
        """The specification's name of its kind: ``mlProgram``, ``neuralNetwork``, ``pipeline`` …"""
        return str(self.model.WhichOneof("Type"))


@dataclass(frozen=True)
class Parts:
    """What it takes, gives and keeps, and the operations from one to the other; values have the names of the features there."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    operations: tuple[Operation, ...]
    function: str = "main"
    states: tuple[Feature, ...] = ()


def described(source: Source) -> tuple[tuple[Feature, ...], tuple[Feature, ...]]:
    """Inputs and outputs as the specification describes them.

    Raises:
        MilError: one is described twice, or with a name, size or kind that it cannot have.
    """
    inputs, outputs = feature_descriptions(source.model, source.function)
    check_described(inputs, outputs, source.where)
    return tuple(map(Feature.from_description, inputs)), tuple(map(Feature.from_description, outputs))


def single(source: Source, arguments: Mapping[str, Any], inputs: Sequence[Feature], outputs: Sequence[Feature]) -> Parts:
    """A model that is one operation, called as its kind; its description's inputs and outputs may stand in another order.

    Args:
        source: the model.
        arguments: of the operation.
        inputs: of the program.
        outputs: the operation's results, in order.
    """
    infos = tuple(TensorInfo(feature.name, feature.dtype, None) for feature in outputs)
    names = {feature.name for feature in outputs}
    return Parts(tuple(inputs), tuple(outputs), release_after_last_use([Operation(source.kind, dict(arguments), infos)], names))


def class_labels(model: Any, where: str) -> tuple[str | int, ...]:
    """The labels that a classifier or detector names; nothing if it names none.

    Args:
        model: protobuf with ``stringClassLabels`` and ``int64ClassLabels``.
        where: names it in messages.

    Raises:
        MilError: one is there twice, or cannot be printed.
    """
    field = model.WhichOneof("ClassLabels")
    labels = tuple(getattr(model, field).vector) if field else ()
    if len(set(labels)) != len(labels) or not all(str(label).isprintable() for label in labels):
        raise MilError(f"'{where}' has class labels that are no {len(labels)} different texts: {DAMAGED}")
    return labels
