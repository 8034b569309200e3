"""Random operators against the distributions that they are named after: tests of Kolmogorov-Smirnov and χ² by scipy, at fixed seeds."""

import numpy as np
import pytest
import torch
from scipy import stats

from fcrn_mobile.mil.ops.random import OPERATORS
from tests.mil.build import check_op, mb, run_op

X = np.zeros(1, np.float32)
COUNT = 20000
#: Seeds are fixed, so that a test below always draws the same; a wrong distribution gives values below 1e-20.
LEAST = 1e-3


def drawn(kind: str, seed: int, **arguments: object) -> np.ndarray:
    """Numbers of a package on disk."""

    def body(x0):
        numbers = getattr(mb, kind)(shape=np.array([COUNT // 4, 2, 2], np.int32), seed=seed, **arguments)
        return mb.add(x=x0, y=numbers)

    return run_op(body, X)[1][0]


@pytest.mark.parametrize(("mean", "stddev"), [(0.0, 1.0), (-3.0, 0.5), (100.0, 20.0)])
def test_normal_numbers_are_normally_distributed(mean: float, stddev: float) -> None:
    numbers = drawn("random_normal", 7, mean=np.float32(mean), stddev=np.float32(stddev))
    assert numbers.shape == (COUNT // 4, 2, 2)
    assert stats.kstest(numbers.ravel(), stats.norm(mean, stddev).cdf).pvalue > LEAST
    assert abs(numbers.mean() - mean) < 5 * stddev / COUNT**0.5


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-2.0, 5.0), (1.0, 1.0000002)])
def test_uniform_numbers_fill_their_interval_without_its_end(low: float, high: float) -> None:
    numbers = drawn("random_uniform", 7, low=np.float32(low), high=np.float32(high))
    assert np.float32(low) <= numbers.min()
    assert numbers.max() < np.float32(high)
    if high - low > 0.5:
        assert stats.kstest(numbers.ravel(), stats.uniform(low, high - low).cdf).pvalue > LEAST


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.97])
def test_bernoulli_numbers_are_ones_as_often_as_said(probability: float) -> None:
    numbers = drawn("random_bernoulli", 7, prob=np.float32(probability))
    assert set(np.unique(numbers)) == {0, 1}
    assert stats.binomtest(int(numbers.sum()), COUNT, probability).pvalue > LEAST


@pytest.mark.parametrize("mode", ["logits", "probs"])
def test_categories_come_as_often_as_their_probabilities(mode: str) -> None:
    probabilities = np.array([[[0.1, 0.2, 0.3, 0.4]], [[0.7, 0.0, 0.25, 0.05]]], np.float32)
    with np.errstate(divide="ignore"):
        x = np.log(probabilities) + 3 if mode == "logits" else probabilities
    _, (numbers,) = run_op(lambda x0: mb.random_categorical(x=x0, mode=mode, size=COUNT, seed=3), x)
    assert numbers.shape == (2, 1, COUNT)
    for row, expected in zip(numbers.reshape(2, -1), probabilities.reshape(2, -1), strict=True):
        counts = np.bincount(row.astype(int), minlength=4)
        assert not counts[expected == 0].any()
        likely = expected > 0
        assert stats.chisquare(counts[likely], COUNT * expected[likely] / expected.sum()).pvalue > LEAST


def test_what_leaves_no_choice() -> None:
    shape = np.array([2, 1, 3], np.int32)
    for kind, arguments, value in [
        ("random_bernoulli", {"prob": 1.0}, 1),
        ("random_bernoulli", {"prob": 0.0}, 0),
        ("random_normal", {"mean": 2.0, "stddev": 0.0}, 2),
        ("random_uniform", {"low": 1.5, "high": 1.5}, 1.5),
    ]:
        body = lambda x0, k=kind, a=arguments: mb.add(x=x0, y=getattr(mb, k)(shape=shape, **a))  # noqa: E731
        check_op(kind, body, [X], np.full(tuple(shape), value, np.float32))
    one = np.zeros((2, 1), np.float32)
    check_op("random_categorical", lambda x0: mb.random_categorical(x=x0, size=4), [one], np.zeros((2, 4), np.float32))


@pytest.mark.parametrize("kind", list(OPERATORS))
def test_a_seed_repeats_the_numbers_and_none_gives_others(kind: str) -> None:
    first = {"x": torch.zeros(3, 9)} if kind == "random_categorical" else {"shape": torch.tensor([50])}
    run = OPERATORS[kind].run
    count = {"size": torch.tensor(50)} if kind == "random_categorical" else {}
    repeated = [run(**first, **count, seed=torch.tensor(seed)) for seed in (5, 5, 6, 0)]
    assert repeated[0].equal(repeated[1])
    assert not repeated[0].equal(repeated[2])
    assert not repeated[0].equal(repeated[3])
    assert not run(**first, **count).equal(run(**first, **count))
    torch.manual_seed(1)
    unseeded = run(**first, **count)
    torch.manual_seed(1)
    assert unseeded.equal(run(**first, **count))


def test_shapes_computed_at_run_time() -> None:
    shape = np.array([2, 3], np.int32)
    body = lambda x0: mb.reshape(x=mb.random_uniform(shape=x0, low=2.0, high=2.0), shape=(3, 2))  # noqa: E731
    check_op("random_uniform", body, [shape], np.full((3, 2), 2, np.float32))
