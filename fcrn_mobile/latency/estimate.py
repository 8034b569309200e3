"""Latency that a package might have on Apple chips: an estimate from latencies that others published, never a measurement.

What is fitted and how: ``docs/estimate.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.latency.constants import COVERAGE, ChipFit, Interval, chip_fits, chips, latency_ms, published_sources
from fcrn_mobile.latency.placement import place
from fcrn_mobile.latency.work import Totals, matrix, totals, work
from fcrn_mobile.mil.graph import Graph
from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.sources import Sources

__all__ = ["ASSUMPTION", "BASIS", "DEPARTURE_MS", "INTERVAL", "ChipLatency", "Estimate", "estimate", "gives_map", "notes", "table"]

BASIS = "estimate from published latencies, not run on a device"
ASSUMPTION = "assumes that the whole program runs on the Neural Engine"
#: What leaving the engine once was measured to cost, in ms, by coreai-model-zoo (knowledge/coreai-ane-partition-cost.md, A19 Pro, Core AI).
DEPARTURE_MS = (0.6, 1.75)
INTERVAL = f"estimate, {COVERAGE:.0%} interval, leave-one-network-out"


@dataclass(frozen=True)
class ChipLatency:
    """One chip's estimate.

    Attributes:
        chip: its name.
        ms: of a prediction; None if there is no estimate.
        fit: what it rests on; None if there is no estimate.
        interval: of the latencies left out of the fit that resemble it; None if there is no estimate.
        outside: in what the program exceeds everything that was fitted.
        reason: why there is no estimate.
    """

    chip: str
    ms: float | None
    fit: ChipFit | None = None
    interval: Interval | None = None
    outside: tuple[str, ...] = ()
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """An estimate with its interval, errors and sources, or the reason why there is none."""
        if self.fit is None or self.interval is None or self.ms is None:
            return {"chip": self.chip, "ms": None, "fps": None, "reason": self.reason}
        keys = ("device", "dispatch", "rows", "networks", "shared", "median_error", "worst_error", "sources")
        return {
            "chip": self.chip,
            "ms": self.ms,
            "low_ms": self.ms * self.interval.low,
            "high_ms": self.ms * self.interval.high,
            "fps": 1000 / self.ms,
            "interval": self.interval,
            **{key: getattr(self.fit, key) for key in keys},
            "outside": self.outside,
        }


@dataclass(frozen=True)
class Estimate:
    """Estimated latency of a program on every chip of ``chips.toml``.

    Attributes:
        network: what the program costs.
        departures: how many parts of it leave the engine by the published rules; their cost is not in the figures.
        chips: in the order of the file.
        sources: of the published latencies, by key.
    """

    network: Totals
    departures: int
    chips: tuple[ChipLatency, ...]
    sources: Sources

    def to_json(self) -> dict[str, Any]:
        """With the words that keep it from being taken for a measurement."""
        return {
            "basis": BASIS,
            "assumption": ASSUMPTION,
            "interval": INTERVAL,
            "network": self.network,
            "departures": self.departures,
            "chips": self.chips,
            "sources": self.sources,
        }


def estimate(graph: Graph) -> Estimate:
    """Estimated latency of a program on every chip of ``chips.toml``."""
    operators = matrix(work(graph))
    total, reason, sort = totals(operators), _why_not(graph), "map" if gives_map(graph) else "classifier"
    each = tuple(_on_chip(name, operators, total, sort, reason or _no_data(chip)) for name, chip in chips().items())
    departures = sum(segment.unit != "ANE" for segment in place(graph).segments)
    return Estimate(total, departures, each, published_sources())


def gives_map(graph: Graph) -> bool:
    """Whether a program makes a map of an image, as depth and segmentation do: both last axes longer than 1 at both ends."""
    return all(any(len(t.shape) > 2 and min(t.shape[-2:]) > 1 for t in tensors) for tensors in (graph.inputs, graph.outputs))


def table(estimate: Estimate) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of an estimate; every figure with its interval."""
    rows = []
    for chip in estimate.chips:
        if chip.fit is None or chip.interval is None or chip.ms is None:
            rows.append([chip.chip, "none", *[""] * 5])
            continue
        fit = chip.fit
        between = f"{chip.ms * chip.interval.low:.3g} to {chip.ms * chip.interval.high:.3g}"
        shown = (f"{chip.ms:.3g}", between, f"{1000 / chip.ms:.0f}", f"{fit.median_error:.0%}", f"{fit.worst_error:.0%}")
        rows.append([chip.chip, *shown, f"{fit.networks} networks{' (shared)' if fit.shared else ''}, {fit.dispatch}"])
    return ["chip", "estimated ms", f"{COVERAGE:.0%} interval", "FPS", "median error", "worst", "fitted to"], rows


