"""What a validation found: drift of each candidate, and what the reference is worth on the data."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import fcrn_mobile
from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.evaluation.align import NONE
from fcrn_mobile.evaluation.budget import Check
from fcrn_mobile.evaluation.focus import Focus
from fcrn_mobile.evaluation.formulas import compared
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.evaluation.standing import Standing
from fcrn_mobile.runtimes.backends import is_on_device
from fcrn_mobile.validation.fidelity import FidelityValues, formula
from fcrn_mobile.validation.fit import Fit

__all__ = ["Drift", "ImageDrift", "Validation"]


@dataclass(frozen=True)
class ImageDrift:
    """One image.

    Attributes:
        name: of the image.
        fidelity: the candidate's ``abs_rel`` to the reference's output, see ``fidelity.FidelityValues``.
        reference, candidate: abs_rel of both to the truth, NaN where there is none.
        boundary_drift: of the candidate's output from the reference's.
    """

    name: str
    fidelity: float
    reference: float
    candidate: float
    boundary_drift: float = math.nan


@dataclass(frozen=True)
class Drift:
    """One candidate against the reference.

    Attributes:
        name, path, size_bytes: of the artefact.
        metrics: against the truth; empty where the data hold none.
        change: candidate minus reference per metric.
        fidelity: to the reference's output.
        checks: its budgets.
        overflow: the first tensor that is not finite, on the first frame or on the first one whose output is not finite.
        engine: what ran it: the backend, and under which arithmetic if it has several.
        per_image: every image's drift, in the order of the source.
        recipe: how it was made, as its metadata says; empty if it doesn't.
        scale: of its depth over the reference's, by a scale that was measured and folded in.
        fit: what lies between its depth and the reference's; None of metres that were not brought to them.
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
    scale: float = 1.0
    fit: Fit | None = None

    @property
    def not_finite(self) -> list[str]:
        """The figures that are not finite numbers, by name."""
        values = {key: self.metrics[key] for key in compared() if self.metrics} | self.fidelity.figures
        return [key for key, value in values.items() if not math.isfinite(value)]

    @property
    def verdict(self) -> str:
        """``held``, ``broken``, or ``no budget``. A NaN or an infinite metric is always broken."""
        if self.not_finite or not all(item.held for item in self.checks):
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
            "fidelity": self.fidelity.to_json(),
            "budget": checks,
            "overflow": self.overflow,
            "engine": self.engine,
            "verdict": self.verdict,
            "per_image": [asdict(image) for image in self.per_image],
        } | ({"fit": self.fit.to_json()} if self.fit else {})


@dataclass(frozen=True)
class Validation:
    """All candidates against one reference, on one data set under one protocol.

    Attributes:
        reference_name, reference_size_bytes: of its artefact.
        reference_metrics: against the truth; nothing but ``images`` where the data hold none.
        candidates: in the order given.
        data: the source's spec.
        rule: the metrics' protocol, with its alignment; None for pictures without depth.
        seconds: that reading and running all images took.
        reference_engine: what ran the reference.
        standing: what the reference is worth on this data; None for pictures without depth.
        left_out: a line on frames that could not be read and were left out; empty for none.
        focus: what was done to the reference's depth for the data's camera before it met the truth; fidelity is of depth as it was.
        depth: what the reference's depth means, which is the unit of ``max_abs``.
        input_size: height and width of the pictures that the reference got; empty where nobody says.
    """

    reference_name: str
    reference_size_bytes: int
    reference_metrics: dict[str, Any]
    candidates: tuple[Drift, ...]
    data: str
    rule: EvaluationProtocol | None
    seconds: float = math.nan
    reference_engine: str = ""
    standing: Standing | None = None
    left_out: str = ""
    focus: Focus = field(default_factory=Focus)
    depth: Depth = "metres"
    input_size: tuple[int, ...] = ()

    @property
    def fidelity_alignment(self) -> str:
        """What brought candidates to the reference before fidelity was taken, see ``fidelity.BETWEEN``; none usually."""
        return next((candidate.fidelity.alignment for candidate in self.candidates), NONE)

    @property
    def fidelity_formula(self) -> str:
        """What fidelity is, for people."""
        return formula(self.depth, self.fidelity_alignment)

    @property
    def fit_notes(self) -> tuple[str, ...]:
        """A line for each candidate whose fidelity is a factor to a good part, or was brought to it."""
        fits = [(candidate.name, candidate.fit) for candidate in self.candidates if candidate.fit]
        if self.fidelity_alignment != NONE:
            return tuple(f"{name}: {fit.text}; as given, fidelity is {fit.as_given:.4f}" for name, fit in fits)
        remedy = "for networks that were trained apart give --align-fidelity"
        return tuple(f"{name}: {fit.text}; without that, fidelity is {fit.aligned:.4f}: {remedy}" for name, fit in fits if fit.is_much)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, a sentence each: the reference's failure first."""
        return (self.standing.warnings if self.standing else ()) + ((self.left_out,) if self.left_out else ())

    @property
    def engines(self) -> tuple[str, ...]:
        """What ran the candidates, each once."""
        return tuple(dict.fromkeys(candidate.engine for candidate in self.candidates))

    @property
    def on_device(self) -> bool:
        """Whether one of them runs on the units of an Apple device."""
        return any(map(is_on_device, self.engines))

    @property
    def ran_on(self) -> str:
        """The engines, and that none is a device where that is so."""
        return "; ".join((*self.engines, *(() if self.on_device else ("not run on a device",))))

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
        brought = {} if self.fidelity_alignment == NONE else {"fidelity_alignment": self.fidelity_alignment}
        return {
            "reference": {
                "name": self.reference_name,
                "input_size": list(self.input_size),
                "metrics": self.reference_metrics,
                "median_map": self.standing.median_map if self.standing else None,
                "fails": self.standing.fails if self.standing else None,
            },
            "warnings": list(self.warnings),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "data": self.data,
            "protocol": self.rule.label if self.rule else None,
            "rule": self.rule.to_json() if self.rule else None,
            "seconds": self.seconds,
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
            **self.focus.to_json(),
            **brought,
        }
