"""The kinds of Core ML models: who reads each, and why the others are refused. A new kind is a reader and its line in ``READERS``."""

from collections.abc import Callable
from functools import partial

from fcrn_mobile.mil import suppression, tables
from fcrn_mobile.mil.binding import bind
from fcrn_mobile.mil.check import check_function
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.parts import Parts, Source
from fcrn_mobile.mil.pipeline import PIPELINES, read_pipeline
from fcrn_mobile.mil.refused import check_accepted
from fcrn_mobile.mil.values import Constants
from fcrn_mobile.package.errors import MilError

__all__ = ["READERS", "REFUSED", "read_parts"]

_APPLES = "its weights are Apple's and not in the file"
_NO_NETWORK = "it is no network and no step of one"

#: Kind of model → why it does not run here.
REFUSED: dict[str, str] = {
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
        reason = REFUSED.get(source.kind, "this runtime does not know it")
        raise MilError(f"'{source.where}' is a {source.kind} model, which does not run here ({reason}): run it on macOS instead")
    return reader(source)


def _read_program(source: Source) -> Parts:
    """An ML program."""
    checked = check_function(source.model, source.folder, source.where, source.function)
    constants = Constants(source.folder)
    check_accepted(checked.block, constants, source.where)
    return Parts(
        inputs=tuple(Feature.from_description(f) for f in checked.inputs),
        outputs=tuple(Feature.from_description(f) for f in checked.outputs),
        operations=bind(checked.block, constants, source.where, source.arithmetic),
        function=checked.name,
    )


#: Kind of model → its reader.
READERS: dict[str, Callable[[Source], Parts]] = {
    "mlProgram": _read_program,
    **dict.fromkeys(PIPELINES, partial(read_pipeline, read=read_parts)),
    "nonMaximumSuppression": suppression.read,
    **tables.READERS,
}
