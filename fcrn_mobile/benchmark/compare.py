"""Two models interleaved: ratio of their times with a bootstrap interval, so that a drifting machine favours neither."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.benchmark.latency import Latency, summarise
from fcrn_mobile.benchmark.stability import warm_up
from fcrn_mobile.benchmark.worker import Open, Worker

#: Timed predictions of a block, after one that is not timed: it brings the model back into the caches.
BLOCK = 3
#: Pairs of blocks below which an interval would mean little.
LEAST_PAIRS = 10
CONFIDENCE = 0.95
RESAMPLES = 10_000
SEED = 0


@dataclass(frozen=True)
class Comparison:
    """Time of the first model as a share of the second's.

    Attributes:
        first, second: what was compared.
        ratio: geometric mean over pairs of blocks of the ratio of their medians.
        low, high: ends of the interval.
        confidence: nominal, of the interval.
        pairs: of blocks, one of each model, next to each other in time.
        difference_shown: whether the interval excludes 1.
    """

    first: str
    second: str
    ratio: float
    low: float
    high: float
    confidence: float
    pairs: int
    difference_shown: bool

    @property
    def sentence(self) -> str:
        """The outcome for people."""
        judged = "no difference shown" if not self.difference_shown else "faster" if self.ratio < 1 else "slower"
        return (
            f"{self.first} takes {self.ratio:.3f} of the time of {self.second}, {self.confidence:.0%} interval "
            f"{self.low:.3f} to {self.high:.3f} over {self.pairs} interleaved pairs: {judged}"
        )

    def to_json(self) -> dict[str, Any]:
        """JSON-serialisable."""
        return asdict(self)


def order(pairs: int) -> list[tuple[int, int]]:
    """ABBA: which model (0 or 1) goes first in each pair, and which second."""
    return [(0, 1) if pair % 2 == 0 else (1, 0) for pair in range(pairs)]


def pairs_for(runs: int) -> int:
    """Pairs of blocks that hold at least ``runs`` predictions of each model; an even number, so that each goes first as often."""
    pairs = max(LEAST_PAIRS, -(-runs // BLOCK))
    return pairs + pairs % 2


def compare(
    first: Open, second: Open, runs: int, end_to_end: bool = False, on_pair: Callable[[int, int], None] | None = None
) -> tuple[Latency, Latency, Comparison]:
    """Both models, each in a process of its own, in turns.

    Args:
        first, second: open a model; see ``Worker``.
        runs: timed predictions of each, at least; see ``pairs_for``.
        end_to_end: see ``measure``.
        on_pair: called with pairs done and their number.

    Returns:
        The figures of each, and how they compare.
    """
    pairs = pairs_for(runs)
    with Worker(first, end_to_end) as a, Worker(second, end_to_end) as b:
        workers = (a, b)
        warm = [warm_up(worker.totals) for worker in workers]
        times: tuple[list[tuple[float, ...]], list[tuple[float, ...]]] = ([], [])
        medians = np.empty((2, pairs))
        for pair, turn in enumerate(order(pairs)):
            for index in turn:
                workers[index].run(1)
                block = workers[index].run(BLOCK)
                times[index].extend(block)
                medians[index, pair] = np.median([sum(stages) for stages in block])
            if on_pair:
                on_pair(pair + 1, pairs)
        figures = [summarise(w.opened, warm[i], times[i], w.peak_memory()) for i, w in enumerate(workers)]
    return figures[0], figures[1], judge(figures[0].label, figures[1].label, *medians)


def judge(first: str, second: str, a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64]) -> Comparison:
    """Compare the medians of paired blocks."""
    ratio, low, high = ratio_interval(a, b)
    return Comparison(first, second, ratio, low, high, CONFIDENCE, len(a), not low <= 1 <= high)


def ratio_interval(
    a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64], seed: int = SEED
) -> tuple[float, float, float]:
    """Geometric mean of a/b, and its percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13) over pairs.

    Args:
        a, b: ms of blocks that belong together, as many.
        seed: of the resampling.
    """
    logs = np.log(np.asarray(a, dtype=float) / np.asarray(b, dtype=float))
    chosen = np.random.default_rng(seed).integers(0, len(logs), (RESAMPLES, len(logs)))
    low, high = np.quantile(logs[chosen].mean(axis=1), ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))
