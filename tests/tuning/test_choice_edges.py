"""The knapsack at its limits, and the search's steps between what held and what broke."""

import math

import pytest

from fcrn_mobile.tuning import search
from fcrn_mobile.tuning.choice import STEPS, Option, assign, most_accurate, total
from fcrn_mobile.tuning.search import CLOSE, TRIES, Search

FINE, COARSE = Option("fine", 16, 0.0), Option("coarse", 4, 3.0)


@pytest.mark.parametrize("steps", [1, 2, 7, 100, STEPS])
@pytest.mark.parametrize("noises", [(0.3, 0.3, 0.3), (0.34, 0.34, 0.34), (0.1, 0.45, 0.46), (0.5004, 0.5004, 0.0001)])
def test_a_limit_is_never_exceeded_however_coarse_the_steps(steps: int, noises: tuple[float, ...]) -> None:
    """Amounts are rounded up: down, three times 0.34 would pass for less than 1 in a hundredth's steps."""
    options = [[Option("fine", 9, 0.0), Option("coarse", 1, noise)] for noise in noises]
    choice = assign(options, 1.0, steps)
    assert choice is not None
    assert total(options, choice)[1] <= 1.0


def test_noise_of_exactly_the_limit_is_within_it() -> None:
    assert assign([[FINE, COARSE]], 3.0) == (1,)
    assert assign([[FINE, COARSE]], math.nextafter(3.0, 0)) == (0,)
    assert assign([[FINE, COARSE]] * 2, 6.0, 2) == (1, 1)
    assert sorted(assign([[FINE, COARSE]] * 2, 5.9, 2) or ()) == [0, 1]


def test_what_needs_the_whole_limit_has_it() -> None:
    assert assign([[Option("a", 1.0, 1.0)]], 1.0) == (0,)
    assert assign([[Option("a", 1.0, 1.0)], [Option("b", 1.0, 1e-9)]], 1.0) is None


def test_the_limit_is_told_apart_in_twenty_thousand_steps() -> None:
    """As documented: a hundred operators lose at most one of them each."""
    assert STEPS == 20_000


def test_a_limit_of_nothing_takes_only_what_makes_no_noise() -> None:
    assert assign([[FINE, COARSE]], 0.0) == (0,)
    assert assign([[COARSE]], 0.0) is None
    assert assign([[FINE]], -1e-9) is None
    assert assign([[]], 1.0) is None
    assert assign([[FINE], []], 1.0) is None
    assert assign([], 1.0) == ()


def test_of_equal_choices_the_first_counts() -> None:
    assert assign([[FINE, Option("same", 16, 0.0), COARSE]], 1.0) == (0,)
    twins = [[Option("a", 4, 1.0), Option("b", 4, 1.0)]]
    assert assign(twins, 2.0) == (0,)


def test_of_equally_accurate_options_the_cheapest_counts() -> None:
    row = [Option("dear", 9, 1.0), Option("cheap", 5, 1.0), Option("noisy", 1, 2.0), Option("nothing", 12, math.inf)]
    assert most_accurate([row, row[:1]]) == (1, 0)


def test_cost_and_noise_are_sums_over_operators() -> None:
    assert total([[FINE, COARSE], [FINE, COARSE], [COARSE]], (0, 1, 0)) == (24.0, 6.0)
    assert total([[Option("a", 0.1, 0.1)]] * 10, (0,) * 10) == (1.0, 1.0)  # exact sums
    with pytest.raises(ValueError, match="zip"):
        total([[FINE], [FINE]], (0,))


class Formula:
    """Stands in for the variants: a program is its choice."""

    reference = None

    def assembled(self, choice: dict[str, str]) -> dict[str, str]:
        return choice


