"""The hierarchical fit: constants of every chip, drawn to those of the other chips, faster or slower by one factor.

Constants are fitted as logarithms, by least squares on the logarithms of estimate / latency. Every constant of a chip is expected within
``SPREAD`` of the mean of all chips times the chip's own slowness; where a chip has many latencies these decide, where it has few the others
do. Large residuals count less (pseudo-Huber), and every network of a chip as much as one, however many of its variants were measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from samples import OWN, Sample
from scipy.optimize import least_squares

from fcrn_mobile.latency.constants import LARGE_MB, Coefficients

__all__ = ["Fit", "Problem"]

Array = NDArray[np.float64]

#: Constant → where the fit starts, and how far a slow chip's is from a fast one's, as a power of its slowness.
CONSTANTS = {
    "floor_ms": (0.35, 0.3),
    "direct_floor_ms": (0.1, 0.3),
    "ms_per_gmac": (0.2, 1.0),
    "product_ms_per_gmac": (0.4, 1.0),
    "weight_ms_per_mb": (0.01, 1.0),
    "activation_ms_per_mb": (0.002, 1.0),
    "operator_ms": (0.002, 0.5),
    "large_ms_per_mb": (0.02, 1.0),
}
#: Standard deviations of logarithms: of a constant among chips, of chips' slowness, of labs that measure the same, of a user's own figures.
SPREAD, SLOWNESS, LABS, OWN_NOISE = 0.4, 0.7, 0.15, 0.05
#: From so many standard deviations on, a residual counts linearly.
ROBUST = 2.0


@dataclass(frozen=True)
class Fit:
    """Logarithms: chips × constants, their means, slowness of chips."""

    chips: Array
    mean: Array
    slowness: Array

    @property
    def flat(self) -> Array:
        """All in a row."""
        return np.concatenate([self.chips.ravel(), self.mean, self.slowness])


class Problem:
    """Latencies of all chips, as arrays.

    Args:
        samples: of any chips.
        chips: entries of ``chips.toml`` by name.
    """

    def __init__(self, samples: Sequence[Sample], chips: Mapping[str, Mapping]) -> None:
        self.samples = list(samples)
        self.names = [name for name in chips if any(s.chip == name for s in samples)]
        self.rated = np.array([2 / chips[name]["half_tops"] if "half_tops" in chips[name] else 0.0 for name in self.names])
        self.int8 = np.array([chips[name].get("int8_factor", 1.0) for name in self.names])
        self.chip = np.array([self.names.index(s.chip) for s in samples])
        self.ms = np.array([s.ms for s in samples])
        self.direct = np.array([s.direct for s in samples])
        self.starts = np.concatenate([[0], np.cumsum([len(s.operators) for s in samples])[:-1]])
        self.counts = np.array([len(s.operators) for s in samples])
        self.operators = np.concatenate([s.operators for s in samples])
        self.of_operator = np.repeat(self.chip, self.counts)

    @cached_property
    def weights(self) -> Array:
        """Of every sample's residual: fewer for rounded figures and for variants of a network on a chip."""
        noise = np.array([OWN_NOISE if s.source == OWN else LABS for s in self.samples])
        noise = np.sqrt(noise**2 + np.array([s.rounding_ms for s in self.samples]) ** 2 / (3 * self.ms**2))
        keys = [(s.chip, s.network) for s in self.samples]
        variants = np.array([keys.count(key) for key in keys])
        return np.asarray(1 / (noise * np.sqrt(variants)))

    def estimates(self, logarithms: Array) -> Array:
        """Milliseconds of every sample; the same formula as ``latency_ms``.

        Args:
            logarithms: chips × constants.
        """
        floor, direct, gmac, product, weight, activation, operator, large = np.exp(logarithms).T
        gmacs, weights, activations, int8, is_product = self.operators.T
        rate = np.where(is_product > 0, product[self.of_operator], np.maximum(gmac, self.rated)[self.of_operator])
        compute = gmacs * rate / np.where(int8 > 0, self.int8[self.of_operator], 1.0)
        memory = weights * weight[self.of_operator] + activations * activation[self.of_operator]
        memory += np.maximum(activations - LARGE_MB, 0.0) * large[self.of_operator]
        floors = np.where(self.direct, direct[self.chip], floor[self.chip])
        return np.asarray(floors + self.counts * operator[self.chip] + np.add.reduceat(np.maximum(compute, memory), self.starts))

    def fit(self, use: NDArray[np.bool_], start: Fit | None = None) -> Fit:
        """Constants from some of the samples.

        Args:
            use: which samples.
            start: where to begin.
        """
        chips, constants = len(self.names), len(CONSTANTS)
        initial = np.log([value for value, _ in CONSTANTS.values()])
        first = start or Fit(np.tile(initial, (chips, 1)), initial, np.zeros(chips))
        used, weights, cells = np.flatnonzero(use), self.weights[use], chips * constants
        prior = self._prior(chips, constants)

        def residuals(values: Array) -> Array:
            off = np.log(self.estimates(values[:cells].reshape(chips, constants)) / self.ms)[used] * weights
            robust = np.sign(off) * ROBUST * np.sqrt(2 * (np.sqrt(1 + (off / ROBUST) ** 2) - 1) + 1e-12)
            return np.concatenate([robust, prior @ values])

        def jacobian(values: Array) -> Array:
            """By differences: a sample depends on its own chip only, so one constant of all chips is changed at once."""
            slopes, here, step = np.zeros((len(used), len(values))), residuals(values)[: len(used)], 1e-4
            for constant in range(constants):
                changed = values.copy()
                changed[constant:cells:constants] += step
                slopes[np.arange(len(used)), self.chip[used] * constants + constant] = (residuals(changed)[: len(used)] - here) / step
            return np.concatenate([slopes, prior])

        solution = least_squares(
            residuals, first.flat, jac=jacobian, method="lm", xtol=1e-5, ftol=1e-5, max_nfev=60 if start is None else 12
        )
        return Fit(solution.x[:cells].reshape(chips, constants), solution.x[cells : cells + constants], solution.x[cells + constants :])

    def without(self, group: str, fit: Fit) -> Array:
        """Estimates of every sample from constants fitted without all samples of its network, or family.

        Args:
            group: ``network`` or ``family``.
            fit: of all samples, where each begins.
        """
        keys = np.array([getattr(s, group) for s in self.samples])
        left_out = np.zeros(len(keys))
        for key in dict.fromkeys(keys):
            left_out[keys == key] = self.estimates(self.fit(keys != key, fit).chips)[keys == key]
        return left_out

    def coefficients(self, fit: Fit, name: str) -> tuple[Coefficients, float]:
        """A chip's constants, and its floor without Core ML."""
        index = self.names.index(name)
        values = dict(zip(CONSTANTS, np.exp(fit.chips[index]).tolist(), strict=True))
        direct = values.pop("direct_floor_ms")
        values["ms_per_gmac"] = max(values["ms_per_gmac"], float(self.rated[index]))
        return Coefficients(**values, int8_factor=float(self.int8[index])), direct

    @staticmethod
    def _prior(chips: int, constants: int) -> Array:
        """Rows of what is expected: constants near their mean times slowness, slowness near 1."""
        powers = [power for _, power in CONSTANTS.values()]
        near_mean = np.concatenate(
            [np.eye(chips * constants), -np.tile(np.eye(constants), (chips, 1)), -np.kron(np.eye(chips), np.array(powers)[:, None])], axis=1
        )
        near_one = np.concatenate([np.zeros((chips, chips * constants + constants)), np.eye(chips)], axis=1)
        return np.concatenate([near_mean / SPREAD, near_one / SLOWNESS])
