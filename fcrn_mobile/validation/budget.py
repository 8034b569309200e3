"""Measured drift held against what is allowed, see ``conversion/limits.py``."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fcrn_mobile.conversion.limits import FIDELITY, Limit
from fcrn_mobile.evaluation.metrics import HIGHER_IS_BETTER


@dataclass(frozen=True)
class Check:
    """A limit against what was measured; ``value`` has the limit's unit. NaN is never held."""

    limit: Limit
    value: float

    @property
    def held(self) -> bool:
        """Whether the value keeps within the limit."""
        return self.value <= self.limit.amount


def check(limit: Limit, reference: Mapping[str, float], candidate: Mapping[str, float], fidelity: float) -> Check:
    """Hold a candidate to a limit.

    Args:
        limit: the budget.
        reference, candidate: their metrics against the truth.
        fidelity: mean abs_rel of the candidate's output to the reference's.
    """
    if limit.metric == FIDELITY:
        return Check(limit, fidelity)
    worsening = candidate[limit.metric] - reference[limit.metric]
    if limit.metric in HIGHER_IS_BETTER:
        worsening = -worsening
    if not limit.relative:
        return Check(limit, worsening)
    base = abs(reference[limit.metric])
    return Check(limit, worsening / base if base else (0.0 if worsening == 0 else math.inf))
