"""Latency that a package might have on Apple chips: an estimate from latencies that others published, never a measurement.

A roofline per operator: it takes as long as its multiply-accumulates at the chip's rated peak, or as its weights and activations at the
chip's two effective bandwidths, whichever is longer; a floor is added for the whole prediction (Williams et al. 2009, "Roofline"). The
floor and the two bandwidths of a chip are fitted to published latencies by ``benchmarks/estimate/fit.py``, which writes ``fitted.json``.
Activations count unpadded: padding their last axis to 64 bytes, as the engine does, fits no better.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.latency.sources import Sources, sources
from fcrn_mobile.mil.graph import Graph, Node, Tensor
from fcrn_mobile.mil.ops import kinds

__all__ = [
    "ASSUMPTION",
    "BASIS",
    "CHIPS",
    "FITTED",
    "FREE",
    "ChipFit",
    "ChipLatency",
    "Coefficients",
    "Estimate",
    "Totals",
    "Work",
    "chip_fits",
    "estimate",
    "latency_ms",
    "matrix",
    "notes",
    "table",
    "totals",
    "work",
]

BASIS = "estimate from published latencies, not run on a device"
ASSUMPTION = "assumes that the whole program runs on the Neural Engine"
CHIPS = Path(__file__).with_name("chips.toml")
FITTED = Path(__file__).with_name("fitted.json")

#: Operators that engines fuse with the one before, or that only rename what is there.
FREE = kinds(lambda operator: operator.free)


@dataclass(frozen=True)
class Work:
    """What one operator costs: multiply-accumulates, bytes of weights and of activations read and written, whether in int8."""

    macs: float
    weight_bytes: float
    activation_bytes: float
    int8: bool = False


@dataclass(frozen=True)
class Totals:
    """What all operators of a network cost together: 10^9 multiply-accumulates, 10^6 bytes of weights and of activations."""

    gmacs: float
    weights_mb: float
    activations_mb: float

    def to_json(self) -> dict[str, float]:
        """By the names that people read."""
        return dict(zip(("GMACs", "weights MB", "activations MB"), astuple(self), strict=True))

    @classmethod
    def from_json(cls, values: Mapping[str, float]) -> "Totals":
        """What ``to_json`` gave."""
        return cls(*(values[name] for name in cls(0, 0, 0).to_json()))


@dataclass(frozen=True)
class Coefficients:
    """A chip's constants.

    Attributes:
        floor_ms: of a whole prediction.
        weight_ms_per_mb, activation_ms_per_mb: inverse bandwidths, per 10^6 bytes.
        ms_per_gmac: at its peak in half precision.
        int8_factor: how many times faster int8 multiplies.
    """

    floor_ms: float
    weight_ms_per_mb: float
    activation_ms_per_mb: float
    ms_per_gmac: float
    int8_factor: float = 1.0

    def to_json(self) -> dict[str, float]:
        """As ``fitted.json`` holds them."""
        return {key: round(value, 6) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class ChipFit:
    """What ``fitted.json`` says of a chip.

    Attributes:
        constants: of the chip.
        device, dispatch: what the published latencies were measured on, and how.
        workloads: how many networks were published.
        error, worst: mean and largest relative error of leaving one of them out of the fit.
        sources: keys of where they were published.
        fastest_ms: the shortest latency among them.
        most: the largest totals among them.
    """

    constants: Coefficients
    device: str
    dispatch: str
    workloads: int
    error: float
    worst: float
    sources: tuple[str, ...]
    fastest_ms: float
    most: Totals


@dataclass(frozen=True)
class ChipLatency:
    """One chip's estimate.

    Attributes:
        chip: its name.
        ms: of a prediction; None if there is no estimate.
        fit: what it rests on; None if there is no estimate.
        outside: in what the program exceeds everything that was fitted.
        reason: why there is no estimate.
    """

    chip: str
    ms: float | None
    fit: ChipFit | None = None
    outside: tuple[str, ...] = ()
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """An estimate with its error and sources, or the reason why there is none."""
        if self.fit is None or self.ms is None:
            return {"chip": self.chip, "ms": None, "fps": None, "reason": self.reason}
        facts = {key: getattr(self.fit, key) for key in ("device", "dispatch", "workloads", "error", "worst", "sources")}
        return {"chip": self.chip, "ms": self.ms, "fps": 1000 / self.ms, **facts, "outside": self.outside}


@dataclass(frozen=True)
class Estimate:
    """Estimated latency of a program on every chip of ``chips.toml``.

    Attributes:
        network: what the program costs.
        chips: in the order of the file.
        sources: of the published latencies, by key.
    """

    network: Totals
    chips: tuple[ChipLatency, ...]
    sources: Sources

    def to_json(self) -> dict[str, Any]:
        """With the words that keep it from being taken for a measurement."""
        return {"basis": BASIS, "assumption": ASSUMPTION, "network": self.network, "chips": self.chips, "sources": self.sources}


def work(graph: Graph) -> list[Work]:
    """What every operator of a program costs; fused and renaming ones nothing."""
    quantized = {tensor.name for node in graph.nodes if node.kind == "dequantize" for tensor in node.outputs}
    narrow = quantized | {tensor.name for node in graph.nodes if node.kind == "quantize" for tensor in node.inputs}
    return [_work(node, narrow, quantized) for node in graph.nodes if node.kind not in FREE]


def _work(node: Node, narrow: set[str], quantized: set[str]) -> Work:
    def moved(tensor: Tensor) -> float:
        return tensor.elements * (8 if tensor.name in narrow else tensor.bits) / 8

    activations = sum(moved(tensor) for tensor in (*node.inputs, *node.outputs))
    weights = sum(w.stored_bytes for key, w in node.weights.items() if w.tensor.dtype.startswith("FLOAT") and key != "bias")
    return Work(node.macs, weights, activations, any(tensor.name in quantized for tensor in node.inputs))


def matrix(works: Iterable[Work]) -> NDArray[np.float64]:
    """Operators × (10^9 multiply-accumulates, 10^6 bytes of weights, 10^6 bytes of activations, int8 or not)."""
    rows = [(w.macs / 1e9, w.weight_bytes / 1e6, w.activation_bytes / 1e6, float(w.int8)) for w in works]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def latency_ms(operators: NDArray[np.float64], chip: Coefficients) -> float:
    """Floor plus, for every operator, the longer of computing and moving.

    Args:
        operators: see ``matrix``.
        chip: its constants.
    """
    gmacs, weights, activations, int8 = operators.T
    compute = gmacs * chip.ms_per_gmac / np.where(int8 > 0, chip.int8_factor, 1.0)
    memory = weights * chip.weight_ms_per_mb + activations * chip.activation_ms_per_mb
    return float(chip.floor_ms + np.maximum(compute, memory).sum())


def estimate(graph: Graph) -> Estimate:
    """Estimated latency of a program on every chip of ``chips.toml``."""
    operators = matrix(work(graph))
    total, reason = totals(operators), _why_not(graph)
    return Estimate(total, tuple(_on_chip(name, operators, total, reason or no_data) for name, no_data in _chips().items()), _sources())


def table(estimate: Estimate) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of an estimate; every figure with its error."""
    rows = []
    for chip in estimate.chips:
        if chip.fit is None or chip.ms is None:
            rows.append([chip.chip, "none", *[""] * 4])
            continue
        fit = chip.fit
        shown = (f"{chip.ms:.3g}", f"{1000 / chip.ms:.0f}", f"±{fit.error:.0%}", f"{fit.worst:.0%}")
        rows.append([chip.chip, *shown, f"{fit.workloads} on {fit.device}, {fit.dispatch}"])
    return ["chip", "estimated ms", "FPS", "error", "worst", "fitted to"], rows


