import json
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from jsonschema import Draft202012Validator

from fcrn_mobile.benchmark.compare import BLOCK, CONFIDENCE, LEAST_PAIRS, RESAMPLES, compare, judge, order, pairs_for, ratio_interval
from fcrn_mobile.benchmark.devices import schema
from fcrn_mobile.benchmark.latency import report
from tests.benchmark.runtimes import sleeping


def noisy(ms: float, count: int, seed: int) -> np.ndarray:
    return ms * np.random.default_rng(seed).lognormal(0, 0.05, count)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_is_scipys_percentile_bootstrap_over_pairs(seed: int) -> None:
    a, b = noisy(10, 16, seed), noisy(11, 16, seed + 100)

    def geometric(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return scipy.stats.gmean(x / y, axis=axis)

    ratio, low, high = ratio_interval(a, b)
    expected = scipy.stats.bootstrap(
        (a, b), geometric, paired=True, vectorized=True, method="percentile", n_resamples=RESAMPLES, confidence_level=CONFIDENCE, rng=5
    ).confidence_interval
    assert ratio == pytest.approx(scipy.stats.gmean(a / b))
    # Two resamplings of the same pairs differ by chance, far less than the interval is wide.
    assert (low, high) == pytest.approx(tuple(expected), abs=0.05 * (high - low))
    assert (low, high) == ratio_interval(a, b)[1:]


def test_the_ratio_turns_over_with_the_models() -> None:
    a, b = noisy(10, 12, 1), noisy(14, 12, 2)
    ratio, low, high = ratio_interval(a, b)
    other = ratio_interval(b, a)
    assert other == pytest.approx((1 / ratio, 1 / high, 1 / low))


def test_a_drift_that_both_share_does_not_widen_the_interval() -> None:
    drift = np.linspace(1, 3, 20)
    steady = ratio_interval(noisy(10, 20, 1), noisy(12, 20, 2))
    assert ratio_interval(noisy(10, 20, 1) * drift, noisy(12, 20, 2) * drift) == pytest.approx(steady)


def test_equal_models_are_seldom_told_apart_and_different_ones_are() -> None:
    same = [judge("a", "b", noisy(10, 20, s), noisy(10, 20, 1000 + s)).difference_shown for s in range(100)]
    # Nominal 5 of 100; a percentile bootstrap of 20 pairs errs a little more often.
    assert sum(same) <= 14
    found = judge("quick", "slow", noisy(10, 20, 1), noisy(12, 20, 2))
    assert found.difference_shown
    assert found.sentence.endswith(": faster")
    assert judge("slow", "quick", noisy(12, 20, 1), noisy(10, 20, 2)).sentence.endswith(": slower")
    assert judge("a", "b", [1.0, 2.0], [2.0, 1.0]).sentence.endswith("2 interleaved pairs: no difference shown")


@pytest.mark.parametrize("runs", [1, 30, 31, 100])
def test_blocks_go_abba_and_hold_the_runs_asked_for(runs: int) -> None:
    pairs = pairs_for(runs)
    assert pairs >= LEAST_PAIRS
    assert pairs * BLOCK >= runs
    assert [index for turn in order(4) for index in turn] == [0, 1, 1, 0, 0, 1, 1, 0]
    assert Counter(turn[0] for turn in order(pairs)) == {0: pairs // 2, 1: pairs // 2}


def test_processes_take_turns_and_the_slower_one_is_found() -> None:
    seen = []
    first, second, found = compare(sleeping(4), sleeping(16), 30, on_pair=lambda done, total: seen.append((done, total)))
    assert seen == [(pair + 1, 10) for pair in range(10)]
    assert len(first.samples_ms) == len(second.samples_ms) == 30
    assert first.median_ms < second.median_ms
    assert found.difference_shown
    assert found.ratio < 1
    assert found.sentence.startswith("sleep-4 (sleep) takes 0.")
    content = json.loads(json.dumps(report([first, second], comparison=found.to_json())))
    Draft202012Validator(schema()).validate(content)
    assert content["comparison"]["pairs"] == 10
