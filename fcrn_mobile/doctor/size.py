"""Detections of what is large, slow to load or compile, or no faster than it looks."""

from collections.abc import Callable, Iterator
from itertools import groupby

from fcrn_mobile.doctor.subject import Place, Subject
from fcrn_mobile.mil.neural_network.network import NETWORKS
from fcrn_mobile.mil.ops import activation, elementwise, unary

__all__ = ["DETECTIONS"]

#: Uncompressed weights are worth a word from here on.
_MANY_BYTES = 20_000_000
_LONG_CHAIN = 250
_ELEMENTWISE = frozenset((*elementwise.OPERATORS, *unary.OPERATORS, *activation.OPERATORS))
#: Inputs of expanding operators that hold whole numbers, where these have scales.
_CODES = ("quantized_data", "data", "nonzero_data")


def _uncompressed(subject: Subject) -> Iterator[Place]:
    weights = subject.placement.weights if subject.placement else None
    if weights and weights.uncompressed_bytes >= _MANY_BYTES:
        yield Place(detail=f"{weights.uncompressed_bytes / 1e6:.0f} MB in {len(weights.uncompressed)} constants")


def _network_in_float32(subject: Subject) -> Iterator[Place]:
    if subject.model.WhichOneof("Type") in NETWORKS and subject.placement:
        stored = sum(weight.bytes for weight in subject.placement.weights.uncompressed if weight.dtype == "FLOAT32")
        if stored:
            yield Place(detail=f"{stored / 1e6:.1f} MB")


def _int8_weights(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        codes = [op.tensor(name) for name in _CODES if op.kind.startswith("constexpr_") and op.tensor("scale")]
        for tensor in codes:
            if tensor and tensor.dtype in ("INT8", "UINT8"):
                yield stage.place(op, f"{tensor.bytes / 1e3:.1f} kB")


def _blockwise_weights(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        data, scales = op.shape("data"), op.shape("scale")
        blocks = [length for size, length in zip(data, scales, strict=False) if 1 < length < size]
        if op.kind == "constexpr_blockwise_shift_scale" and blocks:
            yield stage.place(op, f"{max(blocks)} blocks")


def _int8_activations(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        if op.kind == "quantize":
            yield stage.place(op)


def _neural_network(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        if stage.source.kind in NETWORKS:
            yield Place(stage.name, stage.source.kind, f"{len(stage.layers)} layers")


def _long_chain(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        for is_elementwise, group in groupby(stage.operators.all if stage.operators else (), key=lambda op: op.kind in _ELEMENTWISE):
            chain = list(group)
            if is_elementwise and len(chain) > _LONG_CHAIN:
                yield stage.place(chain[0], f"{len(chain)} in a row")


#: Rule → where it applies.
DETECTIONS: dict[str, Callable[[Subject], Iterator[Place]]] = {
    "uncompressed": _uncompressed,
    "network-in-float32": _network_in_float32,
    "int8-weights": _int8_weights,
    "blockwise-weights": _blockwise_weights,
    "int8-activations": _int8_activations,
    "neural-network": _neural_network,
    "long-chain": _long_chain,
}
