"""One option per operator at the least cost within a limit on the sum of their squared drifts: a multiple-choice knapsack."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["STEPS", "Option", "Options", "assign", "most_accurate", "total"]

#: Steps into which the limit is divided. Rounding up takes at most one step per operator, so with a hundred operators the optimum of
#: 99.5 % of the limit is never missed.
STEPS = 20_000


@dataclass(frozen=True)
class Option:
    """One way to store an operator's weight.

    Attributes:
        name: of the candidate.
        cost: what is minimised; not negative.
        noise: squared drift of the output that it causes alone.
    """

    name: str
    cost: float
    noise: float


Options = Sequence[Sequence[Option]]


def assign(options: Options, limit: float, steps: int = STEPS) -> tuple[int, ...] | None:
    """The cheapest choice whose noise is within the limit.

    Args:
        options: of each operator.
        limit: of the sum of noise.
        steps: how finely noise is told apart (each amount is rounded up, so that the limit holds for certain).

    Returns:
        Index of the option per operator; None if no choice holds the limit. Of equal ones, the first.
    """
    if limit < 0 or any(not choices for choices in options):
        return None
    best: NDArray[np.float64] = np.zeros(steps + 1)  # least cost so far by noise spent at most
    taken = []
    for choices in options:
        costs = np.full((len(choices), steps + 1), np.inf)
        for row, option in zip(costs, choices, strict=True):
            level = _level(option.noise, limit, steps)
            if level is not None:
                row[level:] = best[: steps + 1 - level] + option.cost
        taken.append(costs.argmin(axis=0))
        best = costs.min(axis=0)
    if not math.isfinite(best[-1]):
        return None
    return _walked_back(options, taken, limit, steps)


def most_accurate(options: Options) -> tuple[int, ...]:
    """The option of least noise per operator; of equal ones, the cheapest."""
    return tuple(min(range(len(choices)), key=lambda i: (choices[i].noise, choices[i].cost)) for choices in options)


def total(options: Options, choice: Sequence[int]) -> tuple[float, float]:
    """Cost and noise of a choice."""
    picks = [choices[index] for choices, index in zip(options, choice, strict=True)]
    return math.fsum(option.cost for option in picks), math.fsum(option.noise for option in picks)


def _walked_back(options: Options, taken: Sequence[NDArray[np.intp]], limit: float, steps: int) -> tuple[int, ...]:
    budget, choice = steps, []
    for choices, row in zip(reversed(options), reversed(taken), strict=True):
        index = int(row[budget])
        choice.append(index)
        budget -= _level(choices[index].noise, limit, steps) or 0
    return tuple(reversed(choice))


def _level(noise: float, limit: float, steps: int) -> int | None:
    """Steps that an amount of noise takes; None if it alone is beyond the limit."""
    if noise <= 0:
        return 0
    if not noise <= limit:  # neither is NaN
        return None
    return min(math.ceil(noise / limit * steps), steps)
