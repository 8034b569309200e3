"""The kinds of Core ML models: who reads each, and why the others are refused. A new kind is a reader and its line in ``READERS``."""

from collections.abc import Callable, Iterator
from functools import partial

from fcrn_mobile.mil import suppression, tables
from fcrn_mobile.mil.binding import bind
from fcrn_mobile.mil.check import check_function
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.neural_network.network import NETWORKS
from fcrn_mobile.mil.parts import Parts, Source
from fcrn_mobile.mil.pipeline import PIPELINES, check_wires, read_pipeline, stages_of
from fcrn_mobile.mil.refused import check_accepted
from fcrn_mobile.package.errors import MilError

__all__ = ["PROGRAMS", "READERS", "leaves", "read_parts", "refusal"]

_APPLES = "its weights are Apple's and not in the file"
_NO_NETWORK = "it is no network and no step of one"

#: Kinds that ``check_function`` reads: a list of operators.
PROGRAMS = ("mlProgram", *NETWORKS)

#: Kind of model → why it does not run here.
_REFUSED: dict[str, str] = {
    **dict.fromkeys(("visionFeaturePrint", "audioFeaturePrint", "soundAnalysisPreprocessing"), _APPLES),
    **dict.fromkeys(("textClassifier", "wordTagger", "wordEmbedding", "gazetteer"), "its form is Apple's own and not published"),
    **dict.fromkeys(("treeEnsembleClassifier", "treeEnsembleRegressor", "kNearestNeighborsClassifier"), _NO_NETWORK),
    **dict.fromkeys(("supportVectorClassifier", "supportVectorRegressor", "bayesianProbitRegressor"), _NO_NETWORK),
    **dict.fromkeys(("itemSimilarityRecommender", "classConfidenceThresholding"), _NO_NETWORK),
    "customModel": "its code is in the app that uses it, not in the file",
    "linkedModel": "it stands for another file on the device",
    "serializedModel": "its form is private to Apple",
}


def read_parts(source: Source) -> Parts:
    """Inputs, outputs and operations of a model of any kind that runs here.

    Raises:
        MilError: a kind that does not; a specification or weights that do not hang together; an operator or layer that this runtime
            lacks, or that Core ML itself refuses.
    """
    reader = READERS.get(source.kind)
    if reader is None:
        raise MilError(
            f"'{source.where}' is a {source.kind} model, which does not run here ({refusal(source.kind)}): run it on macOS instead"
        )
    return reader(source)


def refusal(kind: str) -> str:
    """Why a kind of model that has no reader does not run here."""
    return _REFUSED.get(kind, "this runtime does not know it")


def leaves(source: Source) -> Iterator[tuple[str, Source]]:
    """The models that run: of a pipeline its stages, those of pipelines in it included, with their names; else the model itself.

    Raises:
        MilError: a pipeline whose stages do not fit together.
    """
    if source.kind not in PIPELINES:
        yield "", source
        return
    check_wires(source)
    for name, stage in stages_of(source):
        for inner, leaf in leaves(stage):
            yield f"{name}/{inner}" if inner else name, leaf


def _read_program(source: Source) -> Parts:
    """An ML program, or a neural network, which becomes one."""
    checked = check_function(source.model, source.folder, source.where, source.function)
    constants = checked.constants
    check_accepted(checked.block, constants, source.where, checked.default_shapes)
    inputs = [value.name for value in checked.proto.inputs]
    states = tuple(Feature.from_description(f) for f in checked.states)
    return Parts(
        inputs=tuple(Feature.from_description(f) for f in checked.inputs),
        outputs=tuple(dict.fromkeys(Feature.from_description(f) for f in checked.outputs)),
        operations=bind(checked.block, constants, source.where, source.arithmetic, checked.opset, inputs, states=[f.name for f in states]),
        function=checked.name,
        states=states,
    )


#: Kind of model → its reader.
READERS: dict[str, Callable[[Source], Parts]] = {
    **dict.fromkeys(PROGRAMS, _read_program),
    **dict.fromkeys(PIPELINES, partial(read_pipeline, read=read_parts)),
    "nonMaximumSuppression": suppression.read,
    **tables.READERS,
}
