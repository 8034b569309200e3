"""What is inside a package, without running it: works for operators this runtime lacks, too."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fcrn_mobile.mil.check import read_function
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.refused import refusals
from fcrn_mobile.mil.values import Constants, shape_of, type_name
from fcrn_mobile.package.blob import PACKED, WHOLE
from fcrn_mobile.package.reading import metadata

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function, Operation, Value

#: Stored type → bits of an element; types that no reader here has yet are of one byte unless named.
_BITS = {name: 8 * np.dtype(dtype).itemsize for name, (_, dtype) in WHOLE.items()}
_BITS |= {name: bits for name, (_, bits, _) in PACKED.items()} | {"BFLOAT16": 16}


@dataclass(frozen=True)
class Summary:
    """What is inside a package.

    Attributes:
        function: that is shown; ``functions`` are all there are.
        inputs, outputs: as text.
        operators: how many by type, nested blocks included.
        unsupported: types that this runtime lacks.
        refused: a line on each operator for whose sake Core ML does not load the package.
        weights: bytes by stored type.
        macs: multiply-accumulates, see ``count_macs``.
        metadata: as the package has it.
    """

    function: str
    functions: list[str]
    inputs: list[str]
    outputs: list[str]
    operators: dict[str, int]
    unsupported: list[str]
    refused: list[str]
    weights: dict[str, int]
    macs: int
    metadata: dict[str, str]


def summarise(package: Path, function: str | None = None) -> Summary:
    """Interface, operators, weights, cost and metadata of a package.

    Args:
        package: the .mlpackage folder.
        function: of a package with several; None takes its default.

    Raises:
        MilError: the package cannot be read, or does not hang together.
    """
    checked = read_function(package, function)
    block = checked.block
    operators = Counter(op.type for op in _operations(block) if op.type != "const")
    return Summary(
        function=checked.name,
        functions=sorted(checked.model.mlProgram.functions),
        inputs=[_feature(Feature.from_description(f)) for f in checked.inputs],
        outputs=[_feature(Feature.from_description(f)) for f in checked.outputs],
        operators=dict(operators.most_common()),
        unsupported=sorted(set(operators) - set(OPERATORS)),
        refused=list(refusals(block, Constants(checked.folder))),
        weights=_weight_bytes(block),
        macs=count_macs(checked.proto, block),
        metadata=metadata(checked.model),
    )


def count_macs(function: "Function", block: "Block") -> int:
    """Multiply-accumulates for one run: convolutions, transposed ones, linear layers, matrix products and attention of known shapes."""
    count = MacCounter(function, block)
    return sum(count(op) for op in block.operations)


class MacCounter:
    """Multiply-accumulates of single operators of one function; 0 where a shape is unknown."""

    def __init__(self, function: "Function", block: "Block") -> None:
        named = [*function.inputs, *(o for op in block.operations for o in op.outputs)]
        self._shapes = {value.name: shape_of(value.type) for value in named if value.type.WhichOneof("type") == "tensorType"}
        self._switched_on = {
            op.outputs[0].name
            for op in block.operations
            if op.type == "const" and any(op.attributes["val"].immediateValue.tensor.bools.values)
        }

        self._equations = {
            op.outputs[0].name: "".join(op.attributes["val"].immediateValue.tensor.strings.values)
            for op in block.operations
            if op.type == "const"
        }

    def __call__(self, op: "Operation") -> int:
        """Of one operator."""

        def name(key: str) -> str:
            return op.inputs[key].arguments[0].name if key in op.inputs and op.inputs[key].arguments else ""

        def shape(key: str) -> tuple[int, ...]:
            return self._shapes.get(name(key), ())

        out = shape_of(op.outputs[0].type) if op.outputs else ()
        if op.type == "conv":
            macs = math.prod(out) * math.prod(shape("weight")[1:])
        elif op.type == "conv_transpose":
            # Every input value meets its whole kernel; outputs that are cut off afterwards are computed all the same.
            macs = math.prod(shape("x")) * math.prod(shape("weight")[1:])
        elif op.type == "linear":
            macs = math.prod(out) * shape("weight")[-1] if shape("weight") else 0
        elif op.type == "matmul" and shape("x"):
            inner = shape("x")[-2] if name("transpose_x") in self._switched_on and len(shape("x")) > 1 else shape("x")[-1]
            macs = math.prod(out) * inner
        elif op.type == "scaled_dot_product_attention" and len(shape("key")) > 1:
            # query·keyᵀ, then weights·value: both sum over every key.
            macs = (math.prod(shape("query")) + math.prod(out)) * shape("key")[-2]
        elif op.type == "einsum":
            return self._einsum(self._equations.get(name("equation"), ""), [binding.name for binding in op.inputs["values"].arguments])
        else:
            macs = 0
        known = (*out, *shape("x"), *shape("weight"), *shape("query"), *shape("key"))
        return macs if -1 not in known else 0

    def _einsum(self, equation: str, operands: list[str]) -> int:
        """Every combination of its indices once."""
        lengths: dict[str, int] = {}
        for indices, operand in zip(equation.partition("->")[0].split(","), operands, strict=False):
            for index, length in zip(indices.strip(), self._shapes.get(operand, ()), strict=False):
                lengths[index] = max(length, lengths.get(index, length))
        return math.prod(lengths.values()) if lengths and -1 not in lengths.values() else 0


def _operations(block: "Block") -> Iterator["Operation"]:
    """All operators, those of nested blocks included."""
    for op in block.operations:
        yield op
        for nested in op.blocks:
            yield from _operations(nested)


def _feature(feature: Feature) -> str:
    if feature.kind not in ("image", "array"):
        return f"{feature.name}: {feature.dtype} {feature.kind}. {feature.description}".rstrip(" .") + "."
    optional = f", {feature.default:g} if left out" if feature.default is not None else ""
    return f"{feature.name}: {feature.dtype} {feature.kind} {feature.shapes}{optional}. {feature.description}".rstrip(" .") + "."


def _weight_bytes(block: "Block") -> dict[str, int]:
    """Bytes of constants in the weights file by stored type, largest first."""
    sizes: Counter[str] = Counter()
    for op in block.operations:
        values = [
            *op.attributes.values(),
            *(b.value for a in op.inputs.values() for b in a.arguments if b.WhichOneof("binding") == "value"),
        ]
        for value in values:
            if value.WhichOneof("value") == "blobFileValue":
                sizes[type_name(value.type)] += _stored_bytes(value)
    return dict(sizes.most_common())


def _stored_bytes(value: "Value") -> int:
    return math.ceil(math.prod(shape_of(value.type)) * _BITS.get(type_name(value.type), 8) / 8)
