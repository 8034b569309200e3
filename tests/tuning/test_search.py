"""The search for a target, on networks whose drift is a formula."""

import math

import pytest

from fcrn_mobile.tuning import search
from fcrn_mobile.tuning.choice import Option
from fcrn_mobile.tuning.search import CLOSE, Search

#: Forty operators with sensitivities that spread over a hundredfold: 16, 8 or 4 bits, noise 16 times larger per step.
OPTIONS = {f"w{i}": [Option("fp16", 16, 0.0), Option("int8", 8, 1e-7 * 1.12**i), Option("int4", 4, 16e-7 * 1.12**i)] for i in range(40)}


class Formula:
    """Stands in for the variants: what a program of a choice drifts is computed from the choice."""

    reference = None

    def assembled(self, choice: dict[str, str]) -> dict[str, str]:
        return choice


def searched(monkeypatch: pytest.MonkeyPatch, drift: object, base: float = 1e-8) -> tuple[Search, list[float]]:
    runs: list[float] = []

    def measured(reference: object, images: object, trials: list[object]) -> list[object]:
        noise = sum(next(o.noise for o in OPTIONS[w] if o.name == name) for w, name in trials[0].program.items())  # type: ignore[attr-defined]
        runs.append(drift(noise))  # type: ignore[operator]
        return [type("Values", (), {"abs_rel": runs[-1]})]

    monkeypatch.setattr(search, "trial_drifts", measured)
    return Search(Formula(), OPTIONS, [], base), runs  # type: ignore[arg-type]


def test_squares_that_add_are_met_by_the_first_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = searched(monkeypatch, lambda noise: math.sqrt(1e-8 + noise))
    fit = found.fit(0.01, lambda done, total: None)
    assert len(runs) == 1
    assert CLOSE * 0.01 <= fit.measured <= 0.01
    assert fit.measured == pytest.approx(fit.predicted)


@pytest.mark.parametrize("power", [0.35, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("reached", [1e-5, 5e-4])
def test_drifts_that_add_otherwise_still_reach_the_target(power: float, reached: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found, runs = searched(monkeypatch, lambda noise: 1e-4 + 0.0099 * (noise / reached) ** power)
    fit = found.fit(0.01, lambda done, total: None)
    assert 0.9 * 0.01 <= fit.measured <= 0.01
    assert len(runs) <= search.TRIES


def test_a_target_that_nothing_holds_gives_the_most_accurate(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = searched(monkeypatch, lambda noise: 0.5 + noise)
    fit = found.fit(0.01, lambda done, total: None)
    assert fit.exhausted and set(fit.choice.values()) == {"fp16"}


def test_outputs_that_are_not_finite_are_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = searched(monkeypatch, lambda noise: math.nan if noise > 2e-6 else math.sqrt(1e-8 + noise))
    fit = found.fit(0.01, lambda done, total: None)
    assert math.isfinite(fit.measured) and not fit.exhausted
