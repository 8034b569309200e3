"""What is known of each chip: its fitted constants, what they were fitted to, and how far they are off.

What was published of the chips stands in ``chips.toml``, what ``benchmarks/estimate/fit.py`` found in ``fitted.json``.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.latency.work import Totals
from fcrn_mobile.sources import Sources, sources

__all__ = [
    "CHIPS",
    "COVERAGE",
    "FITTED",
    "LARGE_MB",
    "ChipFit",
    "Coefficients",
    "Interval",
    "chip_fits",
    "chips",
    "latency_ms",
    "published_sources",
]

CHIPS = Path(__file__).with_name("chips.toml")
FITTED = Path(__file__).with_name("fitted.json")
#: Share of left-out latencies that an interval is made to hold.
COVERAGE = 0.8
#: 10^6 bytes that an operator may read and write before the rest costs more: what no longer stays on the chip.
LARGE_MB = 1.0


@dataclass(frozen=True)
class Coefficients:
    """A chip's constants.

    Attributes:
        floor_ms: of a whole prediction.
        operator_ms: of every operator.
        ms_per_gmac: of products with weights, at least what the chip is rated at in half precision.
        product_ms_per_gmac: of products of activations with each other.
        weight_ms_per_mb, activation_ms_per_mb: inverse bandwidths, per 10^6 bytes.
        large_ms_per_mb: what those bytes of an operator's activations cost besides that exceed ``LARGE_MB``.
        int8_factor: how many times faster int8 multiplies; not fitted.
    """

    floor_ms: float
    operator_ms: float
    ms_per_gmac: float
    product_ms_per_gmac: float
    weight_ms_per_mb: float
    activation_ms_per_mb: float
    large_ms_per_mb: float
    int8_factor: float = 1.0

    def to_json(self) -> dict[str, float]:
        """Those that were fitted, as ``fitted.json`` holds them."""
        return {key: round(value, 6) for key, value in asdict(self).items() if key != "int8_factor"}


@dataclass(frozen=True)
class Interval:
    """Where published latencies lay that were left out of the fit, as multiples of their estimates.

    Attributes:
        low, high: so many times the estimate; ``COVERAGE`` of them lay between.
        rows, networks: how many there were.
        coverage: share of them between bounds that were drawn without the network in question.
        chips: which they were measured on.
    """

    low: float
    high: float
    rows: int
    networks: int
    coverage: float
    chips: tuple[str, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Interval":
        """As ``fitted.json`` holds it."""
        return cls(**{**entry, "chips": tuple(entry["chips"])})


@dataclass(frozen=True)
class ChipFit:
    """What is known of a chip with published latencies.

    Attributes:
        constants: of the chip.
        device, dispatch: what the published latencies were measured on, and how.
        rows, networks: how many latencies were published, of how many networks.
        shared: whether they are so few that the constants mostly follow those of the other chips.
        median_error, worst_error: relative error of the estimates with a network left out of the fit on every chip.
        intervals: by whether a program gives a map (``map``) or not (``classifier``).
        sources: keys of where they were published.
        fastest_ms: the shortest latency among them.
        most: the largest totals among them.
    """

    constants: Coefficients
    device: str
    dispatch: str
    rows: int
    networks: int
    shared: bool
    median_error: float
    worst_error: float
    intervals: Mapping[str, Interval]
    sources: tuple[str, ...]
    fastest_ms: float
    most: Totals


def latency_ms(operators: NDArray[np.float64], chip: Coefficients) -> float:
    """Floor plus, for every operator, a fixed cost and the longer of computing and moving (Williams et al. 2009, "Roofline").

    Args:
        operators: see ``matrix``.
        chip: its constants.
    """
    gmacs, weights, activations, int8, product = operators.T
    compute = gmacs * np.where(product > 0, chip.product_ms_per_gmac, chip.ms_per_gmac) / np.where(int8 > 0, chip.int8_factor, 1.0)
    memory = weights * chip.weight_ms_per_mb + activations * chip.activation_ms_per_mb
    memory += np.maximum(activations - LARGE_MB, 0.0) * chip.large_ms_per_mb
    return float(chip.floor_ms + len(operators) * chip.operator_ms + np.maximum(compute, memory).sum())


@cache
def chips() -> Mapping[str, Mapping[str, Any]]:
    """Entries of ``chips.toml`` by name, in its order."""
    return {chip["name"]: chip for chip in tomllib.loads(CHIPS.read_text(encoding="utf-8"))["chip"]}


@cache
def chip_fits() -> Mapping[str, ChipFit]:
    """What is known of each chip that has published latencies."""
    return {name: _fit(chips()[name], entry) for name, entry in json.loads(FITTED.read_text(encoding="utf-8"))["chips"].items()}


@cache
def published_sources() -> Sources:
    """Where the latencies were published."""
    return sources(json.loads(FITTED.read_text(encoding="utf-8"))["sources"])


def _fit(chip: Mapping[str, Any], entry: dict[str, Any]) -> ChipFit:
    keys = ("rows", "networks", "shared", "median_error", "worst_error", "fastest_ms")
    return ChipFit(
        Coefficients(**entry["constants"], int8_factor=chip.get("int8_factor", 1.0)),
        chip["device"],
        chip["dispatch"],
        **{key: entry[key] for key in keys},
        intervals={name: Interval.from_json(interval) for name, interval in entry["intervals"].items()},
        sources=tuple(entry["sources"]),
        most=Totals.from_json(entry["range"]),
    )
