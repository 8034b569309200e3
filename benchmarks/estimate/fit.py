"""Fits the constants of ``fcrn-mobile inspect --estimate`` to published latencies and writes them with their errors.

    python benchmarks/estimate/fit.py [--check]

Reads ``chips.toml`` and ``published.toml`` of ``fcrn_mobile/latency`` and writes ``fitted.json`` beside them; ``--check`` only compares.
Deterministic: bounded least squares on the logarithms of estimate / published, from fixed starts, every network with the same weight
however many of its variants were published. The error of a chip is that of leaving a network (all of its variants) out of the fit.
"""

import argparse
import json
import sys
import tomllib
from dataclasses import dataclass
from itertools import product as cartesian
from pathlib import Path
from typing import Any

import numpy as np
from networks import NETWORKS
from numpy.typing import NDArray
from scipy.optimize import least_squares

from fcrn_mobile.latency.estimate import CHIPS, FITTED, Coefficients, latency_ms, matrix, totals

PUBLISHED = CHIPS.with_name("published.toml")
#: Starting points: floor in ms, inverse bandwidths of weights and activations in ms per MB, ms per GMAC where it is fitted.
STARTS = tuple(cartesian((0.05, 0.3), (0.002, 0.03), (0.002, 0.03), (0.1,)))
UPPER = (10.0, 1.0, 1.0, 10.0)


@dataclass(frozen=True)
class Sample:
    """A published latency and the cost of the network it belongs to."""

    network: str
    precision: str
    ms: float
    source: str
    operators: NDArray[np.float64]


def samples_of(chip: str, unused: bool = False) -> list[Sample]:
    """The published latencies of a chip that are fitted to, or those that stand for the record only."""
    entries = tomllib.loads(PUBLISHED.read_text())["latency"]
    chosen = [e for e in entries if e["chip"] == chip and ("unused" in e) == unused and e["network"] in NETWORKS]
    return [_sample(entry) for entry in chosen]


def _sample(entry: dict[str, Any]) -> Sample:
    network, ratio = NETWORKS[entry["network"]](), entry.get("weight_ratio", 1.0)
    if entry.get("precision") == "w8a8":
        return Sample(entry["network"], "w8a8", entry["ms"], entry["source"], matrix(network.work(1, 1, int8=True)))
    precision = "fp16" if ratio == 1 else f"fp16, weights ÷{ratio:g}"
    return Sample(entry["network"], precision, entry["ms"], entry["source"], matrix(network.work(2 / ratio)))


def constants_from(values: NDArray[np.float64], chip: dict[str, Any]) -> Coefficients:
    """Fitted values as constants; the peak is the rated one where one was published."""
    peak = 2 / chip["half_tops"] if "half_tops" in chip else float(values[3])
    return Coefficients(float(values[0]), float(values[1]), float(values[2]), peak, chip.get("int8_factor", 1.0))


def fit(chip: dict[str, Any], samples: list[Sample]) -> Coefficients:
    """Least squares over the samples, every network with the weight of one."""
    free = 3 if "half_tops" in chip else 4
    variants = {s.network: sum(other.network == s.network for other in samples) for s in samples}

    def residuals(values: NDArray[np.float64]) -> list[float]:
        constants = constants_from(values, chip)
        return [np.log(latency_ms(s.operators, constants) / s.ms) / np.sqrt(variants[s.network]) for s in samples]

    bounds = ([0.0] * free, UPPER[:free])
    scale = (0.1, 0.01, 0.01, 0.1)[:free]
    solutions = [least_squares(residuals, start[:free], bounds=bounds, x_scale=scale, xtol=1e-12, ftol=1e-12) for start in STARTS]
    return constants_from(min(solutions, key=lambda solution: round(solution.cost, 9)).x, chip)


def error(sample: Sample, constants: Coefficients) -> float:
    """(estimate - published) / published."""
    return latency_ms(sample.operators, constants) / sample.ms - 1


def left_out(chip: dict[str, Any], samples: list[Sample]) -> dict[str, list[float]]:
    """Errors of every network's variants under constants fitted without it."""
    errors = {}
    for network in dict.fromkeys(s.network for s in samples):
        without = fit(chip, [s for s in samples if s.network != network])
        errors[network] = [error(s, without) for s in samples if s.network == network]
    return errors


def fitted(chip: dict[str, Any]) -> dict[str, Any]:
    """Coefficients of a chip, what they were fitted to, how far they are off."""
    samples = samples_of(chip["name"])
    constants, errors = fit(chip, samples), left_out(chip, samples)
    costs = [totals(s.operators).to_json() for s in samples]
    remaining = {network: iter(values) for network, values in errors.items()}
    rows = [
        {
            "network": s.network,
            "precision": s.precision,
            "published_ms": s.ms,
            "estimated_ms": round(latency_ms(s.operators, constants), 4),
            "left_out_error": round(next(remaining[s.network]), 4),
            "source": s.source,
        }
        for s in samples
    ]
    checks = [
        {"network": s.network, "published_ms": s.ms, "estimated_ms": round(latency_ms(s.operators, constants), 4), "source": s.source}
        for s in samples_of(chip["name"], unused=True)
    ]
    return {
        "device": chip["device"],
        "dispatch": chip["dispatch"],
        "constants": constants.to_json(),
        "peak": "rated" if "half_tops" in chip else "fitted",
        "workloads": len(errors),
        "error": round(float(np.mean([np.mean(np.abs(values)) for values in errors.values()])), 4),
        "worst": round(max(abs(value) for values in errors.values() for value in values), 4),
        "fastest_ms": min(s.ms for s in samples),
        "range": {name: round(max(cost[name] for cost in costs), 4) for name in costs[0]},
        "sources": sorted({s.source for s in samples}),
        "samples": rows,
        "not_fitted": checks,
    }


def result() -> dict[str, Any]:
    """What ``fitted.json`` holds."""
    chips = tomllib.loads(CHIPS.read_text())["chip"]
    sources = tomllib.loads(PUBLISHED.read_text())["sources"]
    return {
        "written_by": "benchmarks/estimate/fit.py",
        "chips": {chip["name"]: fitted(chip) for chip in chips if "no_data" not in chip},
        "sources": sources,
    }


def show(found: dict[str, Any]) -> None:
    """Coefficients and errors, one line a chip."""
    print("chip     floor ms  weights GB/s  activations GB/s  peak TFLOP/s workloads  left out: mean  worst")
    for name, chip in found["chips"].items():
        c = chip["constants"]
        weights, activations = (f"{1 / v:.1f}" if v else "no limit" for v in (c["weight_ms_per_mb"], c["activation_ms_per_mb"]))
        peak = f"{2 / c['ms_per_gmac']:.1f} {chip['peak']}"
        print(
            f"{name:8} {c['floor_ms']:8.3f} {weights:>13} {activations:>17} {peak:>13} {chip['workloads']:9}"
            f" {chip['error']:15.0%} {chip['worst']:6.0%}"
        )


def main() -> int:
    """Fit, print, write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if fitted.json does not hold what the fit gives")
    found = result()
    show(found)
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if parser.parse_args().check:
        return 0 if FITTED.read_text() == text else 1
    Path(FITTED).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
