import json
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from jsonschema import Draft202012Validator

from fcrn_mobile.latency.reports import report, schema
from fcrn_mobile.latency.turns import (
    BLOCK,
    CONFIDENCE,
    LAUNCHES,
    LEAST_PAIRS,
    RESAMPLES,
    expanded,
    in_turns,
    judge,
    order,
    pairs_for,
    ratio_interval,
    take_turns,
)
from tests.latency.runtimes import sleeping


def noisy(ms: float, count: int, seed: int) -> np.ndarray:
    return ms * np.random.default_rng(seed).lognormal(0, 0.05, count)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_scipys_percentile_bootstrap_over_pairs(seed: int) -> None:
    a, b = noisy(10, 16, seed), noisy(11, 16, seed + 100)

    def geometric(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return scipy.stats.gmean(x / y, axis=axis)

    ratio, low, high = ratio_interval(a, b)
    level = expanded(CONFIDENCE, 16)
    expected = scipy.stats.bootstrap(
        (a, b), geometric, paired=True, vectorized=True, method="percentile", n_resamples=RESAMPLES, confidence_level=level, rng=5
    ).confidence_interval
    assert ratio == pytest.approx(scipy.stats.gmean(a / b))
    # Two resamplings of the same pairs differ by chance, far less than the interval is wide.
    assert (low, high) == pytest.approx(tuple(expected), abs=0.05 * (high - low))
    assert (low, high) == ratio_interval(a, b)[1:]


@pytest.mark.parametrize("count", [5, 20])
def test_few_launches_give_an_interval_as_wide_as_students(count: int) -> None:
    widths = []
    for seed in range(40):
        logs = np.random.default_rng(seed).normal(0, 0.01, count)
        _, low, high = ratio_interval(np.exp(logs), np.ones(count))
        student = scipy.stats.t.interval(CONFIDENCE, count - 1, loc=logs.mean(), scale=scipy.stats.sem(logs))
        widths.append(np.log(high / low) / (student[1] - student[0]))
    assert np.mean(widths) == pytest.approx(1, abs=0.12)


def test_the_ratio_turns_over_with_the_models() -> None:
    a, b = noisy(10, 12, 1), noisy(14, 12, 2)
    ratio, low, high = ratio_interval(a, b)
    other = ratio_interval(b, a)
    assert other == pytest.approx((1 / ratio, 1 / high, 1 / low))


def test_a_drift_that_both_share_does_not_widen_the_interval() -> None:
    drift = np.linspace(1, 3, 20)
    steady = ratio_interval(noisy(10, 20, 1), noisy(12, 20, 2))
    assert ratio_interval(noisy(10, 20, 1) * drift, noisy(12, 20, 2) * drift) == pytest.approx(steady)


def launched(ms: float, seed: int, between: float = 0.05) -> np.ndarray:
    """Medians of blocks, launches × rounds: each launch has a level of its own, which its blocks share."""
    levels = noisy(ms, LAUNCHES, seed) if between else np.full(LAUNCHES, ms)
    return levels[:, None] * np.random.default_rng(seed + 9999).lognormal(0, 0.005, (LAUNCHES, 4))


def test_equal_models_are_seldom_told_apart_though_their_processes_differ() -> None:
    same = [judge("a", "b", launched(10, s), launched(10, 1000 + s)).difference_shown for s in range(200)]
    assert sum(same) <= 24  # nominal 10
    # Counting blocks as if each stood for itself would tell most of them apart.
    blocks = [ratio_interval(launched(10, s).ravel(), launched(10, 1000 + s).ravel()) for s in range(200)]
    assert sum(not low <= 1 <= high for _, low, high in blocks) > 50


def test_different_models_are_told_apart() -> None:
    found = judge("quick", "slow", launched(10, 1, 0), launched(12, 2, 0))
    assert found.difference_shown
    assert found.sentence.endswith(": faster")
    assert judge("slow", "quick", launched(12, 2, 0), launched(10, 1, 0)).sentence.endswith(": slower")
    even = judge("a", "b", np.array([[1.0], [2.0]]), np.array([[2.0], [1.0]]))
    assert even.sentence.endswith("2 interleaved pairs in 2 launches: no difference shown")


@pytest.mark.parametrize("runs", [1, 30, 31, 100])
def test_blocks_go_abba_and_hold_the_runs_asked_for(runs: int) -> None:
    pairs = pairs_for(runs)
    assert pairs >= LEAST_PAIRS
    assert pairs * BLOCK >= runs
    assert pairs % (2 * LAUNCHES) == 0
    assert [index for turn in order(4) for index in turn] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert Counter(turn[0] for turn in order(pairs)) == {0: pairs // 2, 1: pairs // 2}
    assert order(2, 3) == [(0, 1, 2), (2, 1, 0)]


@pytest.mark.speed
def test_processes_take_turns_and_the_slower_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcrn_mobile.latency.turns.LAUNCHES", 2)
    seen = []
    first, second, found = take_turns(sleeping(4), sleeping(16), 30, on_pair=lambda done, total: seen.append((done, total)))
    assert seen == [(pair + 1, 10) for pair in range(10)]
    assert len(first.samples_ms) == len(second.samples_ms) == 30
    assert first.median_ms < second.median_ms
    assert found.difference_shown
    assert found.ratio < 1
    assert found.sentence.startswith("sleep-4 (sleep) takes 0.")
    content = json.loads(json.dumps(report([first, second], comparison=found)))
    Draft202012Validator(schema()).validate(content)
    assert content["comparison"]["pairs"] == 10
    assert content["comparison"]["launches"] == 2


@pytest.mark.speed
def test_a_slow_model_has_a_block_of_one() -> None:
    (quick, slow), medians = in_turns((sleeping(1), sleeping(40)), rounds=3, launches=1, slow_ms=25)
    assert (len(quick.samples_ms), len(slow.samples_ms)) == (3 * BLOCK, 3)
    assert medians.shape == (2, 1, 3)
    assert sorted(medians[1].ravel()) == sorted(slow.samples_ms)
    assert quick.warm_up is not None
    assert quick.warm_up >= 10
