"""How much drift a recipe or a user allows, and whether a candidate keeps to it.

``abs_rel=1%`` and ``delta1=0.01`` bound how much worse a metric gets; ``fidelity=0.05`` and ``boundary_drift=0.1`` how far the candidate's
output is from the reference's own, which needs no truth.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.formulas import compared

__all__ = [
    "BOUNDARY",
    "FIDELITY",
    "FLOAT16_ROUNDING",
    "FLOAT32_ROUNDING",
    "OWN_OUTPUT",
    "Check",
    "Limit",
    "check",
    "check_half",
    "check_without_truth",
    "parse_limit",
]

FIDELITY, BOUNDARY = "fidelity", "boundary_drift"
#: Budgets on the candidate's output beside the reference's own, whose value is bounded; see ``validation/fidelity.py``.
OWN_OUTPUT = (FIDELITY, BOUNDARY)
#: Relative rounding of a depth in float32, half a unit in its last place (IEEE 754): two engines that compute the same differ by that,
#: and so do metrics of it, whose values are of the order of 1.
FLOAT32_ROUNDING = 2.0**-24
#: Mean relative rounding of a depth in float16, at least: a quarter of the spacing 2^-10, relative to the largest number that has it.
FLOAT16_ROUNDING = 2.0**-13


@dataclass(frozen=True)
class Limit:
    """One budget.

    Attributes:
        metric: a depth metric, whose worsening is bounded, or one of ``OWN_OUTPUT``, whose value is.
        amount: the bound.
        relative: whether it is a share of the reference's value.
        text: as written, for tables.
    """

    metric: str
    amount: float
    relative: bool
    text: str


def parse_limit(text: str) -> Limit:
    """Read ``METRIC=AMOUNT``; an amount with % is relative to the reference's value.

    Raises:
        InputError: another form, an unknown metric, a negative amount, or one below the rounding of float32.
    """
    metric, equals, amount_text = (part.strip() for part in text.partition("="))
    metrics = (*OWN_OUTPUT, *compared())
    if not equals or metric not in metrics:
        raise InputError(f"budget '{text}': write METRIC=AMOUNT with one of {', '.join(metrics)}")
    percent = amount_text.endswith("%")
    try:
        amount = float(amount_text.removesuffix("%"))
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise InputError(f"budget '{text}': '{amount_text}' is not an amount; write a number such as 0.05 or 5%")
    if (amount / 100 if percent else amount) < FLOAT32_ROUNDING:
        raise InputError(
            f"budget '{text}': less than the rounding of depth in float32, {FLOAT32_ROUNDING:.0e}, which alone would break it or not: "
            f"allow more, such as {metric}={'1%' if percent else '0.01'}"
        )
    # These are shares already, so 5% and 0.05 mean the same.
    return Limit(metric, amount / 100 if percent else amount, percent and metric not in OWN_OUTPUT, text)


def check_half(limit: Limit) -> None:
    """Refuse a budget that half precision cannot hold, whatever the weights.

    Raises:
        InputError: a fidelity below the rounding of depth in float16.
    """
    if limit.metric == FIDELITY and limit.amount < FLOAT16_ROUNDING:
        raise InputError(
            f"budget '{limit.text}': less than the rounding of depth in float16, {FLOAT16_ROUNDING:.5f}, in which the package computes; "
            "allow more, such as fidelity=0.01, or export with precision fp32"
        )


def check_without_truth(limits: Iterable[Limit], data: str) -> None:
    """Refuse budgets that pictures without depth cannot decide.

    Raises:
        InputError: a budget on a metric.
    """
    for limit in limits:
        if limit.metric not in OWN_OUTPUT:
            raise InputError(
                f"budget '{limit.text}' is on a metric, which needs true depth, and '{data}' holds none: "
                "give a budget such as fidelity=0.05, or data with depth"
            )


@dataclass(frozen=True)
class Check:
    """A limit against what was measured; ``value`` has the limit's unit. NaN is never held."""

    limit: Limit
    value: float

    @property
    def held(self) -> bool:
        """Whether the value keeps within the limit."""
        return self.value <= self.limit.amount


def check(limit: Limit, reference: Mapping[str, float], candidate: Mapping[str, float], own: Mapping[str, float]) -> Check:
    """Hold a candidate to a limit.

    Args:
        limit: the budget.
        reference, candidate: their metrics against the truth.
        own: the figures of ``OWN_OUTPUT``, by name.
    """
    if limit.metric in OWN_OUTPUT:
        return Check(limit, own[limit.metric])
    worsening = candidate[limit.metric] - reference[limit.metric]
    if compared()[limit.metric].higher_is_better:
        worsening = -worsening
    if not limit.relative:
        return Check(limit, worsening)
    base = abs(reference[limit.metric])
    return Check(limit, worsening / base if base else (0.0 if worsening == 0 else math.inf))
