"""Where a program's operators would run, by published rules (``placement_rules.toml``); nothing here ran on a device."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

from fcrn_mobile.mil.declared import Tensor
from fcrn_mobile.mil.graph import Graph, Node
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.sources import Source, Sources, sources

__all__ = [
    "BASIS",
    "RULES",
    "Alignment",
    "PaddedTensor",
    "Placed",
    "Placement",
    "Segment",
    "StoredTensor",
    "StoredWeights",
    "Verdict",
    "case_sources",
    "describe",
    "judge",
    "padding",
    "place",
]

BASIS = "published rules, not run on a device"
#: Items of a list in a line of text; JSON has them all.
_MOST_SHOWN = 6
RULES = Path(__file__).with_name("placement_rules.toml")


@dataclass(frozen=True)
class Verdict:
    """What is published about one operator: ``runs``, ``falls back`` or ``unknown``; why; keys of the sources; which case of it."""

    verdict: str
    reason: str
    sources: tuple[str, ...]
    case: str = ""


_UNPUBLISHED = Verdict("unknown", "nobody published whether the engine runs it", ())


@dataclass(frozen=True)
class Segment:
    """Neighbouring operators on one unit: ``ANE``, or ``CPU`` (which stands for CPU or GPU)."""

    unit: str
    operators: int
    first: str
    last: str


@dataclass(frozen=True)
class Placed:
    """An operator, its name in the program, and the verdict on it; ``case``: the property that it is about, empty for its kind."""

    operator: str
    name: str
    verdict: str
    reason: str
    sources: tuple[str, ...]
    case: str = ""


@dataclass(frozen=True)
class PaddedTensor:
    """A result whose last axis is padded: how many times its bytes it takes, and whether it is the program's input or output."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    factor: float
    boundary: bool