def notes(estimate: Estimate) -> list[str]:
    """What to know about the table."""
    lines = []
    for reason in dict.fromkeys(chip.reason for chip in estimate.chips if chip.reason):
        lines.append(f"{', '.join(chip.chip for chip in estimate.chips if chip.reason == reason)}: {reason}")
    fits = {chip.chip: chip.fit for chip in estimate.chips if chip.fit}
    if not fits:
        return lines
    lines.append(f"{INTERVAL}: so many of the published latencies lay in it that were estimated without their network; errors likewise")
    if few := [name for name, fit in fits.items() if fit.shared]:
        lines.append(f"shared: {', '.join(few)} have few published networks, so their constants follow those of the other chips")
    if any("direct" in fit.dispatch for fit in fits.values()):
        lines.append("direct: measured without Core ML; the floor of a prediction through Core ML is that of the other chips")
    for outside in dict.fromkeys(chip.outside for chip in estimate.chips if chip.outside):
        named = ", ".join(chip.chip for chip in estimate.chips if chip.outside == outside)
        lines.append(f"{named}: beyond what was fitted, the error may be larger: {', '.join(outside)}")
    if estimate.departures:
        low, high = DEPARTURE_MS
        parts = f"{estimate.departures} parts leave the engine by published rules"
        lines.append(f"{parts}; each was measured to cost {low} to {high} ms more, which is not added here")
    used = dict.fromkeys(key for fit in fits.values() for key in fit.sources)
    return [*lines, f"sources: {', '.join(used)} (each with its address in --json and benchmarks/estimate/sources.toml)"]


def _on_chip(name: str, operators: NDArray[np.float64], total: Totals, sort: str, reason: str) -> ChipLatency:
    if reason:
        return ChipLatency(name, None, reason=reason)
    fit = chip_fits()[name]
    ms = latency_ms(operators, fit.constants)
    if ms < fit.fastest_ms:
        return ChipLatency(name, None, reason="no estimate: too small, faster than everything published")
    most = fit.most.to_json()
    outside = [f"{key} {value:.3g} (fitted up to {most[key]:.3g})" for key, value in total.to_json().items() if value > most[key]]
    return ChipLatency(name, ms, fit, fit.intervals[sort], tuple(outside))


def _why_not(graph: Graph) -> str:
    """Why no chip's engine could run this; empty if one could."""
    if any(-1 in tensor.shape for node in graph.nodes for tensor in node.outputs):
        return "no estimate: shapes are flexible, export with a fixed input size"
    if any(tensor.dtype == "FLOAT32" for node in graph.nodes if node.macs for tensor in node.outputs):
        return "no estimate: the program is float32 and the Neural Engine is not, export with fp16"
    repeated = sorted({node.kind for node in graph.nodes} & kinds(lambda operator: bool(operator.blocks)))
    if repeated:
        return f"no estimate: how often {', '.join(repeated)} runs what is inside is not in the program"
    return ""


def _no_data(chip: Mapping[str, Any]) -> str:
    """Why nothing is known of a chip; empty if something is."""
    return f"no data: {chip['no_data']}" if "no_data" in chip else ""
