"""A package's operators in order, with what is known of each: where it would run, published hazards, and its part in the drift."""

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from fcrn_mobile.doctor.diagnosis import Diagnosis, examine
from fcrn_mobile.doctor.subject import Subject
from fcrn_mobile.latency.placement import describe
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.validation.attribution import Attribution
from fcrn_mobile.validation.op_drift import OpDrift

__all__ = ["GraphRow", "PackageGraph", "read_package_graph"]


@dataclass(frozen=True)
class GraphRow:
    """One operator.

    Attributes:
        name, kind: as in the program.
        shape: of its first result, as text.
        reads: places of the operators whose results it reads.
        verdict, reason: of the published rules of placement: ``runs`` on the Neural Engine, ``falls back``, ``unknown``.
        hazards: ids of rules that apply here, with their severity.
        drift: its part; None where nothing was attributed.
    """

    name: str
    kind: str
    shape: str
    reads: tuple[int, ...]
    verdict: str
    reason: str
    hazards: tuple[str, ...] = ()
    drift: OpDrift | None = None

    @property
    def own_drift(self) -> float:
        """Fidelity of the output with only this operator as in the package; 0 where it changes nothing."""
        return self.drift.own_drift if self.drift else 0.0


@dataclass(frozen=True)
class PackageGraph:
    """A package's program.

    Attributes:
        rows: its operators in order.
        placement: of all of them, in a line each.
        diagnosis: published hazards, those of no operator included.
        attribution: where the drift comes from; None where that was not asked.
    """

    rows: tuple[GraphRow, ...]
    placement: dict[str, str]
    diagnosis: Diagnosis
    attribution: Attribution | None = None

    @property
    def largest_drift(self) -> float:
        """The largest finite own drift; 1 where there is none."""
        return max((row.own_drift for row in self.rows if math.isfinite(row.own_drift)), default=0.0) or 1.0

    @property
    def jumps(self) -> list[tuple[int, int]]:
        """Pairs of places: results that are read beyond the next operator."""
        return [(start, end) for end, row in enumerate(self.rows) for start in row.reads if end - start > 1]


def read_package_graph(path: Path, config: Path | None = None, attribution: Attribution | None = None) -> PackageGraph:
    """The operators of a package or neural network on disk, without running it.

    Args:
        path: of the .mlpackage or .mlmodel.
        config: its model config.
        attribution: of its drift, beforehand.

    Raises:
        MilError: it cannot be read, or does not hang together.
    """
    subject = Subject.read(path, config=config)
    if subject.graph is None or subject.placement is None:
        broken = next(stage.broken for stage in subject.stages if stage.broken)
        raise MilError(f"the operators of '{path}' do not hang together: {broken}")
    diagnosis = examine(subject)
    hazards: defaultdict[str, list[str]] = defaultdict(list)
    for finding in diagnosis.findings:
        for place in finding.places:
            # In a pipeline the stage stands before the operator.
            for name in dict.fromkeys((place.name, place.name.partition("/")[2])):
                hazards[name].append(f"{finding.rule.severity} {finding.rule.id}")
    drifts = {op.candidate_name: op for op in attribution.ops} if attribution else {}
    makers: dict[str, int] = {}
    rows = []
    for index, (node, verdict) in enumerate(zip(subject.graph.nodes, subject.placement.operators, strict=True)):
        reads = sorted({makers[tensor.name] for tensor in node.inputs if tensor.name in makers})
        makers |= {tensor.name: index for tensor in node.outputs}
        shape = by(node.outputs[0].shape) if node.outputs else ""
        # What is found of weights is found of the operator that reads them.
        names = [*(tensor.name for tensor in node.outputs), *(weight.tensor.name for weight in node.weights.values())]
        here = tuple(dict.fromkeys(hazard for name in names for hazard in hazards.get(name, ())))
        rows.append(GraphRow(node.name, node.kind, shape, tuple(reads), verdict.verdict, verdict.reason, here, drifts.get(node.name)))
    return PackageGraph(tuple(rows), describe(subject.placement), diagnosis, attribution)
