"""What is inside a package, without running it: works for operators this runtime lacks, too."""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.package import main_block, metadata, read_specification
from fcrn_mobile.mil.values import shape_of, type_name

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Value

_BITS = {"BOOL": 8, "FLOAT16": 16, "FLOAT32": 32, "INT32": 32, "INT16": 16, "UINT16": 16, "INT8": 8, "UINT8": 8, "INT4": 4}
_BITS |= {f"UINT{bits}": bits for bits in (1, 2, 3, 4, 6)}


def summarise(package: Path) -> dict[str, Any]:
    """Interface, operators, weights, cost and metadata of a package.

    Returns:
        JSON-serialisable: ``inputs`` and ``outputs`` as text, ``operators`` counted by type, ``weights`` as bytes by stored
        type, ``macs`` of convolutions and matrix products with known shapes, ``unsupported`` operators, ``metadata``.

    Raises:
        MilError: the package cannot be read.
    """
    model, _ = read_specification(package)
    block = main_block(model, package)
    operators = Counter(op.type for op in block.operations if op.type != "const")
    return {
        "inputs": [_feature(Feature.from_description(f)) for f in model.description.input],
        "outputs": [_feature(Feature.from_description(f)) for f in model.description.output],
        "operators": dict(operators.most_common()),
        "weights": _weight_bytes(block),
        "macs": count_macs(block),
        "unsupported": sorted(set(operators) - set(OPERATORS)),
        "metadata": metadata(model),
    }


def count_macs(block: "Block") -> int:
    """Multiply-accumulates of convolutions for one run: outputs times the weights that each of them reads."""
    shapes = {o.name: shape_of(o.type) for op in block.operations for o in op.outputs}
    macs = 0
    for op in block.operations:
        if op.type == "conv":
            weight = shapes[op.inputs["weight"].arguments[0].name]
            macs += math.prod(shapes[op.outputs[0].name]) * math.prod(weight[1:])
        elif op.type == "conv_transpose":
            # Every input value meets its whole kernel; outputs that are cut off afterwards are computed all the same.
            weight = shapes[op.inputs["weight"].arguments[0].name]
            macs += math.prod(shapes[op.inputs["x"].arguments[0].name]) * math.prod(weight[1:])
    return macs


def _feature(feature: Feature) -> str:
    shape = "×".join(map(str, feature.shape))
    return f"{feature.name}: {feature.dtype} {feature.kind} {shape}. {feature.description}".rstrip(" .") + "."


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
