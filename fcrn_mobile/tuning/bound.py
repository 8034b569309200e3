"""How far a drift may lie above what was measured, since it was measured on a few images: a one-sided upper confidence bound of the mean.

Student's t: mean + t(level, n - 1)·s/√n (NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.5.2, taken one-sided). It is true of
images drawn as those that were seen: it says nothing of another camera or another kind of room, and little where the images are
neighbours in one video.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from fcrn_mobile.evaluation.budget import BOUNDARY, FIDELITY, Check
from fcrn_mobile.text import counted
from fcrn_mobile.validation.result import Drift

__all__ = ["FEW", "LEVEL", "Promise", "aim", "half_width", "promises"]

#: Confidence of the bound.
LEVEL = 0.95
#: Fewer images than this to verify on are warned of: below it s itself is known to a fifth at best (1/√(2(n - 1))).
FEW = 16


@dataclass(frozen=True)
class Promise:
    """A budget against what was measured and what other images may give.

    Attributes:
        check: the measured value against the limit.
        bound: of the value, at ``LEVEL``; None of metrics that are kept for all images together only.
        images: that were measured.
    """

    check: Check
    bound: float | None
    images: int

    @property
    def worst(self) -> float:
        """The bound, or the value where there is none."""
        return self.check.value if self.bound is None else self.bound

    @property
    def held(self) -> bool:
        """Whether the worst keeps within the limit; NaN never does."""
        return self.worst <= self.check.limit.amount

    @property
    def text(self) -> str:
        """What came of it, in one line."""
        limit = self.check.limit
        value, worst = (f"{v:.2%}" if limit.relative else f"{v:.4f}" for v in (self.check.value, self.worst))
        bound = "no bound over images" if self.bound is None else f"{LEVEL:.0%} upper bound {worst}"
        return f"budget {limit.text} {'held' if self.held else 'BROKEN'}, measured {value}, {bound}, {counted(self.images, 'image')}"


def promises(drift: Drift) -> tuple[Promise, ...]:
    """The budgets of a verified candidate, each with its bound."""
    results = []
    for check in drift.checks:
        spread = _per_image(drift, check)
        bound = check.value + half_width(spread) if len(spread) > 1 else None
        results.append(Promise(check, bound, len(drift.per_image)))
    return tuple(results)


def half_width(values: Sequence[float], level: float = LEVEL) -> float:
    """What the mean of at least two values lies below its upper bound."""
    count = len(values)
    with np.errstate(invalid="ignore"):  # of an infinite drift: NaN, which holds nothing
        deviation = float(np.std(values, ddof=1))
    return float(stdtrit(count - 1, level)) * deviation / math.sqrt(count)


def aim(spread: float, images: int, level: float = LEVEL) -> float:
    """The share of a budget to aim at, so that the bound over some images reaches the budget.

    Args:
        spread: standard deviation of the drift over images, relative to its mean.
        images: that will be verified on, at least two.
    """
    return 1 / (1 + float(stdtrit(images - 1, level)) * spread / math.sqrt(images))


def _per_image(drift: Drift, check: Check) -> list[float]:
    """What each image gives for a check; empty for metrics that a drift keeps for all images together only."""
    if check.limit.metric == FIDELITY:
        return [image.fidelity for image in drift.per_image]
    if check.limit.metric == BOUNDARY:
        return [image.boundary_drift for image in drift.per_image]
    if check.limit.metric != "abs_rel":
        return []
    base = abs(drift.metrics["abs_rel"] - drift.change["abs_rel"]) if check.limit.relative else 1.0
    return [(image.candidate - image.reference) / base for image in drift.per_image] if base else []
