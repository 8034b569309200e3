"""Where a program's operators would run, by published rules (``placement_rules.toml``); nothing here ran on a device."""

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

from fcrn_mobile.latency.graph import BITS, Graph, Node, Tensor
from fcrn_mobile.mil.shapes import by

BASIS = "published rules, not run on a device"
#: Items of a list in a line of text; JSON has them all.
_MOST_SHOWN = 6
RULES = Path(__file__).with_name("placement_rules.toml")


@dataclass(frozen=True)
class Verdict:
    """What is published about one operator: ``runs``, ``falls back`` or ``unknown``; why; keys of the sources."""

    verdict: str
    reason: str
    sources: tuple[str, ...]


UNPUBLISHED = Verdict("unknown", "nobody published whether the engine runs it", ())


@dataclass(frozen=True)
class Segment:
    """Neighbouring operators on one unit: ``ANE``, or ``CPU`` (which stands for CPU or GPU)."""

    unit: str
    operators: int
    first: str
    last: str


def place(graph: Graph) -> dict[str, Any]:
    """Placement of a program by the published rules.

    Returns:
        JSON-serialisable: ``basis``; ``counts`` by verdict; ``operators``, each with verdict, reason and sources; ``segments``, units in
        turn, where an operator of unknown verdict is taken to stay where its predecessor is; ``alignment`` and ``weights``, see
        ``misaligned`` and ``large_weights``; ``sources``, name and URL by key.
    """
    judged = [(node, judge(node)) for node in graph.nodes]
    return {
        "basis": BASIS,
        "counts": dict(Counter(verdict.verdict for _, verdict in judged).most_common()),
        "segments": [asdict(segment) for segment in segments(judged)],
        "operators": [{"operator": node.kind, "name": node.name, **asdict(verdict)} for node, verdict in judged],
        "alignment": misaligned(graph),
        "weights": large_weights(graph),
        "sources": _rules()["sources"],
    }


def describe(placement: dict[str, Any]) -> dict[str, str]:
    """What ``place`` found, in a line each."""
    counts, alignment, weights = placement["counts"], placement["alignment"], placement["weights"]
    total, units = sum(counts.values()), placement["segments"]
    named = {verdict: Counter(o["operator"] for o in placement["operators"] if o["verdict"] == verdict) for verdict in counts}
    lines = {"runs on the Neural Engine": f"{counts.get('runs', 0)} of {total} operators"}
    for verdict, title in (("falls back", "falls back to CPU or GPU"), ("unknown", "unknown")):
        lines[title] = f"{counts.get(verdict, 0)}{_listed(named.get(verdict, Counter()))}"
    lines["segments"] = f"{len(units)}: " + _shortened([f"{unit['unit']} {unit['operators']}" for unit in units], " → ")
    lines["padded results"] = f"{len(alignment['padded'])} of {alignment['results']}"
    if alignment["padded"]:
        worst = alignment["padded"][0]
        grown = f"{alignment['bytes'] / 1e6:.1f} MB become {alignment['padded_bytes'] / 1e6:.1f} MB"
        lines["padded results"] += f": {grown}, at most ×{worst['factor']:.3g} ({by(worst['shape'])})"
        at_boundary = [f"{entry['name']} {by(entry['shape'])}" for entry in alignment["padded"] if entry["boundary"]]
        if at_boundary:
            lines["padded inputs, outputs"] = _shortened(at_boundary, ", ")
    lines["uncompressed weights"] = f"{weights['uncompressed_bytes'] / 1e6:.1f} of {weights['bytes'] / 1e6:.1f} MB"
    if weights["uncompressed"]:
        largest = weights["uncompressed"][0]
        lines["uncompressed weights"] += f" in {len(weights['uncompressed'])} tensors, the largest {by(largest['shape'])}"
    if weights["too_large"]:
        lines["too large"] = weights["reason"]
    return lines


def judge(node: Node) -> Verdict:
    """The verdict on one operator: a rule about its case outranks one about its kind, ``falls back`` outranks ``unknown``."""
    facts = properties(node)
    matching = [rule for rule in _rules()["rule"] if _applies(rule, node.kind, facts)]
    if not matching:
        return UNPUBLISHED
    order = ("falls back", "unknown", "runs")
    rule = min(matching, key=lambda rule: ("property" not in rule, order.index(rule["verdict"])))
    return Verdict(rule["verdict"], rule["reason"], tuple(rule["sources"]))


