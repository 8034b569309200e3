"""Which operators the drift on a page comes from: those of the candidate that drifts most, on the frames that the page shows."""

from dataclasses import dataclass
from pathlib import Path

from fcrn_mobile.data.source import Source
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import FLOAT16, Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.package.metadata import NO_CONFIGS, ModelConfigs
from fcrn_mobile.package.reading import SUFFIXES
from fcrn_mobile.progress import OnStep
from fcrn_mobile.report.ranks import deciding, ranks
from fcrn_mobile.validation.attribution import attribute
from fcrn_mobile.validation.float_program import float_program
from fcrn_mobile.validation.op_drift import OpDrift
from fcrn_mobile.validation.result import Validation

__all__ = ["OpRow", "Operators", "operators"]


@dataclass(frozen=True)
class OpRow:
    """One operator's part in the drift.

    Attributes:
        name: of the operator or its weights.
        own_drift: abs_rel of the output with only this operator as in the candidate.
        snr_db: signal-to-noise ratio of its result; None where it has none.
    """

    name: str
    own_drift: float
    snr_db: float | None


@dataclass(frozen=True)
class Operators:
    """Drift by operator of one candidate.

    Attributes:
        candidate: its name.
        rows: the operators with a drift of their own, largest first.
        images: how many it is the mean of.
        missing: why there are no rows; empty if they are known.
    """

    candidate: str
    rows: tuple[OpRow, ...] = ()
    images: int = 0
    missing: str = ""


def operators(
    source: Source,
    reference: str,
    validation: Validation,
    arithmetic: Arithmetic = FLOAT16,
    on_image: OnStep | None = None,
    configs: ModelConfigs = NO_CONFIGS,
) -> Operators:
    """Attribute the drift of the candidate that drifts most.

    Args:
        source: the frames that were validated.
        reference: as ``float_program`` takes it.
        validation: says which candidate, and its best, median and worst frame, on which alone it is attributed: a few seconds.
        arithmetic: of the candidate.
        on_image: progress.
        configs: model configs.

    Returns:
        Without rows, and with the reason, where the operators of reference and candidate cannot be compared.
    """
    candidate = deciding(validation)
    if Path(candidate.path).suffix not in SUFFIXES:
        return Operators(candidate.name, missing="only an .mlpackage or .mlmodel shows its operators")
    images = [source[index].image for index in ranks(candidate).values()]
    try:
        program = DepthProgram.load(candidate.path, arithmetic, model_config=configs.of(candidate.path))
        base = float_program(reference, program, configs.of(reference))
        attribution = attribute(base, program, images, on_image)
    except InputError as error:
        return Operators(candidate.name, missing=str(error))
    return Operators(
        candidate.name, tuple(_row(op) for op in attribution.worst), attribution.images, "" if attribution.worst else "no operator differs"
    )


def _row(op: OpDrift) -> OpRow:
    return OpRow(op.weights or f"{op.name} ({op.kind})", op.own_drift, op.snr_db)
