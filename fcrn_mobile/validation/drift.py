"""Drift of candidates: metrics against the truth beside the reference's, and fidelity to the reference's output."""

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fcrn_mobile
from fcrn_mobile.conversion.artefact import recipe_of
from fcrn_mobile.conversion.calibration import calibrated_on, check_unseen
from fcrn_mobile.conversion.export import artefact_size
from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.evaluation.budget import Check, Limit, check, parse_limit
from fcrn_mobile.evaluation.focus import Focus, focus_on
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.evaluation.metrics import DepthMetrics, EvaluationProtocol
from fcrn_mobile.evaluation.standing import Standing, StandingMeter
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.progress import OnStep
from fcrn_mobile.runtimes import FindsOverflow, Runtime
from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues

__all__ = ["Drift", "ImageDrift", "Validation", "recipe_limits", "validate"]


@dataclass(frozen=True)
class ImageDrift:
    """One image: its name, the candidate's abs_rel to the reference's output, and abs_rel of reference and candidate to the truth."""

    name: str
    fidelity: float
    reference: float
    candidate: float


@dataclass(frozen=True)
class Drift:
    """One candidate against the reference.

    Attributes:
        name, path, size_bytes: of the artefact.
        metrics: against the truth.
        change: candidate minus reference per metric.
        fidelity: to the reference's output.
        checks: its budgets.
        overflow: the first tensor that is not finite, on the first frame or on the first one whose output is not finite.
        engine: what ran it: the backend, and under which arithmetic if it has several.
        per_image: every image's drift, in the order of the source.
        recipe: how it was made, as its metadata says; empty if it doesn't.
    """

    name: str
    path: str
    size_bytes: int
    metrics: dict[str, Any]
    change: dict[str, float]
    fidelity: FidelityValues
    checks: tuple[Check, ...]
    overflow: str | None = None
    engine: str = ""
    per_image: tuple[ImageDrift, ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``held``, ``broken``, or ``no budget``. A NaN or an infinite metric is always broken."""
        finite = all(math.isfinite(self.metrics[key]) for key in compared()) and math.isfinite(self.fidelity.abs_rel)
        if not finite or not all(item.held for item in self.checks):
            return "broken"
        return "held" if self.checks else "no budget"

    def to_json(self) -> dict[str, Any]:
        """The candidate as the command line writes it."""
        checks = [{"metric": item.limit.metric, "limit": item.limit.text, "value": item.value, "held": item.held} for item in self.checks]
        return {
            "name": self.name,
            "path": self.path,
            "size_bytes": self.size_bytes,
            "metrics": self.metrics,
            "change": self.change,
            "fidelity": asdict(self.fidelity),
            "budget": checks,
            "overflow": self.overflow,
            "engine": self.engine,
            "verdict": self.verdict,
            "per_image": [asdict(image) for image in self.per_image],
        }


@dataclass(frozen=True)
class Validation:
    """All candidates against one reference, on one data set under one protocol.

    Attributes:
        reference_name, reference_size_bytes: of its artefact.
        reference_metrics: against the truth.
        candidates: in the order given.
        data: the source's spec.
        protocol: the metrics' protocol, by name.
        seconds: that reading and running all images took.
        reference_engine: what ran the reference.
        standing: what the reference is worth on this data; None if nobody looked.
        left_out: a line on frames that could not be read and were left out; empty for none.
        focus: what was done to the reference's depth for the data's camera before it met the truth; fidelity is of depth as it was.
    """

    reference_name: str
    reference_size_bytes: int
    reference_metrics: dict[str, Any]
    candidates: tuple[Drift, ...]
    data: str
    protocol: str
    seconds: float = math.nan
    reference_engine: str = ""
    standing: Standing | None = None
    left_out: str = ""
    focus: Focus = field(default_factory=Focus)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, a sentence each: the reference's failure first."""
        return (self.standing.warnings if self.standing else ()) + ((self.left_out,) if self.left_out else ())

    @property
    def images_per_second(self) -> float:
        """Images that went through reference and all candidates per second."""
        return float(self.reference_metrics["images"]) / self.seconds

    @property
    def held(self) -> bool:
        """Whether no candidate broke its budget."""
        return all(candidate.verdict != "broken" for candidate in self.candidates)

    def to_json(self) -> dict[str, Any]:
        """The result as the command line writes it."""
        return {
            "reference": {
                "name": self.reference_name,
                "metrics": self.reference_metrics,
                "median_map": self.standing.median_map if self.standing else None,
                "fails": self.standing.fails if self.standing else None,
            },
            "warnings": list(self.warnings),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "data": self.data,
            "protocol": self.protocol,
            "seconds": self.seconds,
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
        } | self.focus.to_json()


@dataclass
class _CandidateMeter:
    """Looks at each image that one candidate predicts. It keeps a few numbers of an image, never an array."""

    runtime: Runtime
    metrics: DepthMetrics
    focus: Focus
    _fidelity: Fidelity = field(default_factory=Fidelity)
    _per_image: list[ImageDrift] = field(default_factory=list)
    _overflow: str | None = None

    def update(self, sample: Sample, output: NDArray[np.float32], abs_rel: float) -> None:
        """Run one frame; ``output`` is the reference's, h×w metres, ``abs_rel`` its error against the truth."""
        prediction = self.runtime.predict(sample.image)
        own = self.metrics.update(self.focus(prediction, sample.image.shape[1]), sample.depth, sample.name)["abs_rel"]
        # An overflow inside may be clamped away before the output: the first frame is always looked through.
        if self._overflow is None and (not self._per_image or not np.isfinite(prediction).all()):
            self._overflow = _overflow(self.runtime, sample.image)
        self._per_image.append(ImageDrift(sample.name, self._fidelity.update(prediction, output), abs_rel, own))

    def compute(self, reference: dict[str, Any], limits: Sequence[Limit]) -> Drift:
        """The drift on all frames from the reference's metrics."""
        metrics: dict[str, Any] = self.metrics.compute()
        fidelity = self._fidelity.compute()
        return Drift(
            name=self.runtime.name,
            path=str(self.runtime.path),
            size_bytes=artefact_size(self.runtime.path),
            metrics=metrics,
            change={key: metrics[key] - reference[key] for key in compared()},
            fidelity=fidelity,
            checks=tuple(check(limit, reference, metrics, fidelity.abs_rel) for limit in limits),
            overflow=self._overflow,
            engine=_engine(self.runtime),
            per_image=tuple(self._per_image),
            recipe=recipe_of(self.runtime.metadata, self.runtime.path),
        )


def validate(
    reference: Runtime,
    candidates: Sequence[Runtime],
    source: Source,
    rule: EvaluationProtocol,
    limits: Sequence[Limit] = (),
    data: str = "",
    on_frame: OnStep | None = None,
    left_out: str = "",
) -> Validation:
    """Run reference and candidates over the same frames. Where the reference's depth has no unit, metrics are median-scaled.

    Args:
        reference: usually the float network.
        candidates: what is held against it.
        source: frames with true depth.
        rule: the metrics' protocol.
        limits: budgets of every candidate; without any, each is held to the budget in its own metadata.
        data: the source's spec, for the record.
        on_frame: progress.
        left_out: a line on frames that the source had and could not read, for the record.

    Raises:
        InputError: a frame without a valid pixel, or no frame at all; a recipe in a candidate's metadata that is not readable;
            a frame that a candidate was calibrated on.
    """
    budgets = [list(limits) or recipe_limits(candidate) for candidate in candidates]
    _check_unseen(source, frozenset().union(*(calibrated_on(candidate.metadata) for candidate in candidates)), data)
    scaled = not Metadata.from_dict(reference.metadata).is_metric
    reference_metrics = DepthMetrics(rule, scaled)
    standing = StandingMeter(rule, scaled, data)
    meters = [_CandidateMeter(candidate, DepthMetrics(rule, scaled), focus_on(candidate, source)) for candidate in candidates]
    start = time.perf_counter()
    _run(reference, source, reference_metrics, standing, meters, on_frame)
    seconds = time.perf_counter() - start
    values: dict[str, Any] = reference_metrics.compute()
    return Validation(
        reference_name=reference.name,
        reference_size_bytes=artefact_size(reference.path),
        reference_metrics=values,
        candidates=tuple(meter.compute(values, budget) for meter, budget in zip(meters, budgets, strict=True)),
        data=data,
        protocol=rule.name,
        seconds=seconds,
        reference_engine=_engine(reference),
        standing=standing.compute(reference.name),
        left_out=left_out,
        focus=focus_on(reference, source).at(source[0].image.shape[1]),
    )


def _run(
    reference: Runtime,
    source: Source,
    metrics: DepthMetrics,
    standing: StandingMeter,
    meters: Sequence[_CandidateMeter],
    on_frame: OnStep | None,
) -> None:
    """Every frame through the reference, and then through each candidate, which is held against what the reference gave."""
    focus = focus_on(reference, source)
    for index in range(len(source)):
        sample = source[index]
        output = reference.predict(sample.image)
        metres = focus(output, sample.image.shape[1])
        abs_rel = metrics.update(metres, sample.depth, sample.name)["abs_rel"]
        standing.update(metres, sample.depth)
        for meter in meters:
            meter.update(sample, output, abs_rel)
        if on_frame:
            on_frame(index + 1, len(source))


def _check_unseen(source: Source, hashes: frozenset[str], data: str) -> None:
    """Refuse a source with calibration images before anything runs: reading it is little beside that."""
    for index in range(len(source) if hashes else 0):
        check_unseen(source[index], hashes, data)


def _engine(runtime: Runtime) -> str:
    arithmetic = getattr(runtime, "arithmetic", None)
    return f"{runtime.backend}, {arithmetic}" if arithmetic else runtime.backend


def _overflow(candidate: Runtime, image: NDArray[np.uint8]) -> str | None:
    overflow = candidate.first_overflow(image) if isinstance(candidate, FindsOverflow) else None
    return str(overflow) if overflow else None


def recipe_limits(candidate: Runtime) -> list[Limit]:
    """The budget that the candidate's recipe promised; empty if it names none."""
    return [parse_limit(f"{metric}={amount}") for metric, amount in recipe_of(candidate.metadata, candidate.path).get("budget", {}).items()]