def properties(node: Node) -> dict[str, Any]:
    """What rules can be about: ``dtype``, ``rank``, ``longest axis``, ``unknown axes`` of its results, settings where it has them."""
    shapes = [tensor.shape for tensor in node.outputs]
    facts: dict[str, Any] = {
        "dtype": {tensor.dtype for tensor in node.outputs},
        "rank": max(map(len, shapes), default=0),
        "longest axis": max((length for shape in shapes for length in shape), default=0),
        "unknown axes": sum(length == -1 for shape in shapes for length in shape),
    }
    for fact, setting in {"dilation": "dilations", "stride": "strides", "kernel": "kernel_sizes"}.items():
        if setting in node.settings:
            facts[fact] = max(node.settings[setting])
    scales = [v for key in ("scale_factor_height", "scale_factor_width") for v in node.settings.get(key, ())]
    if scales:
        facts["scale"] = max(scales)
    if node.inputs and len(node.inputs[0].shape) > 1:
        facts["channels"] = node.inputs[0].shape[1]
    if "weight" in node.weights and node.weights["weight"].tensor.shape:
        facts["kernel width"] = node.weights["weight"].tensor.shape[-1]
    return facts


def segments(judged: Iterable[tuple[Node, Verdict]]) -> list[Segment]:
    """Units in turn; an operator of unknown verdict stays where its predecessor is, at the start on the engine."""
    units: list[tuple[str, Node]] = []
    for node, verdict in judged:
        before = units[-1][0] if units else "ANE"
        units.append(({"runs": "ANE", "falls back": "CPU"}.get(verdict.verdict, before), node))
    runs = [(unit, [node for _, node in group]) for unit, group in groupby(units, key=lambda pair: pair[0])]
    return [Segment(unit, len(nodes), nodes[0].name, nodes[-1].name) for unit, nodes in runs]


def padding(tensor: Tensor) -> float:
    """How many times its bytes a tensor takes with its last axis padded; 1 if that is aligned, unknown or not there."""
    if not tensor.shape or tensor.shape[-1] < 1:
        return 1.0
    last = tensor.shape[-1] * BITS.get(tensor.dtype, 16) / 8
    unit = _rules()["alignment"]["bytes"]
    return float(ceil(last / unit) * unit / last)


def misaligned(graph: Graph) -> dict[str, Any]:
    """Results whose last axis is padded.

    Returns:
        ``results`` there are, ``padded`` ones with shape and factor (largest first, ``boundary`` if it is the program's input or output),
        ``bytes`` and ``padded_bytes`` of all results.
    """
    boundary = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    # An input that the program merely passes on would come up twice.
    tensors = list({tensor.name: tensor for tensor in (*graph.inputs, *(t for node in graph.nodes for t in node.outputs))}.values())
    padded = [(tensor, padding(tensor)) for tensor in tensors]
    return {
        "results": len(tensors),
        "bytes": round(sum(tensor.bytes for tensor in tensors)),
        "padded_bytes": round(sum(tensor.bytes * factor for tensor, factor in padded)),
        "padded": [
            {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype, "factor": factor, "boundary": tensor.name in boundary}
            for tensor, factor in sorted(padded, key=lambda pair: -pair[1])
            if factor > 1
        ],
        "sources": _rules()["alignment"]["sources"],
        "reason": _rules()["alignment"]["reason"],
    }


def large_weights(graph: Graph) -> dict[str, Any]:
    """Constants that are stored uncompressed although compression would take them.

    Returns:
        ``bytes`` of all constants, ``uncompressed_bytes`` and ``uncompressed`` ones of at least the threshold, largest first;
        ``too_large`` if the constants exceed what an iPhone's engine takes.
    """
    rule = _rules()["weights"]
    floats = ("FLOAT16", "FLOAT32")
    large = [w for w in graph.weights if not w.compressed and w.tensor.elements >= rule["threshold_elements"] and w.tensor.dtype in floats]
    large.sort(key=lambda weight: -weight.stored_bytes)
    return {
        "bytes": graph.weight_bytes,
        "uncompressed_bytes": sum(weight.stored_bytes for weight in large),
        "uncompressed": [
            {"name": w.tensor.name, "shape": list(w.tensor.shape), "dtype": w.tensor.dtype, "bytes": w.stored_bytes} for w in large
        ],
        "too_large": graph.weight_bytes > rule["largest_bytes"],
        "sources": rule["sources"],
        "reason": rule["reason"],
    }


def _listed(kinds: Counter[str]) -> str:
    named = [kind if count == 1 else f"{count} {kind}" for kind, count in kinds.most_common()]
    return f": {_shortened(named, ', ')}" if named else ""


def _shortened(parts: list[str], separator: str) -> str:
    return separator.join(parts[:_MOST_SHOWN]) + (f"{separator}…" if len(parts) > _MOST_SHOWN else "")


def _applies(rule: dict[str, Any], kind: str, facts: dict[str, Any]) -> bool:
    if kind not in rule["operators"] and rule["operators"] != ["*"]:
        return False
    if "property" not in rule:
        return True
    fact = facts.get(rule["property"])
    if "above" in rule:
        return fact is not None and fact > rule["above"]
    return fact is not None and bool(set(rule["one_of"]) & fact)


@cache
def _rules() -> dict[str, Any]:
    return tomllib.loads(RULES.read_text())
