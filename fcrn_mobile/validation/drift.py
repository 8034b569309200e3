"""Drift of candidates: metrics against the truth beside the reference's, and fidelity to the reference's output."""

import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.conversion.artefact import recipe_of
from fcrn_mobile.conversion.calibration import calibrated_on, check_unseen
from fcrn_mobile.conversion.export import artefact_size
from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import NONE
from fcrn_mobile.evaluation.budget import Limit, check, check_without_truth, parse_limit
from fcrn_mobile.evaluation.focus import Focus, focus_on
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.evaluation.meaning import check_whole, settled
from fcrn_mobile.evaluation.metrics import DepthMetrics, EvaluationProtocol
from fcrn_mobile.evaluation.standing import StandingMeter
from fcrn_mobile.progress import OnStep
from fcrn_mobile.runtimes import FindsOverflow, Runtime
from fcrn_mobile.runtimes.in_flight import predictions
from fcrn_mobile.runtimes.runtime import engine_of
from fcrn_mobile.validation.comparable import common_depth, relative_scale
from fcrn_mobile.validation.fidelity import BETWEEN, Fidelity
from fcrn_mobile.validation.fit import FitMeter
from fcrn_mobile.validation.result import Drift, ImageDrift, Validation

__all__ = ["recipe_limits", "validate"]


@dataclass
class _Truth:
    """Holds the reference against the true depth.

    Attributes:
        metrics, standing: of the reference.
        focus: from its camera to the data's.
    """

    metrics: DepthMetrics
    standing: StandingMeter
    focus: Focus

    def update(self, sample: Sample, output: NDArray[np.float32]) -> float:
        """Count one frame; returns its abs_rel."""
        metres = self.focus(output, sample.image.shape[:2])
        abs_rel = self.metrics.update(metres, sample.depth, sample.name)["abs_rel"]
        self.standing.update(metres, sample.depth)
        return abs_rel


@dataclass
class _CandidateMeter:
    """Looks at each image that one candidate predicts. It keeps a few numbers of an image, never an array.

    Attributes:
        runtime: the candidate.
        metrics: against the truth; None where the data hold none.
        focus: from its camera to the data's.
        scale: of its depth over the reference's, see ``artefact.scale_of``.
        fidelity: to the reference's output.
        fit: what lies between the two; None where it is not looked for.
    """

    runtime: Runtime
    metrics: DepthMetrics | None
    focus: Focus
    scale: float
    fidelity: Fidelity
    fit: FitMeter | None
    _per_image: list[ImageDrift] = field(default_factory=list)
    _overflow: str | None = None

    def update(self, sample: Sample, prediction: NDArray[np.float32], output: NDArray[np.float32], abs_rel: float) -> None:
        """Count one frame; ``output`` is the reference's, h×w, ``abs_rel`` its error against the truth."""
        own = math.nan
        if self.metrics:
            own = self.metrics.update(self.focus(prediction, sample.image.shape[:2]), sample.depth, sample.name)["abs_rel"]
        # An overflow inside may be clamped away before the output: the first frame is always looked through.
        if self._overflow is None and (not self._per_image or not np.isfinite(prediction).all()):
            self._overflow = _overflow(self.runtime, sample.image)
        expected = output if self.scale == 1 else output * np.float32(self.scale)
        values = self.fidelity.update(prediction, expected)
        if self.fit:
            self.fit.update(prediction, expected)
        self._per_image.append(ImageDrift(sample.name, values.abs_rel, abs_rel, own, values.boundary_drift))

    def compute(self, reference: dict[str, Any], limits: Sequence[Limit]) -> Drift:
        """The drift on all frames from the reference's metrics."""
        metrics: dict[str, Any] = self.metrics.compute() if self.metrics else {}
        fidelity = self.fidelity.compute()
        return Drift(
            name=self.runtime.name,
            path=str(self.runtime.path),
            size_bytes=artefact_size(self.runtime.path),
            metrics=metrics,
            change={key: metrics[key] - reference[key] for key in compared() if metrics},
            fidelity=fidelity,
            checks=tuple(check(limit, reference, metrics, fidelity.figures) for limit in limits),
            overflow=self._overflow,
            engine=engine_of(self.runtime),
            per_image=tuple(self._per_image),
            recipe=recipe_of(self.runtime.metadata, self.runtime.path),
            scale=self.scale,
            fit=self.fit.compute() if self.fit else None,
        )


