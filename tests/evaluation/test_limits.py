"""Budgets as people write them."""

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.budget import Limit, parse_limit


@pytest.mark.parametrize(
    ("text", "metric", "amount", "relative"),
    [
        ("abs_rel=0.5", "abs_rel", 0.5, False),
        ("abs_rel=50%", "abs_rel", 0.5, True),
        ("delta1=2%", "delta1", 0.02, True),
        ("fidelity=0.02", "fidelity", 0.02, False),
        ("fidelity=2%", "fidelity", 0.02, False),
        ("rmse_pooled=1", "rmse_pooled", 1.0, False),
    ],
)
def test_a_budget_is_an_amount_or_a_share(text: str, metric: str, amount: float, relative: bool) -> None:
    limit = parse_limit(text)
    assert (limit.metric, limit.amount, limit.relative) == (metric, pytest.approx(amount), relative)
    assert isinstance(limit, Limit)


@pytest.mark.parametrize(
    "text", ["abs_rel", "=1", "speed=1", "abs_rel=", "abs_rel=x", "abs_rel=-0.1", "abs_rel=nan", "abs_rel=inf", "abs_rel=-1%"]
)
def test_others_are_named(text: str) -> None:
    with pytest.raises(InputError, match="budget '"):
        parse_limit(text)
