"""Latency that a package might have on Apple chips: an estimate from latencies that others published, never a measurement.

A roofline per operator: it takes as long as its multiply-accumulates at the chip's rated peak, or as its weights and activations at the
chip's two effective bandwidths, whichever is longer; a floor is added for the whole prediction (Williams et al. 2009, "Roofline"). The
floor and the two bandwidths of a chip are fitted to published latencies by ``benchmarks/estimate/fit.py``, which writes ``fitted.json``.
Activations count unpadded: padding their last axis to 64 bytes, as the engine does, fits no better.
"""

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.latency.graph import BITS, Graph, Node, Tensor

BASIS = "estimate from published latencies, not run on a device"
ASSUMPTION = "assumes that the whole program runs on the Neural Engine"
CHIPS = Path(__file__).with_name("chips.toml")
FITTED = Path(__file__).with_name("fitted.json")

#: Operators that engines fuse with the one before, or that only rename what is there.
FREE = frozenset(
    {
        "batch_norm",
        "cast",
        "clamped_relu",
        "clip",
        "dequantize",
        "elu",
        "expand_dims",
        "flatten2d",
        "gelu",
        "identity",
        "leaky_relu",
        "linear_activation",
        "prelu",
        "quantize",
        "relu",
        "relu6",
        "reshape",
        "scaled_tanh",
        "sigmoid",
        "sigmoid_hard",
        "silu",
        "softplus",
        "softsign",
        "squeeze",
        "tanh",
        "thresholded_relu",
    }
)


@dataclass(frozen=True)
class Work:
    """What one operator costs: multiply-accumulates, bytes of weights and of activations read and written, whether in int8."""

    macs: float
    weight_bytes: float
    activation_bytes: float
    int8: bool = False


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


def work(graph: Graph) -> list[Work]:
    """What every operator of a program costs; fused and renaming ones nothing."""
    quantized = {tensor.name for node in graph.nodes if node.kind == "dequantize" for tensor in node.outputs}
    narrow = quantized | {tensor.name for node in graph.nodes if node.kind == "quantize" for tensor in node.inputs}
    return [_work(node, narrow, quantized) for node in graph.nodes if node.kind not in FREE]


def _work(node: Node, narrow: set[str], quantized: set[str]) -> Work:
    def moved(tensor: Tensor) -> float:
        return tensor.elements * (8 if tensor.name in narrow else BITS.get(tensor.dtype, 16)) / 8

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


def estimate(graph: Graph) -> dict[str, Any]:
    """Estimated latency of a program on every chip of ``chips.toml``.

    Returns:
        JSON-serialisable: ``basis``, ``assumption``, ``network`` totals, ``chips``, ``sources`` by key. A chip has its name, ``ms`` and
        ``fps``, or None and a ``reason``; the mean (``error``) and ``worst`` relative error of leaving a published workload out of the
        fit; how many ``workloads`` there are, on which device and by which dispatch; keys of their sources; and ``outside``: in what
        the program exceeds everything that was fitted.
    """
    operators = matrix(work(graph))
    totals = _totals(operators)
    reason = _why_not(graph)
    chips = [_on_chip(chip, operators, totals, reason) for chip in _chips()]
    return {"basis": BASIS, "assumption": ASSUMPTION, "network": totals, "chips": chips, "sources": _fitted()["sources"]}


def table(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of what ``estimate`` found; every figure with its error."""
    rows = []
    for chip in found["chips"]:
        if chip["ms"] is None:
            rows.append([chip["chip"], "none", *[""] * 4])
            continue
        shown = (f"{chip['ms']:.3g}", f"{chip['fps']:.0f}", f"±{chip['error']:.0%}", f"{chip['worst']:.0%}")
        rows.append([chip["chip"], *shown, f"{chip['workloads']} on {chip['device']}, {chip['dispatch']}"])
    return ["chip", "estimated ms", "FPS", "error", "worst", "fitted to"], rows


def notes(found: dict[str, Any]) -> list[str]:
    """What to know about the table."""
    chips = found["chips"]
    lines = []
    for reason in dict.fromkeys(chip["reason"] for chip in chips if chip["ms"] is None):
        lines.append(f"{', '.join(chip['chip'] for chip in chips if chip.get('reason') == reason)}: {reason}")
    estimated = [chip for chip in chips if chip["ms"] is not None]
    if not estimated:
        return lines
    lines.append("error: mean of leaving one published workload out of the fit; worst: the largest of them")
    if any(chip["dispatch"] == "direct" for chip in estimated):
        lines.append("direct: measured without Core ML, which adds its own overhead to every prediction")
    for outside in dict.fromkeys(tuple(chip["outside"]) for chip in estimated if chip["outside"]):
        named = ", ".join(chip["chip"] for chip in estimated if tuple(chip["outside"]) == outside)
        lines.append(f"{named}: beyond what was fitted, the error may be larger: {', '.join(outside)}")
    used = dict.fromkeys(key for chip in estimated for key in chip["sources"])
    return [*lines, *(f"source: {found['sources'][key]['name']}" for key in used)]


def _on_chip(chip: dict[str, Any], operators: NDArray[np.float64], totals: dict[str, float], reason: str | None) -> dict[str, Any]:
    fit = _fitted()["chips"].get(chip["name"])
    if fit is None or reason:
        return {"chip": chip["name"], "ms": None, "fps": None, "reason": reason or f"no data: {chip['no_data']}"}
    ms = latency_ms(operators, Coefficients(**fit["constants"]))
    if ms < fit["fastest_ms"]:
        return {"chip": chip["name"], "ms": None, "fps": None, "reason": "no estimate: too small, faster than everything published"}
    known = ("device", "dispatch", "workloads", "error", "worst", "sources")
    most = fit["range"]
    outside = [f"{name} {value:.3g} (fitted up to {most[name]:.3g})" for name, value in totals.items() if value > most[name]]
    return {"chip": chip["name"], "ms": ms, "fps": 1000 / ms, **{key: fit[key] for key in known}, "outside": outside}


def _totals(operators: NDArray[np.float64]) -> dict[str, float]:
    gmacs, weights, activations, _ = operators.sum(axis=0)
    return {"GMACs": float(gmacs), "weights MB": float(weights), "activations MB": float(activations)}


def _why_not(graph: Graph) -> str | None:
    """Why no chip's engine could run this, if so."""
    if any(-1 in tensor.shape for node in graph.nodes for tensor in node.outputs):
        return "no estimate: shapes are flexible, export with a fixed input size"
    if any(tensor.dtype == "FLOAT32" for node in graph.nodes if node.macs for tensor in node.outputs):
        return "no estimate: the program is float32 and the Neural Engine is not, export with fp16"
    return None


def totals_range(matrices: Sequence[NDArray[np.float64]]) -> dict[str, float]:
    """The largest totals among networks."""
    totals = [_totals(operators) for operators in matrices]
    return {name: max(total[name] for total in totals) for name in totals[0]}


def as_json(chip: Coefficients) -> dict[str, float]:
    """The constants as ``fitted.json`` holds them."""
    return {key: round(value, 6) for key, value in asdict(chip).items()}


def _chips() -> list[dict[str, Any]]:
    return list(tomllib.loads(CHIPS.read_text())["chip"])


@cache
def _fitted() -> dict[str, Any]:
    return dict(json.loads(FITTED.read_text()))
