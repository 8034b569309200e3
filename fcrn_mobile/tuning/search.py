"""The cheapest choice whose drift is predicted to stay at a target, the prediction corrected by what choices really do.

Drifts of single operators are taken as independent: squares add, D² = D₀² + f·Σ dᵢ², with dᵢ the root of an operator's mean squared
drift over the images and D₀ the drift of float16 arithmetic alone. The factor f, 1 at first, is what a whole assembled program measures
over what was predicted; it takes up what is not independent, and is measured again at each choice until target and drift agree. Where
it misleads, the limit is halved in between what held and what broke.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from fcrn_mobile.progress import OnStep
from fcrn_mobile.tuning.choice import Option, assign, most_accurate, total
from fcrn_mobile.tuning.variants import Variants
from fcrn_mobile.validation.sensitivity import Trial, trial_drifts

__all__ = ["CLOSE", "TRIES", "Choice", "Fit", "Search"]

#: Choices that are tried for one target at most.
TRIES = 8
#: A drift in this share of the target or more, up to the target, is close enough.
CLOSE = 0.98
#: What the prediction is multiplied by where a program's output is not finite.
_OVERFLOWN = 16.0

#: Name of a weight → name of a candidate.
Choice = dict[str, str]


@dataclass(frozen=True)
class Fit:
    """A choice for a target.

    Attributes:
        choice: by weight.
        cost: in the objective's unit.
        predicted, measured: drift on the images that were searched on; measured in float16 arithmetic.
        exhausted: whether nothing more accurate is left.
    """

    choice: Choice
    cost: float
    predicted: float
    measured: float
    exhausted: bool


class Search:
    """Finds choices.

    Args:
        variants: the weights.
        options: of each weight.
        images: H×W×3 uint8 RGB to search on.
        base: D₀².
    """

    def __init__(self, variants: Variants, options: Mapping[str, Sequence[Option]], images: Sequence[NDArray[Any]], base: float) -> None:
        self._variants, self._images, self._base = variants, images, base
        self._weights, self._options = list(options), list(options.values())
        self._most_accurate = most_accurate(self._options)
        self._measured: dict[tuple[int, ...], float] = {}
        self.factor = 1.0

    def fit(self, target: float, on_try: OnStep) -> Fit:
        """The cheapest choice that keeps to a target drift on the images; the most accurate one if none does."""
        room = target**2 - self._base
        limit, lower, upper = room / self.factor, 0.0, math.inf
        best: tuple[int, ...] | None = None
        for number in range(TRIES):
            on_try(number, TRIES)
            indices = assign(self._options, limit) or self._most_accurate
            trial = self._tried(indices)
            self._correct(indices, trial.measured)
            if trial.measured <= target:
                lower = max(lower, limit)
                best = indices if best is None or trial.cost < self._tried(best).cost else best
            else:
                upper = min(upper, limit)
            if CLOSE * target <= trial.measured <= target or indices == self._most_accurate:
                break
            limit = _between(room / self.factor, lower, upper)
        on_try(TRIES, TRIES)
        best = best or self._most_accurate
        fit = self._tried(best)
        self._correct(best, fit.measured)
        return fit

    def front(self, targets: Sequence[float]) -> list[tuple[Choice, float]]:
        """The cheapest choice for each target that one is predicted to hold, and its predicted drift."""
        drifts = {}
        for target in targets:
            indices = assign(self._options, (target**2 - self._base) / self.factor)
            if indices is not None:
                drifts[indices] = self._predicted(indices)
        return [(self._named(indices), drift) for indices, drift in drifts.items()]

    def span(self) -> tuple[float, float]:
        """Predicted drift of the most accurate choice and of the cheapest."""
        cheapest = tuple(min(range(len(row)), key=lambda i: (row[i].cost, row[i].noise)) for row in self._options)
        return self._predicted(self._most_accurate), self._predicted(cheapest)

    def _tried(self, indices: tuple[int, ...]) -> Fit:
        choice = self._named(indices)
        predicted = self._predicted(indices)
        if indices not in self._measured:
            trial = Trial(self._variants.assembled(choice), 0)
            self._measured[indices] = trial_drifts(self._variants.reference, self._images, [trial])[0].abs_rel
        cost, noise = total(self._options, indices)
        return Fit(choice, cost, predicted, self._measured[indices], noise <= total(self._options, self._most_accurate)[1])

    def _correct(self, indices: tuple[int, ...], measured: float) -> None:
        noise = total(self._options, indices)[1]
        if not math.isfinite(measured):
            self.factor *= _OVERFLOWN
        elif noise > 0 and measured**2 > self._base:
            self.factor = (measured**2 - self._base) / noise

    def _predicted(self, indices: tuple[int, ...]) -> float:
        return math.sqrt(self._base + self.factor * total(self._options, indices)[1])

    def _named(self, indices: tuple[int, ...]) -> Choice:
        return {weight: row[index].name for weight, row, index in zip(self._weights, self._options, indices, strict=True)}


def _between(limit: float, lower: float, upper: float) -> float:
    """The next limit of noise to try: a prediction, kept between the largest known to hold and the smallest known to break."""
    if lower < limit < upper:
        return limit
    if upper == math.inf:
        return 1.5 * lower
    return math.sqrt(lower * upper) if lower else upper / 2
