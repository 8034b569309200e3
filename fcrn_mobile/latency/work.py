"""What operators cost: multiply-accumulates, and bytes of weights and activations."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.declared import Tensor
from fcrn_mobile.mil.graph import Graph, Node
from fcrn_mobile.mil.ops import kinds

__all__ = ["FREE", "Totals", "Work", "matrix", "totals", "work"]

#: Operators that engines fuse with the one before, or that only rename what is there.
FREE = kinds(lambda operator: operator.free)


@dataclass(frozen=True)
class Work:
    """What one operator costs: multiply-accumulates, bytes of weights and of activations read and written, whether in int8."""

    macs: float
    weight_bytes: float
    activation_bytes: float
    int8: bool = False

    @property
    def is_product(self) -> bool:
        """Whether it multiplies activations with each other, as attention does, and not with weights."""
        return self.macs > 0 and not self.weight_bytes


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
    """Operators × (10^9 multiply-accumulates, 10^6 bytes of weights, 10^6 bytes of activations, int8 or not, product or not)."""
    rows = [(w.macs / 1e9, w.weight_bytes / 1e6, w.activation_bytes / 1e6, float(w.int8), float(w.is_product)) for w in works]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def totals(operators: NDArray[np.float64]) -> Totals:
    """Of a network whose operators are given as ``matrix`` does."""
    gmacs, weights, activations, *_ = operators.sum(axis=0)
    return Totals(float(gmacs), float(weights), float(activations))
