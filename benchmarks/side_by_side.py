"""Timing of actions in turn, round by round, so that what disturbs the machine disturbs all of them."""

import statistics
import time
from collections.abc import Callable


def in_turn(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every action in every round, after one that does not count."""
    samples: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if number:
                samples[name].append(time.perf_counter() - start)
    return samples


def ratio(one: list[float], other: list[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
