"""What Core ML refuses to load although the program hangs together: it is named, not run over.

The rules are not in Apple's documentation; people found them and reported what Core ML says (numbers are coremltools' issues).
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from fcrn_mobile.mil.declared import Shape
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.values import Constant, Constants, shape_of
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Operation, Value

__all__ = ["check_accepted", "refusals"]


def check_accepted(block: "Block", reader: Constants, where: str, inputs: Mapping[str, Shape] | None = None) -> None:
    """Refuse a program that Core ML would not load.

    Args:
        block: the operators of a checked function.
        reader: of the constants' values.
        inputs: shapes that the function's inputs have by default.
        where: names the package in messages.

    Raises:
        MilError: naming the first operator that Core ML refuses, and why.
    """
    for refusal in refusals(block, reader, inputs=inputs):
        raise MilError(f"Core ML refuses to load '{where}': {refusal}")


def refusals(
    block: "Block", reader: Constants, outside: "ChainMap[str, Value] | None" = None, inputs: Mapping[str, Shape] | None = None
) -> Iterator[str]:
    """Every operator that Core ML refuses, with the reason and the remedy.

    Args:
        block: the operators, and those of blocks inside.
        reader: of the constants' values.
        outside: constants that the block sees besides its own.
        inputs: shapes by name of what the block gets, where lengths that the program leaves open have their defaults.
    """
    shapes = dict(inputs or {})
    own = {output.name: op.attributes["val"] for op in block.operations if op.type == "const" for output in op.outputs}
    stored = ChainMap(own) if outside is None else outside.new_child(own)
    for operation in block.operations:
        operator = OPERATORS.get(operation.type)
        if operator and operator.refusal:
            reason = operator.refusal(partial(_argument, operation, stored, reader), partial(_shapes, operation, shapes))
            if reason:
                yield f"operator '{operation.type}' at '{operation.outputs[0].name}' {reason}"
        for nested in operation.blocks:
            yield from refusals(nested, reader, stored, shapes)
        read = [shape for key in operation.inputs for shape in _shapes(operation, shapes, key) if shape]
        for output in operation.outputs:
            # What half precision puts behind an input has its shape.
            shapes[output.name] = read[0] if operator and operator.inserted and len(read) == 1 else shape_of(output.type)


def _shapes(operation: "Operation", shapes: Mapping[str, Shape], key: str) -> list[Shape]:
    """Shapes of the values of an input, as far as they are known by name; -1 where a length is not."""
    bindings = operation.inputs[key].arguments if key in operation.inputs else ()
    return [shapes[binding.name] for binding in bindings if binding.name in shapes]


def _argument(operation: "Operation", stored: "Mapping[str, Value]", reader: Constants, key: str) -> Constant:
    """The value of a constant input; None if it is left out or computed at run time."""
    for binding in operation.inputs[key].arguments if key in operation.inputs else ():
        value = stored.get(binding.name) if binding.WhichOneof("binding") == "name" else binding.value
        return None if value is None else reader.read(value, f"'{key}' of operator '{operation.type}' at '{operation.outputs[0].name}'")
    return None
