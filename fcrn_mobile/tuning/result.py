"""What a search found, and the JSON of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import fcrn_mobile
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.evaluation.metrics import EvaluationProtocol
from fcrn_mobile.text import counted
from fcrn_mobile.tuning.bound import FEW, LEVEL, Promise, promises
from fcrn_mobile.tuning.search import Choice, Fit
from fcrn_mobile.validation.result import Drift

__all__ = ["MODEL", "Attempt", "Point", "Tuning", "counts"]

MODEL = "squares of drifts add: D² = D₀² + f·Σ dᵢ²; f is what whole programs measured over the sum"


@dataclass(frozen=True)
class Point:
    """One assignment in the plane of size and drift.

    Attributes:
        kind: ``front``, ``uniform`` (all weights one way), ``float`` or ``chosen``.
        name: of a uniform scheme; else empty.
        size_bytes, drift: of the package and its output.
        size_measured, drift_measured: whether a package or a program gave the value, else it is predicted.
        on: ``search`` or ``verification``: the images that the drift is of.
        weights: number of weights by candidate.
    """

    kind: str
    name: str
    size_bytes: int
    drift: float
    size_measured: bool
    drift_measured: bool
    on: str
    weights: dict[str, int]


@dataclass(frozen=True)
class Attempt:
    """A choice that was exported and verified: the target of its search, what the search found, its recipe, drift on unseen frames."""

    target: float
    fit: Fit
    recipe: Recipe
    drift: Drift

    @property
    def promises(self) -> tuple[Promise, ...]:
        """Its budgets, with the bound of what other images may give."""
        return promises(self.drift)

    @property
    def held(self) -> bool:
        """Whether it keeps its budget on unseen frames, and the bounds over them do."""
        return self.drift.verdict == "held" and all(promise.held for promise in self.promises)


@dataclass(frozen=True)
class Tuning:
    """The outcome.

    Attributes:
        attempts: in the order they were made.
        chosen: the one that held its budget, else the nearest.
        package: the one that holds the budget; None if none does.
        points: for the Pareto front.
        objective, cost: what was minimised, and how much of it is left, in the objective's unit.
        mean_bits: of the weights, tables and scales left out.
        latency_ms: estimated, not run on a device.
        float_bytes: of the single-precision package.
        factor, base: of the model, see ``search.py``.
        data, seed: as asked.
        searched: names of the frames that were searched on.
        verified: number of frames that were not.
        notes: what a user should know of the frames, a sentence each.
        rule: of metrics, with its alignment; None for pictures without depth.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt
    package: Path | None
    points: tuple[Point, ...]
    objective: str
    cost: float
    mean_bits: float
    latency_ms: float
    float_bytes: int
    factor: float
    base: float
    data: str
    seed: int
    searched: tuple[str, ...]
    verified: int
    notes: tuple[str, ...] = ()
    rule: EvaluationProtocol | None = None

    @property
    def held(self) -> bool:
        """Whether the chosen package keeps its budget on frames that were not searched on, as far as so few can tell."""
        return self.chosen.held

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes, and whether the promise rests on few images."""
        images = counted(self.verified, "image")
        few = f"verified on {images}: fewer than {FEW} tell little of others, give more with --verify-images and --data"
        return (*self.notes, few) if self.verified < FEW else self.notes

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        drift = self.chosen.drift
        return {
            "held": self.held,
            "budget": [_budget(promise) for promise in self.chosen.promises],
            "warnings": list(self.warnings),
            "package": self.package.name if self.package else None,
            "recipe": self.chosen.recipe.to_json(),
            "size_bytes": drift.size_bytes,
            "float_bytes": self.float_bytes,
            "objective": self.objective,
            "cost": self.cost,
            "mean_bits": self.mean_bits,
            "latency_estimate_ms": self.latency_ms,
            "fidelity": drift.fidelity.to_json(),
            "change": drift.change,
            "choice": self.chosen.fit.choice,
            "predicted": self.chosen.fit.predicted,
            "measured_on_search": self.chosen.fit.measured,
            "attempts": [
                {"target": a.target, "size_bytes": a.drift.size_bytes, "fidelity": a.drift.fidelity.abs_rel, "held": a.held}
                for a in self.attempts
            ],
            "model": {"formula": MODEL, "f": self.factor, "D0": self.base**0.5},
            "data": self.data,
            "rule": self.rule.to_json() if self.rule else None,
            "seed": self.seed,
            "search": list(self.searched),
            "verification_images": self.verified,
            "arithmetic": "float16, simulated, not run on a device; uniform schemes float32",
            "points": [asdict(point) for point in self.points],
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
        }


def _budget(promise: Promise) -> dict[str, Any]:
    limit = promise.check.limit
    return {
        "metric": limit.metric,
        "limit": limit.text,
        "value": promise.check.value,
        "bound": promise.bound,
        "level": LEVEL,
        "images": promise.images,
        "held": promise.held,
    }


def counts(choice: Choice | Mapping[str, str]) -> dict[str, int]:
    """Number of weights by candidate, most frequent first."""
    return dict(Counter(choice.values()).most_common())
