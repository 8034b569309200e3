"""How much drift a recipe or a user allows: ``abs_rel=1%``, ``delta1=0.01``, ``fidelity=0.05``."""

import math
from dataclasses import dataclass

from fcrn_mobile.errors import InputError
from fcrn_mobile.metrics import METRICS

FIDELITY = "fidelity"


@dataclass(frozen=True)
class Limit:
    """One budget.

    Attributes:
        metric: a depth metric, whose worsening is bounded, or ``fidelity``, whose value is.
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
        InputError: another form, an unknown metric, or a negative amount.
    """
    metric, equals, amount_text = (part.strip() for part in text.partition("="))
    known = (FIDELITY, *METRICS, "rmse_pooled")
    if not equals or metric not in known:
        raise InputError(f"budget '{text}': write METRIC=AMOUNT with one of {', '.join(known)}")
    percent = amount_text.endswith("%")
    try:
        amount = float(amount_text.removesuffix("%"))
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        raise InputError(f"budget '{text}': '{amount_text}' is not an amount; write a number such as 0.05 or 5%")
    # The fidelity is a relative error already, so 5% and 0.05 mean the same.
    return Limit(metric, amount / 100 if percent else amount, percent and metric != FIDELITY, text)
