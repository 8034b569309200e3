"""What is inside a package, without running it: works for operators this runtime lacks, too."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcrn_mobile.mil.check import read_function
from fcrn_mobile.mil.costs import count_macs
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops import MIL
from fcrn_mobile.mil.refused import refusals
from fcrn_mobile.mil.values import BITS, Constants, shape_of, type_name
from fcrn_mobile.package.reading import metadata

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Operation, Value

__all__ = ["Summary", "summarise"]


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
        unsupported=sorted(set(operators) - MIL),
        refused=list(refusals(block, Constants(checked.folder))),
        weights=_weight_bytes(block),
        macs=count_macs(checked.proto, block),
        metadata=metadata(checked.model),
    )


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
    return math.ceil(math.prod(shape_of(value.type)) * BITS.get(type_name(value.type), 8) / 8)
