"""When a series of times may be believed: a warm-up that has settled, a machine that is quiet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["BLOCKS", "LONGEST_WARM_UP_MS", "MOST_WARM_UP", "NOISY", "SETTLED", "WINDOW", "WarmUp", "is_settled", "spread", "warm_up"]

#: Predictions whose median is compared with that of as many before them.
WINDOW = 5
#: Relative difference of both medians up to which a warm-up has settled.
SETTLED = 0.05
#: A warm-up that has not settled ends after this many predictions, or once it took this many ms.
MOST_WARM_UP = 50
LONGEST_WARM_UP_MS = 10_000.0
#: Consecutive parts of the timed predictions, and the spread of their medians from which the machine counts as noisy.
BLOCKS = 5
NOISY = 0.1


@dataclass(frozen=True)
class WarmUp:
    """The predictions before the timed ones.

    Attributes:
        first_ms: the first of all, which may compile or allocate.
        predictions: how many there were.
        settled: whether the end was stable; if not, there were too many or they took too long.
    """

    first_ms: float
    predictions: int
    settled: bool


def is_settled(samples: Sequence[float]) -> bool:
    """Whether the median of the last ``WINDOW`` times is within ``SETTLED`` of the median of as many before them."""
    if len(samples) < 2 * WINDOW:
        return False
    before, after = np.median(samples[-2 * WINDOW : -WINDOW]), np.median(samples[-WINDOW:])
    return bool(abs(after / before - 1) <= SETTLED)


def warm_up(run: Callable[[int], Sequence[float]]) -> WarmUp:
    """Predict until the times have settled, or until ``MOST_WARM_UP`` predictions or ``LONGEST_WARM_UP_MS``.

    Args:
        run: makes so many predictions and gives their times in ms.
    """
    (first,) = run(1)
    samples = [first]
    while not is_settled(samples) and len(samples) < MOST_WARM_UP and sum(samples[1:]) < LONGEST_WARM_UP_MS:
        samples += run(1)
    return WarmUp(first, len(samples), is_settled(samples))


def spread(samples: Sequence[float]) -> float | None:
    """(largest − smallest) / middle of the medians of ``BLOCKS`` consecutive parts; None below two times for each."""
    if len(samples) < 2 * BLOCKS:
        return None
    medians = [float(np.median(block)) for block in np.array_split(np.asarray(samples, dtype=float), BLOCKS)]
    return float((max(medians) - min(medians)) / np.median(medians))