def validate(
    reference: Runtime,
    candidates: Sequence[Runtime],
    source: Source,
    rule: EvaluationProtocol | None,
    limits: Sequence[Limit] = (),
    data: str = "",
    on_frame: OnStep | None = None,
    left_out: str = "",
    budgets: Sequence[Sequence[Limit]] = (),
    align_fidelity: bool = False,
) -> Validation:
    """Run reference and candidates over the same frames, all aligned with the truth in one way: as the reference's depth asks for.

    Args:
        reference, candidates: usually the float network, and what is held against it.
        source: frames with true depth, or pictures alone.
        rule: the metrics' protocol, see ``meaning.settled``; None for pictures alone: fidelity needs no truth.
        limits: budgets of every candidate; without any, each is held to the budget in its own metadata.
        data, left_out, on_frame: the source's spec, a line on frames that it had and could not read, for the record; progress.
        budgets: of each candidate instead, in their order; an empty one leaves it to its metadata.
        align_fidelity: whether candidates are brought to the reference first (``fidelity.BETWEEN``), for networks trained apart.

    Raises:
        InputError: a frame without a valid pixel, or no frame; a recipe in a candidate's metadata that is not readable; a frame that a
            candidate was calibrated on; a budget on a metric without true depth; depth of another kind, or of a part of pictures.
    """
    budgets = _budgets(candidates, budgets or [limits] * len(candidates), rule, data)
    _check_unseen(source, frozenset().union(*(calibrated_on(candidate.metadata) for candidate in candidates)), data)
    rule, depth = _common(rule, reference, candidates, source)
    focus = focus_on(reference, source)
    truth = _truth(rule, depth, focus, data) if rule else None
    meters = [_meter(candidate, reference, source, rule, depth, align_fidelity) for candidate in candidates]
    picture, seconds = _run(reference, source, truth, meters, on_frame)
    values: dict[str, Any] = truth.metrics.compute() if truth else {"images": len(source)}
    return Validation(
        reference_name=reference.name,
        reference_size_bytes=artefact_size(reference.path),
        reference_metrics=values,
        candidates=tuple(meter.compute(values, budget) for meter, budget in zip(meters, budgets, strict=True)),
        data=data,
        rule=rule,
        seconds=seconds,
        reference_engine=engine_of(reference),
        standing=truth.standing.compute(reference.name) if truth else None,
        left_out=left_out,
        focus=focus.at(picture) if truth else Focus(),
        depth=depth,
        input_size=reference.input_size,
    )


def _truth(rule: EvaluationProtocol, depth: Depth, focus: Focus, data: str) -> _Truth:
    inverse = depth == "inverse"
    return _Truth(DepthMetrics(rule, inverse), StandingMeter(rule, inverse, data), focus)


def _budgets(
    candidates: Sequence[Runtime], budgets: Sequence[Sequence[Limit]], rule: EvaluationProtocol | None, data: str
) -> list[list[Limit]]:
    """What each candidate is held to: its own metadata's where nothing else is."""
    limits = [list(budget) or recipe_limits(candidate) for budget, candidate in zip(budgets, candidates, strict=True)]
    check_without_truth([] if rule else [limit for budget in limits for limit in budget], data)
    return limits


def _meter(
    candidate: Runtime, reference: Runtime, source: Source, rule: EvaluationProtocol | None, depth: Depth, align_fidelity: bool
) -> _CandidateMeter:
    metrics = DepthMetrics(rule, depth == "inverse") if rule else None
    fidelity = Fidelity(depth, BETWEEN[depth] if align_fidelity else NONE)
    # In metres a factor is wrong, as any difference is: it needs no name of its own unless fidelity leaves it out.
    fit = FitMeter(depth) if align_fidelity or depth != "metres" else None
    return _CandidateMeter(candidate, metrics, focus_on(candidate, source), relative_scale(candidate, reference), fidelity, fit)


def _common(
    rule: EvaluationProtocol | None, reference: Runtime, candidates: Sequence[Runtime], source: Source
) -> tuple[EvaluationProtocol | None, Depth]:
    """The protocol with its alignment, and what the reference's depth means.

    Raises:
        InputError: depth of different meanings, or of a part of pictures alone.
    """
    for model in (reference, *candidates):
        check_whole(model, source)
    depth = common_depth(reference, candidates)
    return rule and settled(rule, depth, reference.name), depth


def _run(
    reference: Runtime, source: Source, truth: _Truth | None, meters: Sequence[_CandidateMeter], on_frame: OnStep | None
) -> tuple[tuple[int, int], float]:
    """Every frame through the reference, and then through each candidate, which is held against what the reference gave.

    Returns:
        Height and width of the first frame's image, and the seconds that it took.
    """
    start, picture = time.perf_counter(), (0, 0)
    models = [reference, *(meter.runtime for meter in meters)]
    with closing(predictions(models, source)) as frames:
        for done, (sample, (output, *others)) in enumerate(frames, 1):
            picture = sample.image.shape[:2] if done == 1 else picture
            abs_rel = truth.update(sample, output) if truth else math.nan
            for meter, prediction in zip(meters, others, strict=True):
                meter.update(sample, prediction, output, abs_rel)
            if on_frame:
                on_frame(done, len(source))
    return picture, time.perf_counter() - start


def _check_unseen(source: Source, hashes: frozenset[str], data: str) -> None:
    """Refuse a source with calibration images, or without any image, before anything runs: reading it is little beside that."""
    if not len(source):
        raise InputError("no image to validate on: the data is empty")
    if hashes:
        for index in range(len(source)):
            check_unseen(source[index], hashes, data)


def _overflow(candidate: Runtime, image: NDArray[np.uint8]) -> str | None:
    overflow = candidate.first_overflow(image) if isinstance(candidate, FindsOverflow) else None
    return str(overflow) if overflow else None


def recipe_limits(candidate: Runtime) -> list[Limit]:
    """The budget that the candidate's recipe promised; empty if it names none."""
    return [parse_limit(f"{metric}={amount}") for metric, amount in recipe_of(candidate.metadata, candidate.path).get("budget", {}).items()]
