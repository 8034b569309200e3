"""Which candidate and which frames of a validation are looked at closely."""

import math

from fcrn_mobile.validation.result import Drift, Validation

__all__ = ["deciding", "ranks"]


def deciding(validation: Validation) -> Drift:
    """The candidate that drifts most: its fidelity ranks the images."""
    return max(validation.candidates, key=lambda candidate: _or_infinite(candidate.fidelity.abs_rel))


def ranks(drift: Drift) -> dict[str, int]:
    """Index of the best, the median and the worst image by fidelity; a NaN counts as worst. Fewer than three images have fewer ranks."""
    order = sorted(range(len(drift.per_image)), key=lambda index: _or_infinite(drift.per_image[index].fidelity))
    places = {"worst": order[-1], "best": order[0], "median": order[(len(order) - 1) // 2]}
    return {rank: places[rank] for rank in (("best", "median", "worst"), ("best", "worst"), ("worst",))[max(0, 3 - len(order))]}


def _or_infinite(value: float) -> float:
    return math.inf if math.isnan(value) else value
