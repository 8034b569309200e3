"""Budgets at their ends."""

import math

import pytest

from fcrn_mobile.evaluation.budget import Check, check, parse_limit


@pytest.mark.parametrize(
    ("text", "reference", "candidate", "value", "held"),
    [
        ("abs_rel=0.1", 0.2, 0.3, 0.1, True),
        ("abs_rel=0.0999", 0.2, 0.3, 0.1, False),
        ("abs_rel=50%", 0.2, 0.3, 0.5, True),
        ("abs_rel=49%", 0.2, 0.3, 0.5, False),
        ("abs_rel=1%", 0.3, 0.2, -1 / 3, True),
        ("delta1=0.1", 0.8, 0.9, -0.1, True),
        ("delta1=0.11", 0.8, 0.7, 0.1, True),
        ("delta2=10%", 0.8, 0.7, 0.125, False),
        ("delta3=13%", 0.8, 0.7, 0.125, True),
        ("abs_rel=1%", 0.0, 0.0, 0.0, True),
        ("abs_rel=1%", 0.0, 1e-9, math.inf, False),
        ("abs_rel=1%", 0.0, -1e-9, math.inf, False),
        ("abs_rel=1%", 0.2, math.nan, math.nan, False),
    ],
)
def test_a_worsening_is_held_to_its_limit(text: str, reference: float, candidate: float, value: float, held: bool) -> None:
    limit = parse_limit(text)
    done = check(limit, {limit.metric: reference}, {limit.metric: candidate}, {"fidelity": 0.5})
    assert done.value == pytest.approx(value, nan_ok=True)
    assert done.held == held


def test_a_budget_reached_exactly_is_held() -> None:
    limit = parse_limit("fidelity=0.25")
    assert Check(limit, 0.25).held
    assert not Check(limit, math.nextafter(0.25, 1)).held
    assert check(limit, {}, {}, {"fidelity": 0.125}).value == 0.125
    assert not check(limit, {}, {}, {"fidelity": math.nan}).held