@dataclass(frozen=True)
class Alignment:
    """What padding the last axis of results costs.

    Attributes:
        results: how many there are.
        bytes, padded_bytes: of all of them.
        padded: those that are padded, the largest factor first.
        sources, reason: of the rule.
    """

    results: int
    bytes: int
    padded_bytes: int
    padded: tuple[PaddedTensor, ...]
    sources: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class StoredTensor:
    """A constant and the bytes it takes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class StoredWeights:
    """What constants take.

    Attributes:
        bytes: of all of them.
        uncompressed_bytes, uncompressed: of those that compression would take and are not compressed, the largest first.
        too_large: whether they exceed what an iPhone's engine takes.
        sources, reason: of the rule.
    """

    bytes: int
    uncompressed_bytes: int
    uncompressed: tuple[StoredTensor, ...]
    too_large: bool
    sources: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Placement:
    """Where a program would run by the published rules.

    Attributes:
        segments: units in turn; an operator of unknown verdict is taken to stay where its predecessor is.
        operators: in order.
        alignment, weights: what padding and constants cost.
        sources: of the rules, by key.
    """

    segments: tuple[Segment, ...]
    operators: tuple[Placed, ...]
    alignment: Alignment
    weights: StoredWeights
    sources: Sources

    @property
    def counts(self) -> dict[str, int]:
        """Operators by verdict, most frequent first."""
        return dict(Counter(op.verdict for op in self.operators).most_common())

    def to_json(self) -> dict[str, Any]:
        """With the words that keep it from being taken for a trace."""
        return {"basis": BASIS, "counts": self.counts, **vars(self)}


@dataclass(frozen=True)
class _Rule:
    """A published rule about operators (``*``: all), or about those whose property is ``above`` a number or ``one_of`` some values."""

    operators: tuple[str, ...]
    verdict: Verdict
    property: str = ""
    above: float | None = None
    one_of: frozenset[str] = frozenset()

    def applies(self, kind: str, facts: Mapping[str, Any]) -> bool:
        """Whether it is about an operator with such properties."""
        if kind not in self.operators and self.operators != ("*",):
            return False
        if not self.property:
            return True
        fact = facts.get(self.property)
        return fact is not None and (fact > self.above if self.above is not None else bool(self.one_of & fact))


def place(graph: Graph) -> Placement:
    """Placement of a program by the published rules."""
    judged = [(node, judge(node)) for node in graph.nodes]
    operators = tuple(Placed(node.kind, node.name, **vars(verdict)) for node, verdict in judged)
    return Placement(tuple(_segments(judged)), operators, _padded_results(graph), _stored_weights(graph), sources(_published()["sources"]))


def describe(placement: Placement) -> dict[str, str]:
    """A placement in a line each."""
    counts, units, alignment, weights = placement.counts, placement.segments, placement.alignment, placement.weights
    lines = {"runs on the Neural Engine": f"{counts.get('runs', 0)} of {len(placement.operators)} operators"}
    for verdict, title in (("falls back", "falls back to CPU or GPU"), ("unknown", "unknown")):
        lines[title] = f"{counts.get(verdict, 0)}{_listed(Counter(op.operator for op in placement.operators if op.verdict == verdict))}"
    lines["segments"] = f"{len(units)}: " + _shortened([f"{unit.unit} {unit.operators}" for unit in units], " → ")
    lines["padded results"] = f"{len(alignment.padded)} of {alignment.results}"
    if alignment.padded:
        worst = alignment.padded[0]
        grown = f"{alignment.bytes / 1e6:.1f} MB become {alignment.padded_bytes / 1e6:.1f} MB"
        lines["padded results"] += f": {grown}, at most ×{worst.factor:.3g} ({by(worst.shape)})"
        at_boundary = [f"{tensor.name} {by(tensor.shape)}" for tensor in alignment.padded if tensor.boundary]
        if at_boundary:
            lines["padded inputs, outputs"] = _shortened(at_boundary, ", ")
    lines["uncompressed weights"] = f"{weights.uncompressed_bytes / 1e6:.1f} of {weights.bytes / 1e6:.1f} MB"
    if weights.uncompressed:
        largest = weights.uncompressed[0]
        lines["uncompressed weights"] += f" in {len(weights.uncompressed)} tensors, the largest {by(largest.shape)}"
    if weights.too_large:
        lines["too large"] = weights.reason
    return lines


def judge(node: Node) -> Verdict:
    """The verdict on one operator: a rule about its case outranks one about its kind, ``falls back`` outranks ``unknown``."""
    facts = _properties(node)
    matching = [rule for rule in _rules() if rule.applies(node.kind, facts)]
    order = ("falls back", "unknown", "runs")
    return min(matching, key=lambda rule: (not rule.property, order.index(rule.verdict.verdict))).verdict if matching else _UNPUBLISHED


def case_sources(case: str) -> tuple[Source, ...]:
    """Who published the rules about a case, such as ``kernel width``; empty for those about operators as such."""
    keys = [key for rule in _rules() if rule.property == case for key in rule.verdict.sources]
    publications = sources(_published()["sources"])
    return tuple(publications[key] for key in dict.fromkeys(keys))


def _properties(node: Node) -> dict[str, Any]:
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


def _segments(judged: Iterable[tuple[Node, Verdict]]) -> list[Segment]:
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
    last = tensor.shape[-1] * tensor.bits / 8
    unit = _published()["alignment"]["bytes"]
    return float(ceil(last / unit) * unit / last)


def _padded_results(graph: Graph) -> Alignment:
    """Results whose last axis is padded."""
    boundary = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    # An input that the program merely passes on would come up twice.
    tensors = {tensor.name: tensor for tensor in (*graph.inputs, *(t for node in graph.nodes for t in node.outputs))}.values()
    factors = [(tensor, padding(tensor)) for tensor in tensors]
    padded = [PaddedTensor(t.name, t.shape, t.dtype, factor, t.name in boundary) for t, factor in factors if factor > 1]
    rule = _published()["alignment"]
    return Alignment(
        results=len(tensors),
        bytes=round(sum(tensor.bytes for tensor in tensors)),
        padded_bytes=round(sum(tensor.bytes * factor for tensor, factor in factors)),
        padded=tuple(sorted(padded, key=lambda tensor: -tensor.factor)),
        sources=tuple(rule["sources"]),
        reason=rule["reason"],
    )


def _stored_weights(graph: Graph) -> StoredWeights:
    """Constants, and those of at least the rule's threshold that are stored uncompressed although compression would take them."""
    rule = _published()["weights"]
    floats = ("FLOAT16", "FLOAT32")
    large = [w for w in graph.weights if not w.compressed and w.tensor.elements >= rule["threshold_elements"] and w.tensor.dtype in floats]
    large.sort(key=lambda weight: -weight.stored_bytes)
    return StoredWeights(
        bytes=graph.weight_bytes,
        uncompressed_bytes=sum(weight.stored_bytes for weight in large),
        uncompressed=tuple(StoredTensor(w.tensor.name, w.tensor.shape, w.tensor.dtype, w.stored_bytes) for w in large),
        too_large=graph.weight_bytes > rule["largest_bytes"],
        sources=tuple(rule["sources"]),
        reason=rule["reason"],
    )


def _listed(kinds: Counter[str]) -> str:
    named = [kind if count == 1 else f"{count} {kind}" for kind, count in kinds.most_common()]
    return f": {_shortened(named, ', ')}" if named else ""


def _shortened(parts: list[str], separator: str) -> str:
    return separator.join(parts[:_MOST_SHOWN]) + (f"{separator}…" if len(parts) > _MOST_SHOWN else "")


@cache
def _rules() -> tuple[_Rule, ...]:
    return tuple(
        _Rule(
            tuple(entry["operators"]),
            Verdict(entry["verdict"], entry["reason"], tuple(entry["sources"]), entry.get("property", "")),
            entry.get("property", ""),
            entry.get("above"),
            frozenset(entry.get("one_of", ())),
        )
        for entry in _published()["rule"]
    )


@cache
def _published() -> dict[str, Any]:
    return tomllib.loads(RULES.read_text(encoding="utf-8"))
