"""The knapsack against brute force over all choices."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.tuning.choice import Option, assign, most_accurate, total

amounts = st.floats(0, 10).map(lambda value: round(value, 3))
networks = st.lists(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=4), min_size=1, max_size=5)


def named(rows: list[list[tuple[float, float]]]) -> list[list[Option]]:
    return [[Option(str(index), *pair) for index, pair in enumerate(row)] for row in rows]


def cheapest(options: list[list[Option]], limit: float) -> float:
    """Least cost within the limit, over all choices; infinite if there is none."""
    sums = ((sum(o.cost for o in chosen), sum(o.noise for o in chosen)) for chosen in itertools.product(*options))
    return min((cost for cost, noise in sums if noise <= limit), default=math.inf)


@settings(max_examples=150, deadline=None)
@given(networks, st.floats(0.01, 40))
def test_no_choice_within_the_limit_is_cheaper(rows: list[list[tuple[float, float]]], limit: float) -> None:
    """Noise is rounded up to a 2000th of the limit per operator: between the optimum of the limit and of one that is tighter by that."""
    options, steps = named(rows), 2000
    tighter = cheapest(options, limit * (1 - len(options) / steps))
    choice = assign(options, limit, steps)
    if choice is None:
        assert tighter == math.inf
        return
    cost, noise = total(options, choice)
    assert noise <= limit * (1 + 1e-9)
    assert cheapest(options, limit) - 1e-9 <= cost <= tighter + 1e-9


def test_an_exact_case_by_hand() -> None:
    """Two of three operators can be coarse within the limit: the two that save most."""
    options = [[Option("fine", 16, 0), Option("coarse", 4, 3)], [Option("fine", 10, 0), Option("coarse", 4, 3)]]
    options.append([Option("fine", 30, 0), Option("coarse", 10, 4)])
    assert assign(options, 7.01) == (1, 0, 1)
    assert assign(options, 100) == (1, 1, 1)
    assert assign(options, 0) == (0, 0, 0)
    assert assign(options, -1) is None


@pytest.mark.parametrize(("steps", "noise", "coarse"), [(10, 0.39, 2), (10, 0.4, 2), (4, 0.26, 2), (1, 0.3, 1)])
def test_noise_is_rounded_up_so_that_the_limit_holds(steps: int, noise: float, coarse: int) -> None:
    """Rounded down to tenths, three of 0.39 would take 0.9 and seem to fit."""
    options = [[Option("coarse", 1, noise), Option("fine", 2, 0)] for _ in range(4)]
    choice = assign(options, 1, steps)
    assert choice is not None
    assert total(options, choice)[1] <= 1
    assert choice.count(0) == coarse, "as many as fit when each takes whole steps"


@pytest.mark.parametrize("noise", [math.nan, math.inf])
def test_an_output_that_is_not_finite_is_never_chosen(noise: float) -> None:
    assert assign([[Option("lost", 1, noise), Option("kept", 9, 0.5)]], 1) == (1,)
    assert assign([[Option("lost", 1, noise)]], 1) is None


@settings(max_examples=50, deadline=None)
@given(networks)
def test_the_most_accurate_choice_has_the_least_noise(rows: list[list[tuple[float, float]]]) -> None:
    options = named(rows)
    least = min(sum(o.noise for o in chosen) for chosen in itertools.product(*options))
    assert total(options, most_accurate(options))[1] == pytest.approx(least)
