"""A package's program as its operators' costs: shapes, stored weights, settings.

No weights file is read and nothing is run but what takes several sizes: that once, for the shapes at one of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from fcrn_mobile.mil.check import CheckedFunction, check_function
from fcrn_mobile.mil.costs import macs
from fcrn_mobile.mil.declared import Declarations, Declared, Tensor, declared_operations
from fcrn_mobile.mil.models import PROGRAMS, leaves
from fcrn_mobile.mil.parts import Source, described
from fcrn_mobile.mil.sized import check_size, sized
from fcrn_mobile.package.reading import read_specification

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, Operation, Value

__all__ = ["Graph", "Node", "Weight", "read_graph"]


@dataclass(frozen=True)
class Weight:
    """A constant: what the operator sees, and the bytes it takes in the package (tables, scales and masks included)."""

    tensor: Tensor
    stored_bytes: int
    compressed: bool


@dataclass(frozen=True)
class Node:
    """One operator that is computed at run time.

    Attributes:
        kind: MIL's name of it.
        name: of its first result, or of its type where it has none.
        inputs: what it reads that is computed at run time.
        outputs: its results.
        weights: its constants, by input.
        settings: small integer and boolean constants by input: ``strides``, ``kernel_sizes`` …
        macs: multiply-accumulates.
    """

    kind: str
    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: dict[str, Weight]
    settings: dict[str, tuple[float, ...]]
    macs: int


@dataclass(frozen=True)
class Graph:
    """A function of a package.

    Attributes:
        nodes: in order; those of loops and branches once each, behind the operator that they are in.
        inputs, outputs: what it takes and gives, of a pipeline its first and last program.
        weights: every constant that some operator reads, once.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    weights: tuple[Weight, ...]

    @property
    def weight_bytes(self) -> int:
        """Stored bytes of all constants."""
        return sum(weight.stored_bytes for weight in self.weights)


def read_graph(package: Path, function: str | None = None, size: tuple[int, int] | None = None) -> Graph:
    """The operators of a package's function, or of a pipeline's stages one after another; none of other kinds of models.

    Args:
        package: the .mlpackage folder, or the .mlmodel file.
        function: of a package with several; None takes its default.
        size: height and width of its pictures, of those that it takes; None: its default.

    Raises:
        MilError: the package cannot be read, or does not hang together; it does not take ``size``, or does not run here at it.
    """
    model, folder = read_specification(package)
    whole = Source(model, folder, str(package), function=function)
    programs = [source for _, source in leaves(whole) if source.kind in PROGRAMS]
    if size:
        check_size(whole.where, described(whole)[0], size)
    checked = [check_function(each.model, each.folder, each.where, each.function) for each in programs]
    graphs = [_Reader(sized(source, each, size).checked).graph() for source, each in zip(programs, checked, strict=True)]
    return Graph(
        nodes=tuple(node for graph in graphs for node in graph.nodes),
        inputs=graphs[0].inputs if graphs else (),
        outputs=graphs[-1].outputs if graphs else (),
        weights=tuple(weight for graph in graphs for weight in graph.weights),
    )


class _Reader:
    def __init__(self, checked: CheckedFunction) -> None:
        self._checked = checked
        self._weights: dict[str, Weight] = {}
        self._numbers: dict[str, tuple[float, ...]] = {}
        self._used: dict[str, Weight] = {}

    def graph(self) -> Graph:
        nodes = tuple(self._nodes())
        inputs = {value.name: Tensor.of(value.name, value.type) for value in self._checked.proto.inputs}
        tensors = inputs | {tensor.name: tensor for node in nodes for tensor in node.outputs}
        outputs = tuple(tensors[name] for name in self._checked.block.outputs if name in tensors)
        return Graph(nodes, tuple(inputs.values()), outputs, tuple(self._used.values()))

    def _nodes(self) -> Iterator[Node]:
        for op, declarations in declared_operations(self._checked.proto, self._checked.block):
            if op.type == "const":
                self._constant(op)
            elif op.type.startswith("constexpr_"):
                self._compressed(op)
            else:
                yield self._node(op, declarations)

    def _constant(self, op: "Operation") -> None:
        (output,) = op.outputs
        tensor = Tensor.of(output.name, output.type)
        self._weights[output.name] = Weight(tensor, ceil(tensor.bytes), compressed=False)
        self._numbers[output.name] = _numbers(op.attributes["val"])

    def _compressed(self, op: "Operation") -> None:
        """The result takes the place of a constant, at the bytes of what it is expanded from."""
        stored = sum(Tensor.of("", value.type).bytes for key, value in op.attributes.items() if key != "name")
        for names in op.inputs.values():
            stored += sum(self._weights[name].stored_bytes for name in _named(names) if name in self._weights)
            stored += sum(Tensor.of("", value.type).bytes for value in _immediate(names))
        for output in op.outputs:
            self._weights[output.name] = Weight(Tensor.of(output.name, output.type), ceil(stored), compressed=True)

    def _node(self, op: "Operation", declarations: Declarations) -> Node:
        declared = Declared(op, declarations)
        inputs: list[Tensor] = []
        weights: dict[str, Weight] = {}
        settings: dict[str, tuple[float, ...]] = {}
        for key, tensors in declared.inputs.items():
            for tensor in tensors:
                if tensor.name in self._weights:
                    weights[key] = self._used[tensor.name] = self._weights[tensor.name]
                    settings[key] = self._numbers.get(tensor.name, ())
                elif tensor.name:
                    inputs.append(tensor)
            for value in _immediate(op.inputs[key]):
                settings[key] = _numbers(value)
        numbers = {key: value for key, value in settings.items() if value}
        return Node(declared.kind, declared.name, tuple(inputs), declared.outputs, weights, numbers, macs(op, declarations))


def _named(argument: "Argument") -> list[str]:
    return [binding.name for binding in argument.arguments if binding.WhichOneof("binding") == "name"]


def _immediate(argument: "Argument") -> "list[Value]":
    return [binding.value for binding in argument.arguments if binding.WhichOneof("binding") == "value"]


def _numbers(value: "Value") -> tuple[float, ...]:
    """Integers, booleans and floats that stand in the specification itself; nothing for those in the weights file."""
    tensor = value.immediateValue.tensor
    kind = tensor.WhichOneof("value")
    return tuple(float(v) for v in getattr(tensor, kind).values) if kind in ("ints", "bools", "floats", "longInts") else ()
