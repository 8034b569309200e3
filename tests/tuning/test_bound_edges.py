"""A promise at its limit, and metrics that an image has a value of."""

import math
import warnings
from typing import Any

import pytest

from fcrn_mobile.evaluation.budget import Check, parse_limit
from fcrn_mobile.tuning.bound import FEW, LEVEL, Promise, aim, half_width, promises
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.result import Drift, ImageDrift


def promise(value: float, bound: float | None, budget: str = "fidelity=0.02", images: int = 4) -> Promise:
    return Promise(Check(parse_limit(budget), value), bound, images)


@pytest.mark.parametrize(
    ("value", "bound", "worst", "held"),
    [
        (0.01, 0.02, 0.02, True),
        (0.01, math.nextafter(0.02, 1), math.nextafter(0.02, 1), False),
        (0.02, None, 0.02, True),
        (math.nextafter(0.02, 1), None, math.nextafter(0.02, 1), False),
        (0.03, 0.01, 0.01, True),
        (0.01, math.inf, math.inf, False),
        (0.01, 0.0, 0.0, True),
    ],
)
def test_the_worst_is_the_bound_and_holds_up_to_the_limit(value: float, bound: float | None, worst: float, held: bool) -> None:
    made = promise(value, bound)
    assert (made.worst, made.held) == (worst, held)


@pytest.mark.parametrize(("value", "bound"), [(math.nan, None), (0.01, math.nan), (math.nan, 0.01)])
def test_nan_is_never_held_where_it_counts(value: float, bound: float | None) -> None:
    assert promise(value, bound).held == (bound == 0.01)


def test_what_came_of_it_is_said_in_the_budget_s_own_unit() -> None:
    assert promise(0.0123, 0.0187).text == "budget fidelity=0.02 held, measured 0.0123, 95% upper bound 0.0187, 4 images"
    assert promise(0.0123, 0.0287, "abs_rel=2%", 7).text == "budget abs_rel=2% BROKEN, measured 1.23%, 95% upper bound 2.87%, 7 images"
    assert promise(0.0123, None, "rmse=0.01").text == "budget rmse=0.01 BROKEN, measured 0.0123, no bound over images, 4 images"


def test_constants_are_those_of_the_documentation() -> None:
    assert (LEVEL, FEW) == (0.95, 16)
    assert 1 / math.sqrt(2 * (FEW - 1)) < 0.2 < 1 / math.sqrt(2 * (FEW - 4))


#: Student's t by table: one-sided, by degrees of freedom.
T95, T90 = {1: 6.3138, 2: 2.9200, 3: 2.3534}, {1: 3.0777, 2: 1.8856, 3: 1.6377}


@pytest.mark.parametrize("count", [2, 3, 4])
def test_half_widths_and_aims_follow_the_table(count: int) -> None:
    values = [1.0] * (count - 1) + [2.0]
    deviation = math.sqrt((count - 1) * (1 / count) ** 2 + ((count - 1) / count) ** 2) / math.sqrt(count - 1)
    for level, table in ((0.95, T95), (0.90, T90)):
        width = table[count - 1] * deviation / math.sqrt(count)
        assert half_width(values, level) == pytest.approx(width, rel=1e-4)
        assert aim(0.3, count, level) == pytest.approx(1 / (1 + table[count - 1] * 0.3 / math.sqrt(count)), rel=1e-4)
    assert half_width(values) == half_width(values, 0.95) and aim(0.3, count) == aim(0.3, count, 0.95)
    assert half_width([3.0] * count) == 0 and aim(0.0, count) == 1


def drift(budget: str, value: float, reference: float = 0.2, images: int = 3, **metrics: float) -> Drift:
    rows = tuple(ImageDrift(str(index), 0.01 * index, 0.2 + 0.01 * index, 0.2 + 0.03 * index) for index in range(images))
    own: dict[str, Any] = {"abs_rel": reference + 0.02} | metrics
    change = {"abs_rel": 0.02}
    return Drift("n", "p", 1, own, change, FidelityValues(0.01, 40, 0.1, 1), (Check(parse_limit(budget), value),), per_image=rows)


@pytest.mark.parametrize(
    ("budget", "spread"),
    [("fidelity=0.02", [0, 0.01, 0.02]), ("fidelity=2%", [0, 0.01, 0.02]), ("abs_rel=0.1", [0, 0.02, 0.04]), ("abs_rel=9%", [0, 0.1, 0.2])],
)
def test_a_bound_is_of_what_each_image_gives(budget: str, spread: list[float]) -> None:
    (found,) = promises(drift(budget, 0.015))
    assert found.bound == pytest.approx(0.015 + half_width(spread)) and found.images == 3


@pytest.mark.parametrize("broken", [math.inf, math.nan])
def test_a_drift_that_is_not_finite_has_no_finite_bound_and_warns_of_nothing(broken: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(half_width([0.01, broken]))


@pytest.mark.parametrize("images", [0, 1])
def test_one_image_has_no_spread(images: int) -> None:
    (found,) = promises(drift("fidelity=0.02", 0.015, images=images))
    assert (found.bound, found.images, found.worst) == (None, images, 0.015)


@pytest.mark.parametrize("budget", ["rmse=0.1", "delta1=1%", "rmse_pooled=0.1"])
def test_other_metrics_have_no_bound(budget: str) -> None:
    (found,) = promises(drift(budget, 0.015))
    assert found.bound is None


def test_a_share_of_a_reference_without_error_has_none_either() -> None:
    (found,) = promises(drift("abs_rel=9%", math.inf, reference=0.0))
    assert found.bound is None and not found.held
    (plain,) = promises(drift("abs_rel=0.1", 0.02, reference=0.0))
    assert plain.bound == pytest.approx(0.02 + half_width([0, 0.02, 0.04]))


def test_every_budget_has_its_promise_in_order() -> None:
    made = drift("fidelity=0.02", 0.015)
    checks = (*made.checks, Check(parse_limit("rmse=0.1"), 0.2), Check(parse_limit("abs_rel=0.1"), 0.02))
    found = promises(Drift(made.name, made.path, 1, made.metrics, made.change, made.fidelity, checks, per_image=made.per_image))
    assert [each.check for each in found] == list(checks)
    assert [each.bound is None for each in found] == [False, True, False]
