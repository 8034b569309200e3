"""The limits that a search tries one after the other, each worked out by hand from what the program before it measured."""

import itertools
import math
from collections.abc import Callable

import pytest

from fcrn_mobile.tuning import search
from fcrn_mobile.tuning.choice import Option, assign
from fcrn_mobile.tuning.search import CLOSE, TRIES, Search

#: Sixty operators of equal options: a choice's noise is that of as many of them as fit into the limit.
OPTIONS = {f"w{i}": [Option("fp16", 16, 0.0), Option("int8", 8, 1e-6)] for i in range(60)}


class Formula:
    reference = None

    def assembled(self, choice: dict[str, str]) -> int:
        return sum(name == "int8" for name in choice.values())


def searched(monkeypatch: pytest.MonkeyPatch, drift: Callable[[int], float], base: float = 0.0) -> tuple[Search, list[float]]:
    """A search whose program with so many operators in int8 drifts so far, and the limits that it tries."""
    limits: list[float] = []

    def recorded(options: object, limit: float) -> object:
        limits.append(limit)
        return assign(options, limit)  # type: ignore[arg-type]

    def measured(reference: object, images: object, trials: list[search.Trial]) -> list[object]:
        return [type("Values", (), {"abs_rel": drift(trials[0].program)})]  # type: ignore[arg-type]

    monkeypatch.setattr(search, "assign", recorded)
    monkeypatch.setattr(search, "trial_drifts", measured)
    return Search(Formula(), OPTIONS, [], base), limits  # type: ignore[arg-type]


def quiet(done: int, total: int) -> None:
    pass


def test_constants_are_those_of_the_documentation() -> None:
    assert (TRIES, CLOSE) == (8, 0.98)


def test_a_limit_is_what_the_target_leaves_above_the_base_over_the_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    base = 16e-6
    found, limits = searched(monkeypatch, lambda count: math.sqrt(base + 4e-6 * count), base)
    fit = found.fit(8.01e-3, quiet)
    room = 8.01e-3**2 - base  # 48.2 µ: 48 operators, which drift four times as much, then 12
    assert limits == pytest.approx([room, room / 4])
    assert found.factor == pytest.approx(4)
    assert (fit.measured, fit.predicted) == (pytest.approx(8e-3), pytest.approx(8e-3))
    assert fit.cost == 12 * 8 + 48 * 16
    limits.clear()
    found.fit(8.01e-3, quiet)
    assert limits == pytest.approx([room / 4]), "the factor is kept"


def test_an_output_that_is_not_finite_makes_the_prediction_sixteen_times_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    """In powers of two, which are exact: four operators measure what was predicted, which leads back to what broke already."""
    unit = 2.0**-20
    monkeypatch.setitem(globals(), "OPTIONS", {f"w{i}": [Option("fp16", 16, 0.0), Option("int8", 8, unit)] for i in range(60)})
    found, limits = searched(monkeypatch, lambda count: math.nan if count > 4 else math.sqrt(unit * count))
    found.fit(2.0**-7, quiet)
    assert limits[:2] == [64 * unit, 4 * unit]
    assert limits[2] == pytest.approx(16 * unit), "as a factor half-way between what held and what broke"


def test_without_noise_the_factor_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    found, limits = searched(monkeypatch, lambda count: 0.5)
    fit = found.fit(0.9e-3, quiet)
    assert (found.factor, fit.exhausted, fit.measured) == (1.0, True, 0.5)
    assert limits == pytest.approx([0.81e-6])
    below, _ = searched(monkeypatch, lambda count: 1e-3, base=4e-6)
    assert below.fit(3e-3, quiet).measured == 1e-3
    assert below.factor == 1.0, "a drift below that of float16 alone says nothing"


def test_a_target_below_the_base_gives_the_most_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    found, limits = searched(monkeypatch, lambda count: math.sqrt(4e-6 + 1e-6 * count), base=4e-6)
    fit = found.fit(1e-3, quiet)
    assert limits == pytest.approx([1e-6 - 4e-6])
    assert fit.exhausted and fit.measured == pytest.approx(2e-3)


def test_what_breaks_again_and_again_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factor of a program that drifts the same whatever it is leads back behind what broke already."""
    found, limits = searched(monkeypatch, lambda count: 1.0 if count else 0.0)
    fit = found.fit(math.sqrt(40.5e-6), quiet)
    first = 40.5e-6
    second = first * 40e-6  # the factor is 1 / 40 µ
    assert limits[:2] == pytest.approx([first, second])
    assert fit.measured == 0.0


def test_what_holds_is_grown_by_half_and_then_met_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 20 operators drift nothing to speak of, more of them too much: factors mislead in both directions."""
    found, limits = searched(monkeypatch, lambda count: 2e-3 if count <= 20 else 20e-3)
    calls: list[int] = []
    fit = found.fit(10e-3, lambda done, total: calls.append(done))
    held = broken = None
    for limit, following in itertools.pairwise(limits):
        count = min(60, math.floor(limit / 1e-6 + 1e-9))
        held, broken = (max(held or 0, limit), broken) if count <= 20 else (held, min(broken or math.inf, limit))
        wanted = 1e-4 / ((4e-6 if count <= 20 else 400e-6) / (count * 1e-6)) if count else None
        inside = wanted is not None and (held or 0) < wanted < (broken or math.inf)
        expected = wanted if inside else broken / 2 if held is None else 1.5 * held if broken is None else math.sqrt(held * broken)  # type: ignore[operator]
        assert following == pytest.approx(expected, rel=1e-6)
    assert len(limits) == TRIES and calls == [*range(TRIES), TRIES]
    assert fit.measured == 2e-3 and fit.cost == min(
        16 * 60 - 8 * min(60, math.floor(each / 1e-6 + 1e-9)) for each in limits if each < 21e-6
    )


@pytest.mark.parametrize(("measured", "tries"), [(0.98, 1), (0.9801, 1), (1.0, 1), (0.97, 2)])
def test_close_to_the_target_is_near_enough(measured: float, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    target = math.sqrt(30.5e-6)
    found, limits = searched(monkeypatch, lambda count: measured * target if count == 30 else target)
    found.fit(target, quiet)
    assert len(limits) == tries
