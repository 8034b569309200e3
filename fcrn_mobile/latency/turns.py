"""Models in turns: ratio of their times with a bootstrap interval, so that a drifting machine favours none.

Two processes that run the same model differ by more than chance within one explains: where the system puts their memory and threads
stays as long as they live. So models are opened anew several times, and a launch, not a prediction, is what an interval counts
(Kalibera & Jones 2013, Rigorous Benchmarking in Reasonable Time).
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from fcrn_mobile.latency.latency import Latency, summarise
from fcrn_mobile.latency.stability import WarmUp, warm_up
from fcrn_mobile.latency.worker import Open, Worker
from fcrn_mobile.progress import OnStep

__all__ = [
    "BLOCK",
    "CONFIDENCE",
    "LAUNCHES",
    "LEAST_PAIRS",
    "RESAMPLES",
    "SEED",
    "Comparison",
    "expanded",
    "in_turns",
    "judge",
    "order",
    "pairs_for",
    "ratio_interval",
    "take_turns",
]

#: Timed predictions of a block, after one that is not timed: it brings the model back into the caches.
BLOCK = 3
#: Times that each model is opened in a fresh process; fewer cannot be resampled into an interval as wide as it has to be.
LAUNCHES = 5
#: Pairs of blocks in all: each model goes first once in each launch.
LEAST_PAIRS = 2 * LAUNCHES
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
        launches: of both models; what the interval counts.
        difference_shown: whether the interval excludes 1.
    """

    first: str
    second: str
    ratio: float
    low: float
    high: float
    confidence: float
    pairs: int
    launches: int
    difference_shown: bool

    @property
    def sentence(self) -> str:
        """The outcome for people."""
        judged = "no difference shown" if not self.difference_shown else "faster" if self.ratio < 1 else "slower"
        return (
            f"{self.first} takes {self.ratio:.3f} of the time of {self.second}, {self.confidence:.0%} interval "
            f"{self.low:.3f} to {self.high:.3f} over {self.pairs} interleaved pairs in {self.launches} launches: {judged}"
        )


def order(rounds: int, count: int = 2) -> list[tuple[int, ...]]:
    """ABBA: in which order ``count`` models go in each round; no model gains from its place."""
    return [tuple(range(count)) if number % 2 == 0 else tuple(reversed(range(count))) for number in range(rounds)]


def pairs_for(runs: int) -> int:
    """Pairs of blocks that hold at least ``runs`` predictions of each model, as many in each launch, and there an even number."""
    return LEAST_PAIRS * max(1, -(-runs // (BLOCK * LEAST_PAIRS)))


def take_turns(
    first: Open, second: Open, runs: int, end_to_end: bool = False, on_pair: OnStep | None = None
) -> tuple[Latency, Latency, Comparison]:
    """Both models, each in processes of its own, in turns.

    Args:
        first, second: open a model; see ``Worker``.
        runs: timed predictions of each, at least; see ``pairs_for``.
        end_to_end: see ``measure``.
        on_pair: called with pairs done and their number.

    Returns:
        The figures of each, and how they compare.
    """
    figures, medians = in_turns((first, second), pairs_for(runs) // LAUNCHES, LAUNCHES, end_to_end, on_round=on_pair)
    return figures[0], figures[1], judge(figures[0].label, figures[1].label, *medians)


def in_turns(
    models: Sequence[Open],
    rounds: int,
    launches: int = LAUNCHES,
    end_to_end: bool = False,
    slow_ms: float = math.inf,
    on_round: OnStep | None = None,
) -> tuple[list[Latency], NDArray[np.float64]]:
    """Open all models, warm up, and take a block of predictions of each, round by round; then the same in fresh processes.

    Args:
        models: at least one; see ``Worker``.
        rounds: of blocks per launch.
        launches: of all models.
        end_to_end: see ``measure``.
        slow_ms: a block of a model that takes longer is one prediction, with none before it.
        on_round: called with rounds done and their number.

    Returns:
        The figures of each over all launches, and the medians of its blocks in ms, models × launches × rounds.
    """
    times: list[list[tuple[float, ...]]] = [[] for _ in models]
    warm: list[list[WarmUp]] = [[] for _ in models]
    peaks = [0 for _ in models]
    medians = np.empty((len(models), launches, rounds))
    for launch in range(launches):
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(model, end_to_end)) for model in models]
            for done, worker in zip(warm, workers, strict=True):
                done.append(warm_up(worker.totals))
            slow = [worker.totals(1)[0] > slow_ms for worker in workers]
            for number, turn in enumerate(order(rounds, len(models))):
                for index in turn:
                    block = workers[index].run(1) if slow[index] else workers[index].run(1 + BLOCK)[1:]
                    times[index].extend(block)
                    medians[index, launch, number] = np.median([sum(stages) for stages in block])
                if on_round:
                    on_round(launch * rounds + number + 1, launches * rounds)
            peaks = [max(peak, worker.peak_memory() or 0) for peak, worker in zip(peaks, workers, strict=True)]
            opened = [worker.opened for worker in workers]
    return [summarise(opened[i], _together(warm[i]), times[i], peaks[i] or None) for i in range(len(models))], medians


def _together(warm_ups: Sequence[WarmUp]) -> WarmUp:
    """Of all launches; the first prediction is that of the first launch."""
    return WarmUp(warm_ups[0].first_ms, sum(w.predictions for w in warm_ups), all(w.settled for w in warm_ups))


def judge(first: str, second: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> Comparison:
    """Compare the medians of blocks, launches × rounds, ms."""
    launches = [np.exp(np.log(medians).mean(axis=1)) for medians in (a, b)]
    ratio, low, high = ratio_interval(*launches)
    return Comparison(first, second, ratio, low, high, CONFIDENCE, a.size, len(a), not low <= 1 <= high)


def ratio_interval(
    a: Sequence[float] | NDArray[np.float64], b: Sequence[float] | NDArray[np.float64], seed: int = SEED
) -> tuple[float, float, float]:
    """Geometric mean of a/b, and its percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13) over pairs.

    The interval is expanded as few pairs need it (``expanded``).

    Args:
        a, b: ms that belong together, as many; at least two.
        seed: of the resampling.
    """
    logs = np.log(np.asarray(a, dtype=float) / np.asarray(b, dtype=float))
    rows = np.random.default_rng(seed).integers(0, len(logs), (RESAMPLES, len(logs)))
    tail = (1 - expanded(CONFIDENCE, len(logs))) / 2
    low, high = np.quantile(logs[rows].mean(axis=1), (tail, 1 - tail))
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


def expanded(confidence: float, count: int) -> float:
    """The confidence to ask of a percentile interval of ``count`` values so that it is as wide as Student's t has it.

    The expanded percentile interval of Hesterberg 2015 (arXiv 1411.5279): α'/2 = Φ(−√(n/(n−1))·t), t the quantile 1−α/2 of n−1
    degrees of freedom.
    """
    quantile = scipy.stats.t.ppf((1 + confidence) / 2, count - 1)
    return float(1 - 2 * scipy.stats.norm.cdf(-math.sqrt(count / (count - 1)) * quantile))
