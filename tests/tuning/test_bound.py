"""The upper confidence bound of a drift, against SciPy's intervals and against draws whose mean is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.tuning.bound import aim, half_width, promises
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift, ImageDrift

FIDELITIES = (0.016, 0.018, 0.017, 0.021)


def drift(budget: str, value: float, images: tuple[float, ...] = FIDELITIES) -> Drift:
    """Of images whose reference's abs_rel is 0.2; the candidate's is worse by the fidelity."""
    rows = tuple(ImageDrift(f"{index}", fidelity, 0.2, 0.2 + fidelity) for index, fidelity in enumerate(images))
    fidelity = FidelityValues(float(np.mean(images)), 40, 0.1, 1)
    change = dict.fromkeys(("abs_rel", "rmse"), 0.018)
    return Drift("net", "net", 1, {"abs_rel": 0.218, "rmse": 0.6}, change, fidelity, (Check(parse_limit(budget), value),), per_image=rows)


@pytest.mark.parametrize("count", [2, 4, 17])
def test_the_bound_is_the_end_of_scipys_two_sided_ninety_percent(count: int) -> None:
    values = np.random.default_rng(count).exponential(size=count)
    _, upper = stats.t.interval(0.90, count - 1, values.mean(), stats.sem(values))
    assert values.mean() + half_width(values.tolist()) == pytest.approx(upper)


def test_nineteen_of_twenty_bounds_reach_the_mean_of_all() -> None:
    draws = np.random.default_rng(0).normal(1, 0.3, (4000, 4))
    reached = [row.mean() + half_width(row.tolist()) >= 1 for row in draws]
    assert np.mean(reached) == pytest.approx(0.95, abs=0.015)


def test_two_images_that_differ_promise_little() -> None:
    """By hand: s = 0.0014142, t(0.95, 1) = 6.3138."""
    (promise,) = promises(drift("fidelity=0.02", 0.0173, (0.0163, 0.0183)))
    assert promise.bound == pytest.approx(0.0173 + 6.3138 * 0.0014142 / math.sqrt(2), abs=1e-6)
    assert promise.check.held and not promise.held
    assert promise.text == "budget fidelity=0.02 BROKEN, measured 0.0173, 95% upper bound 0.0236, 2 images"


def test_a_bound_on_abs_rel_is_of_its_change() -> None:
    for budget, value, base in (("abs_rel=12%", 0.09, 0.2), ("abs_rel=0.05", 0.018, 1.0)):
        (promise,) = promises(drift(budget, value))
        assert promise.bound == pytest.approx(value + half_width([each / base for each in FIDELITIES]))
        assert promise.held


def test_a_metric_of_all_images_together_has_no_bound_and_says_so() -> None:
    (promise,) = promises(drift("rmse=0.05", 0.018))
    assert promise.bound is None and promise.held and "no bound" in promise.text


def test_a_drift_that_is_not_finite_is_never_held() -> None:
    for value, images in ((math.nan, FIDELITIES), (0.01, (*FIDELITIES, math.nan))):
        (promise,) = promises(drift("fidelity=0.02", value, images))
        assert not promise.held


def test_what_is_aimed_at_has_its_bound_at_the_budget() -> None:
    for images, spread in ((2, 0.1), (4, 0.3), (32, 0.2)):
        target = 0.02 * aim(spread, images)
        rows = np.random.default_rng(0).normal(size=images)
        rows = target * (1 + spread * (rows - rows.mean()) / rows.std(ddof=1))
        assert rows.mean() + half_width(rows.tolist()) == pytest.approx(0.02)


def test_a_worse_drift_has_a_higher_bound() -> None:
    low, high = (promises(replace(drift("fidelity=0.02", value)))[0].worst for value in (0.01, 0.012))
    assert low < high
