"""Detections of what leaves the Neural Engine; most are cases of ``latency/placement_rules.toml`` and need no function here."""

from collections.abc import Callable, Iterator
from functools import partial

from fcrn_mobile.doctor.subject import Place, Subject
from fcrn_mobile.latency.placement import padding
from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.mil.shapes import by

__all__ = ["DETECTIONS", "of_case"]

#: Layers of neural networks in whose place older ones of the same name stay on the engine.
_BROADCAST = ("Broadcastable", "ND")
#: A padded tensor is worth a word from this factor and these bytes on.
_PADDED_TIMES, _PADDED_BYTES = 4, 2**16
_NARROW = (3, 4)
_TRANSPOSED_STRIDE = 16
#: What compression and half precision put at inputs and outputs: Core ML converts there anyway.
_INSERTED = kinds(lambda operator: operator.inserted)
#: What looks up the label at the end of every classifier, which nothing can be done about.
_LABELS = frozenset({"classify"})


def of_case(subject: Subject, case: str) -> Iterator[Place]:
    """Operators that the rules of placement name for a case, ``falls back`` or unknown."""
    for op in subject.placement.operators if subject.placement else ():
        off = op.verdict == "falls back" if case == "" else op.verdict != "runs"
        if op.case == case and off and op.operator not in _LABELS:
            yield Place(op.name, op.operator, op.reason)


def _pooling_stride(subject: Subject) -> Iterator[Place]:
    """Those of the case, but not what pools a whole map, which takes one step."""
    whole = {node.name for node in subject.graph.nodes if set(node.outputs[0].shape[2:]) == {1}} if subject.graph else ()
    return (place for place in of_case(subject, "stride") if place.name not in whole)


def _typed(subject: Subject, dtypes: frozenset[str]) -> Iterator[Place]:
    """Operators off the engine for the sake of a data type of their results, those at inputs and outputs left out."""
    if not subject.graph or not subject.placement or any(stage.layers for stage in subject.stages):
        return  # layers of neural networks declare no types
    for node, op in zip(subject.graph.nodes, subject.placement.operators, strict=True):
        types = {tensor.dtype for tensor in node.outputs}
        if op.case == "dtype" and node.kind not in _INSERTED | _LABELS and types & dtypes:
            yield Place(op.name, op.operator)


def _split_graph(subject: Subject) -> Iterator[Place]:
    if not subject.placement or 2 * subject.placement.counts.get("runs", 0) < len(subject.placement.operators):
        return  # most of it is not there to begin with
    segments = subject.placement.segments
    for before, segment, after in zip(segments, segments[1:], segments[2:], strict=False):
        if segment.unit == "CPU" and before.unit == after.unit == "ANE":
            yield Place(segment.first, "segment", f"{segment.operators} operators up to '{segment.last}'")


def _flexible_range(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs if subject.stages else ():
        if any(low != high for low, high in feature.shapes.ranges):
            yield Place(feature.name, "input", str(feature.shapes))


def _enumerated_shapes(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs if subject.stages else ():
        if len(feature.shapes.enumerated) > 1:
            yield Place(feature.name, "input", str(feature.shapes))


def _narrow_top_k(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        if op.kind == "topk" and int(op.number("k", 0)) in _NARROW:
            yield stage.place(op, f"k {op.number('k', 0):g}")


def _transposed_stride(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        if op.kind == "conv_transpose" and max(op.numbers("strides"), default=1) >= _TRANSPOSED_STRIDE:
            yield stage.place(op, f"stride {max(op.numbers('strides')):g}")


def _last_axis(subject: Subject) -> Iterator[Place]:
    for node in subject.graph.nodes if subject.graph else ():
        for tensor in node.outputs:
            factor = padding(tensor)
            if factor >= _PADDED_TIMES and tensor.bytes * factor >= _PADDED_BYTES and tensor.dtype == "FLOAT16":
                yield Place(tensor.name, node.kind, f"{by(tensor.shape)} takes {factor:.3g} times its memory")


def _broadcast_layers(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        for layer in stage.layers:
            kind = str(layer.WhichOneof("layer"))
            if kind.endswith(_BROADCAST):
                yield Place(layer.name, kind)


def _too_large(subject: Subject) -> Iterator[Place]:
    if subject.placement and subject.placement.weights.too_large:
        yield Place(detail=f"{subject.placement.weights.bytes / 1e9:.2f} GB of weights")


#: Rule → where it applies.
DETECTIONS: dict[str, Callable[[Subject], Iterator[Place]]] = {
    "float32": partial(_typed, dtypes=frozenset({"FLOAT32", "FLOAT64"})),
    "int32": partial(_typed, dtypes=frozenset({"INT32", "INT64", "UINT32"})),
    "split-graph": _split_graph,
    "pooling-stride": _pooling_stride,
    "flexible-range": _flexible_range,
    "enumerated-shapes": _enumerated_shapes,
    "narrow-top-k": _narrow_top_k,
    "transposed-stride": _transposed_stride,
    "last-axis": _last_axis,
    "broadcast-layers": _broadcast_layers,
    "too-large": _too_large,
}
