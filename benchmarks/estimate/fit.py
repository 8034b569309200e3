"""Fits the constants of ``fcrn-mobile inspect --estimate`` to published latencies and writes them with their errors.

    python benchmarks/estimate/fit.py [--check] [--with REPORT.json ... --packages FOLDER [--out FILE]]

Reads ``latencies.csv`` and ``sources.toml`` here and ``chips.toml`` of ``fcrn_mobile/latency``; writes ``fitted.json`` beside that,
``benchmarks/results/estimate.json`` and ``docs/estimate.svg``. ``--check`` only compares. ``--with`` adds a user's own latencies, prints
what changes, and writes nothing but ``--out``. Deterministic. How it is fitted: docs/estimate.md.
"""

import argparse
import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from model import Array, Fit, Problem
from samples import SOURCES, Sample, own_samples, published_samples

from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.constants import COVERAGE, FITTED, chips
from fcrn_mobile.latency.work import totals

RESULTS = Path(__file__).parents[1] / "results" / "estimate.json"
PICTURE = Path(__file__).parents[2] / "docs" / "estimate.svg"
#: A chip with fewer networks than this follows the others, and has no interval of its own.
FEW = 12


def fitted(problem: Problem, fit: Fit, left_out: Array) -> dict[str, Any]:
    """What ``fitted.json`` holds."""
    entries = {name: _chip(problem, fit, left_out, name) for name in problem.names}
    sources = tomllib.loads(SOURCES.read_text())
    used = sorted({key for entry in entries.values() for key in entry["sources"]} & sources.keys())
    return {"written_by": "benchmarks/estimate/fit.py", "chips": entries, "sources": {key: sources[key] for key in used}}


def _chip(problem: Problem, fit: Fit, left_out: Array, name: str) -> dict[str, Any]:
    here = problem.chip == problem.names.index(name)
    samples = [sample for sample, own in zip(problem.samples, here, strict=True) if own]
    errors = np.abs(left_out / problem.ms - 1)[here]
    constants, direct = problem.coefficients(fit, name)
    costs = [totals(s.operators).to_json() for s in samples]
    shared = len({s.network for s in samples}) < FEW
    return {
        "constants": constants.to_json(),
        "direct_floor_ms": round(direct, 6),
        "rows": len(samples),
        "networks": len({s.network for s in samples}),
        "shared": shared,
        "median_error": round(float(np.median(errors)), 4),
        "worst_error": round(float(errors.max()), 4),
        "intervals": {sort: interval(problem, left_out, name, sort) for sort in ("classifier", "map")},
        "fastest_ms": min(s.ms for s in samples + (_of_known_chips(problem) if shared else [])),
        "range": {key: round(max(cost[key] for cost in costs), 4) for key in costs[0]},
        "sources": sorted({s.source for s in samples}),
    }


def _of_known_chips(problem: Problem) -> list[Sample]:
    """Latencies of the chips that have many, whose floors the others follow."""
    known = [name for name in problem.names if len({s.network for s in problem.samples if s.chip == name}) >= FEW]
    return [s for s in problem.samples if s.chip in known]


def group(problem: Problem, name: str, sort: str) -> Array:
    """Which samples speak for a chip and sort: its own if of enough networks, else those of all chips that have few, else all."""
    same = np.array([s.sort == sort for s in problem.samples])
    networks = np.array([s.network for s in problem.samples])
    few = np.array([len(set(networks[same & (problem.chip == index)])) < FEW for index in range(len(problem.names))])
    index = problem.names.index(name)
    if not few[index]:
        return same & (problem.chip == index)
    pooled = same & few[problem.chip]
    return pooled if len(set(networks[pooled])) >= FEW else same


def bounds(ratios: Array) -> tuple[float, float]:
    """Between which multiples of their estimates ``COVERAGE`` of the latencies lie, as many below as above; the estimate lies there too."""
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(ratios, (tail, 1 - tail), method="weibull")  # unbiased for the share that the next one is held with
    return min(float(low), 1.0), max(float(high), 1.0)


def interval(problem: Problem, left_out: Array, name: str, sort: str) -> dict[str, Any]:
    """Of a chip and sort, with how many it held of the latencies whose network it was drawn without."""
    chosen = group(problem, name, sort)
    ratios, networks = (problem.ms / left_out)[chosen], np.array([s.network for s in problem.samples])[chosen]
    low, high = bounds(ratios)
    return {
        "low": round(low, 4),
        "high": round(high, 4),
        "rows": int(chosen.sum()),
        "networks": len(set(networks)),
        "coverage": round(float(np.mean(held(ratios, networks))), 4),
        "chips": [problem.names[index] for index in sorted(set(problem.chip[chosen]))],
    }


def held(ratios: Array, networks: Sequence[str]) -> list[bool]:
    """Whether each lies within the bounds that the other networks give."""
    names, results = np.asarray(networks), []
    for ratio, network in zip(ratios, names, strict=True):
        low, high = bounds(ratios[names != network])
        results.append(bool(low <= ratio <= high))
    return results