def searched(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, list[Option]], drift: object, base: float = 0.0
) -> tuple[Search, list[float]]:
    runs: list[float] = []

    def measured(reference: object, images: object, trials: list[object]) -> list[object]:
        assert trials[0].first == 0  # type: ignore[attr-defined]
        program = trials[0].program  # type: ignore[attr-defined]
        runs.append(drift(sum(next(o.noise for o in options[w] if o.name == name) for w, name in program.items())))  # type: ignore[operator]
        return [type("Values", (), {"abs_rel": runs[-1]})]

    monkeypatch.setattr(search, "trial_drifts", measured)
    return Search(Formula(), options, [], base), runs  # type: ignore[arg-type]


TWO = {
    "a": [Option("fp16", 16, 0.0), Option("int8", 8, 9e-6), Option("int4", 4, 64e-6)],
    "b": [Option("fp16", 32, 0.0), Option("int8", 16, 16e-6)],
}


def test_the_span_reaches_from_the_most_accurate_choice_to_the_cheapest(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = searched(monkeypatch, TWO, math.sqrt, base=1e-6)
    accurate, cheapest = found.span()
    assert accurate == pytest.approx(1e-3)
    assert cheapest == pytest.approx(math.sqrt(1e-6 + 80e-6))
    assert runs == []


def test_a_front_names_each_choice_once_with_its_predicted_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = searched(monkeypatch, TWO, math.sqrt, base=1e-6)
    front = found.front([5e-4, 1.1e-3, 3.2e-3, 3.3e-3, 0.1])
    assert [choice for choice, _ in front] == [{"a": "fp16", "b": "fp16"}, {"a": "int8", "b": "fp16"}, {"a": "int4", "b": "int8"}]
    assert [drift for _, drift in front] == pytest.approx([1e-3, math.sqrt(10e-6), math.sqrt(81e-6)])
    found.factor = 4.0
    assert [drift for _, drift in found.front([0.1])] == pytest.approx([math.sqrt(1e-6 + 4 * 80e-6)])


def test_the_factor_is_what_a_program_measures_over_what_was_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = searched(monkeypatch, TWO, lambda noise: math.sqrt(1e-6 + 2.5 * noise), base=1e-6)
    fit = found.fit(0.1, lambda done, total: None)
    assert found.factor == pytest.approx(2.5)
    assert fit.choice == {"a": "int4", "b": "int8"}
    assert (fit.cost, fit.exhausted) == (20.0, False)
    assert fit.measured == pytest.approx(math.sqrt(1e-6 + 2.5 * 80e-6))
    assert len(runs) <= TRIES


def test_a_program_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = searched(monkeypatch, TWO, math.sqrt)
    first = found.fit(0.1, lambda done, total: None)
    count = len(runs)
    assert found.fit(0.1, lambda done, total: None) == first
    assert len(runs) == count == len(set(runs))


def test_the_most_accurate_choice_is_exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = searched(monkeypatch, TWO, lambda noise: 0.5)
    fit = found.fit(0.01, lambda done, total: None)
    assert fit.exhausted
    assert fit.choice == {"a": "fp16", "b": "fp16"}
    assert (fit.cost, fit.measured) == (48.0, 0.5)


def test_progress_goes_from_none_to_all_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = searched(monkeypatch, TWO, math.sqrt)
    calls: list[tuple[int, int]] = []
    found.fit(0.1, lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, TRIES)
    assert calls[-1] == (TRIES, TRIES)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


@pytest.mark.parametrize("power", [0.3, 0.6, 1.0])
def test_a_cheaper_choice_that_holds_is_never_given_up_for_a_dearer(power: float, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {f"w{i}": [Option("fp16", 16, 0.0), Option("int8", 8, 1e-6 * 1.3**i)] for i in range(20)}
    found, runs = searched(monkeypatch, options, lambda noise: (noise * 1e4) ** power / 10)
    fit = found.fit(0.05, lambda done, total: None)
    assert fit.measured <= 0.05
    assert len(runs) <= TRIES
    held = [run for run in runs if run <= 0.05]
    assert fit.measured == max(held)
    assert fit.measured >= 0.8 * CLOSE * 0.05