def notes(estimate: Estimate) -> list[str]:
    """What to know about the table."""
    lines = []
    for reason in dict.fromkeys(chip.reason for chip in estimate.chips if chip.reason):
        lines.append(f"{', '.join(chip.chip for chip in estimate.chips if chip.reason == reason)}: {reason}")
    fits = [chip.fit for chip in estimate.chips if chip.fit]
    if not fits:
        return lines
    lines.append("error: mean of leaving one published workload out of the fit; worst: the largest of them")
    if any(fit.dispatch == "direct" for fit in fits):
        lines.append("direct: measured without Core ML, which adds its own overhead to every prediction")
    for outside in dict.fromkeys(chip.outside for chip in estimate.chips if chip.outside):
        named = ", ".join(chip.chip for chip in estimate.chips if chip.outside == outside)
        lines.append(f"{named}: beyond what was fitted, the error may be larger: {', '.join(outside)}")
    used = dict.fromkeys(key for fit in fits for key in fit.sources)
    return [*lines, *(f"source: {estimate.sources[key].name}" for key in used)]


def _on_chip(name: str, operators: NDArray[np.float64], total: Totals, reason: str) -> ChipLatency:
    if reason:
        return ChipLatency(name, None, reason=reason)
    fit = chip_fits()[name]
    ms = latency_ms(operators, fit.constants)
    if ms < fit.fastest_ms:
        return ChipLatency(name, None, reason="no estimate: too small, faster than everything published")
    most = fit.most.to_json()
    outside = [f"{key} {value:.3g} (fitted up to {most[key]:.3g})" for key, value in total.to_json().items() if value > most[key]]
    return ChipLatency(name, ms, fit, tuple(outside))


def totals(operators: NDArray[np.float64]) -> Totals:
    """Of a network whose operators are given as ``matrix`` does."""
    gmacs, weights, activations, _ = operators.sum(axis=0)
    return Totals(float(gmacs), float(weights), float(activations))


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


def _chips() -> dict[str, str]:
    """Name of each chip → why nothing is known of it, if so."""
    chips = tomllib.loads(CHIPS.read_text())["chip"]
    return {chip["name"]: f"no data: {chip['no_data']}" if "no_data" in chip else "" for chip in chips}


@cache
def chip_fits() -> Mapping[str, ChipFit]:
    """What is known of each chip that has published latencies."""
    return {name: _fit(entry) for name, entry in json.loads(FITTED.read_text())["chips"].items()}


def _fit(entry: dict[str, Any]) -> ChipFit:
    facts = {key: entry[key] for key in ("device", "dispatch", "workloads", "error", "worst", "fastest_ms")}
    return ChipFit(Coefficients(**entry["constants"]), **facts, sources=tuple(entry["sources"]), most=Totals.from_json(entry["range"]))


@cache
def _sources() -> Sources:
    return sources(json.loads(FITTED.read_text())["sources"])