def table(problem: Problem, fit: Fit, left_out: Array, without_family: Array) -> dict[str, Any]:
    """Errors chip by chip, of maps apart, and every latency with its estimates."""
    errors, families = np.abs(left_out / problem.ms - 1), np.abs(without_family / problem.ms - 1)
    sorts, estimates = np.array([s.sort for s in problem.samples]), problem.estimates(fit.chips)

    def summary(chosen: Array) -> dict[str, Any]:
        samples = [s for s, own in zip(problem.samples, chosen, strict=True) if own]
        inside = []
        for key in dict.fromkeys((s.chip, s.sort) for s in samples):
            pool = group(problem, *key)
            networks = np.array([s.network for s in problem.samples])[pool]
            results = np.array(held((problem.ms / left_out)[pool], networks))
            here = chosen & (problem.chip == problem.names.index(key[0])) & (sorts == key[1])
            inside += results[here[pool]].tolist()
        return {
            "rows": len(samples),
            "networks": len({s.network for s in samples}),
            "median_error": round(float(np.median(errors[chosen])), 4),
            "worst_error": round(float(errors[chosen].max()), 4),
            "coverage": round(float(np.mean(inside)), 4),
            "median_error_without_family": round(float(np.median(families[chosen])), 4),
        }

    chosen = {"all": np.ones(len(sorts), bool), "maps": sorts == "map", "classifiers": sorts == "classifier"}
    for index, name in enumerate(problem.names):
        for sort in ("", " maps"):
            here = (problem.chip == index) & ((sorts == "map") if sort else True)
            if here.any():
                chosen[name + sort] = here
    rows = [
        {
            "chip": s.chip,
            "network": s.case,
            "source": s.source,
            "published_ms": s.ms,
            "estimated_ms": round(e, 4),
            "left_out_ms": round(o, 4),
        }
        for s, e, o in zip(problem.samples, estimates.tolist(), left_out.tolist(), strict=True)
    ]
    return {"written_by": "benchmarks/estimate/fit.py", "errors": {name: summary(mask) for name, mask in chosen.items()}, "latencies": rows}


def show(errors: dict[str, dict[str, Any]]) -> None:
    """Errors, one line a chip."""
    print(f"{'':16} rows networks  left out: median  worst  coverage  family left out: median")
    for name, row in errors.items():
        print(
            f"{name:16} {row['rows']:4} {row['networks']:8} {row['median_error']:17.0%} {row['worst_error']:6.0%} {row['coverage']:9.0%}"
            f" {row['median_error_without_family']:25.0%}"
        )


def changed(before: Problem, fit_before: Fit, after: Problem, fit_after: Fit, own: Sequence[Sample]) -> None:
    """What a user's latencies changed: each estimate, and the constants of their chips."""
    known = Problem([*before.samples, *own], chips())
    print("measured by you, ms; estimated without and with your report:")
    count = len(own)
    rows = (known.estimates(fit.chips)[-count:] for fit in (fit_before, fit_after))
    for sample, old, new in zip(own, *rows, strict=True):
        print(f"  {sample.chip:8} {sample.case:32} {sample.ms:8.3f} {old:8.3f} {new:8.3f}")
    for name in dict.fromkeys(sample.chip for sample in own):
        old, new = before.coefficients(fit_before, name)[0].to_json(), after.coefficients(fit_after, name)[0].to_json()
        print(f"constants of {name}:")
        for key in old:
            print(f"  {key:24} {old[key]:10.5f} → {new[key]:10.5f}")


def add_reports(reports: Sequence[Path], packages: Path, out: Path | None) -> int:
    """Fit with a user's reports as well."""
    own = [sample for report in reports for sample in own_samples(report, packages)]
    before, after = Problem(published_samples(), chips()), Problem([*published_samples(), *own], chips())
    fits = [problem.fit(np.ones(len(problem.samples), bool)) for problem in (before, after)]
    changed(before, fits[0], after, fits[1], own)
    if out:
        left_out = after.without("network", fits[1])
        out.write_text(_json(fitted(after, fits[1], left_out)))
        print(f"wrote {out}: put it in the place of {FITTED}")
    return 0


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Fit, print, write or compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="fail if fitted.json does not hold what the fit gives")
    parser.add_argument("--with", dest="reports", nargs="+", type=Path, default=[], metavar="REPORT.json", help="a user's own latencies")
    parser.add_argument("--packages", type=Path, default=Path(), help="folder with the packages that the reports name")
    parser.add_argument("--out", type=Path, help="with --with: where to write the constants")
    options = parser.parse_args()
    if options.reports:
        try:
            return add_reports(options.reports, options.packages, options.out)
        except InputError as error:
            print(error, file=sys.stderr)
            return 2
    problem = Problem(published_samples(), chips())
    fit = problem.fit(np.ones(len(problem.samples), bool))
    left_out = problem.without("network", fit)
    constants = _json(fitted(problem, fit, left_out))
    if options.check:
        return 0 if FITTED.read_text() == constants else 1
    results = table(problem, fit, left_out, problem.without("family", fit))
    show(results["errors"])
    from picture import draw

    FITTED.write_text(constants)
    RESULTS.write_text(_json(results))
    draw(results["latencies"], PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
