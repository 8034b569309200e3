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
from fcrn_mobile.data.source import Source
from fcrn_mobile.evaluation.budget import Check, Limit, check, parse_limit
from fcrn_mobile.evaluation.evaluate import OnFrame
from fcrn_mobile.evaluation.metrics import METRICS, DepthMetrics, EvaluationProtocol
from fcrn_mobile.evaluation.standing import Standing, StandingMeter
from fcrn_mobile.runtimes import FindsOverflow, Runtime
from fcrn_mobile.runtimes.runtime import is_metric
from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues

#: Metrics whose change is reported.
COMPARED = (*METRICS, "rmse_pooled")


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
        finite = all(math.isfinite(self.metrics[key]) for key in COMPARED) and math.isfinite(self.fidelity.abs_rel)
        if not finite or not all(item.held for item in self.checks):
            return "broken"
        return "held" if self.checks else "no budget"


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
            "candidates": [
                {
                    "name": c.name,
                    "path": c.path,
                    "size_bytes": c.size_bytes,
                    "metrics": c.metrics,
                    "change": c.change,
                    "fidelity": asdict(c.fidelity),
                    "budget": [{"metric": k.limit.metric, "limit": k.limit.text, "value": k.value, "held": k.held} for k in c.checks],
                    "overflow": c.overflow,
                    "engine": c.engine,
                    "verdict": c.verdict,
                    "per_image": [asdict(image) for image in c.per_image],
                }
                for c in self.candidates
            ],
            "data": self.data,
            "protocol": self.protocol,
            "seconds": self.seconds,
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
        }


def validate(
    reference: Runtime,
    candidates: Sequence[Runtime],
    source: Source,
    rule: EvaluationProtocol,
    limits: Sequence[Limit] = (),
    data: str = "",
    on_frame: OnFrame | None = None,
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
    promised = [recipe_limits(candidate) for candidate in candidates]
    _check_unseen(source, frozenset().union(*(calibrated_on(candidate.metadata) for candidate in candidates)), data)
    scaled = not is_metric(reference)
    reference_metrics = DepthMetrics(rule, scaled)
    standing = StandingMeter(rule, scaled, data)
    metrics = [DepthMetrics(rule, scaled) for _ in candidates]
    fidelities = [Fidelity() for _ in candidates]
    overflows: list[str | None] = [None for _ in candidates]
    # What is kept of an image is a few numbers, never an array: a report predicts the frames it shows once more.
    per_image: list[list[ImageDrift]] = [[] for _ in candidates]
    start = time.perf_counter()
    for index in range(len(source)):
        sample = source[index]
        expected = reference.predict(sample.image)
        base_here = reference_metrics.update(expected, sample.depth, sample.name)["abs_rel"]
        standing.update(expected, sample.depth)
        for number, (candidate, metric, fidelity) in enumerate(zip(candidates, metrics, fidelities, strict=True)):
            prediction = candidate.predict(sample.image)
            own_here = metric.update(prediction, sample.depth, sample.name)["abs_rel"]
            per_image[number].append(ImageDrift(sample.name, fidelity.update(prediction, expected), base_here, own_here))
            # An overflow inside may be clamped away before the output: the first frame is always looked through.
            if overflows[number] is None and (index == 0 or not np.isfinite(prediction).all()):
                overflows[number] = _overflow(candidate, sample.image)
        if on_frame:
            on_frame(index + 1, len(source))
    seconds = time.perf_counter() - start
    base: dict[str, Any] = reference_metrics.compute()
    drifts = []
    for number, candidate in enumerate(candidates):
        own: dict[str, Any] = metrics[number].compute()
        closeness = fidelities[number].compute()
        drifts.append(
            Drift(
                name=candidate.name,
                path=str(candidate.path),
                size_bytes=artefact_size(candidate.path),
                metrics=own,
                change={key: own[key] - base[key] for key in COMPARED},
                fidelity=closeness,
                checks=tuple(check(limit, base, own, closeness.abs_rel) for limit in limits or promised[number]),
                overflow=overflows[number],
                engine=_engine(candidate),
                per_image=tuple(per_image[number]),
                recipe=recipe_of(candidate.metadata, candidate.path),
            )
        )
    return Validation(
        reference.name,
        artefact_size(reference.path),
        base,
        tuple(drifts),
        data,
        rule.name,
        seconds,
        _engine(reference),
        standing.compute(reference.name),
        left_out,
    )


def _check_unseen(source: Source, hashes: frozenset[str], data: str) -> None:
    """Refuse a source with calibration images before anything runs: reading it is little beside that."""
    for index in range(len(source) if hashes else 0):
        check_unseen(source[index], hashes, data)


def _engine(runtime: Runtime) -> str:
    arithmetic = getattr(runtime, "arithmetic", None)
    return f"{runtime.backend}, {arithmetic}" if arithmetic else runtime.backend


def _overflow(candidate: Runtime, image: NDArray[np.uint8]) -> str | None:
    found = candidate.first_overflow(image) if isinstance(candidate, FindsOverflow) else None
    return str(found) if found else None


def recipe_limits(candidate: Runtime) -> list[Limit]:
    """The budget that the candidate's recipe promised; empty if it names none."""
    return [parse_limit(f"{metric}={amount}") for metric, amount in recipe_of(candidate.metadata, candidate.path).get("budget", {}).items()]
