"""What Core ML refuses to load although the program hangs together: it is named, not run over.

The rules are not in Apple's documentation; people found them and reported what Core ML says (numbers are coremltools' issues).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from fcrn_mobile.mil.values import Constant, Constants
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Operation, Value


def check_accepted(block: "Block", reader: Constants, where: str) -> None:
    """Refuse a program that Core ML would not load.

    Args:
        block: the operators of a checked function.
        reader: of the constants' values.
        where: names the package in messages.

    Raises:
        MilError: naming the first operator that Core ML refuses, and why.
    """
    for refusal in refusals(block, reader):
        raise MilError(f"Core ML refuses to load '{where}': {refusal}")


def refusals(block: "Block", reader: Constants) -> Iterator[str]:
    """Every operator that Core ML refuses, with the reason and the remedy."""
    stored = {op.outputs[0].name: op.attributes["val"] for op in block.operations if op.type == "const"}
    for operation in block.operations:
        if operation.type == "pad":
            yield from _pad(operation, stored, reader)


def _pad(operation: "Operation", stored: "dict[str, Value]", reader: Constants) -> Iterator[str]:
    """Padding of other axes than the last two has to be constant (#2571, #2576, #2701)."""
    mode, pads = (_argument(operation, key, stored, reader) for key in ("mode", "pad"))
    if mode in (None, "constant") or not isinstance(pads, Tensor) or not pads.reshape(-1)[:-4].any():
        return
    yield (
        f"operator 'pad' at '{operation.outputs[0].name}' pads axes before the last two by '{mode}', which Core ML can with constants "
        "only (coremltools #2571, #2576): move the axis to the end with a transpose before padding, and back"
    )


def _argument(operation: "Operation", key: str, stored: "dict[str, Value]", reader: Constants) -> Constant:
    """The value of a constant input; None if it is left out or computed at run time."""
    for binding in operation.inputs[key].arguments if key in operation.inputs else ():
        value = stored.get(binding.name) if binding.WhichOneof("binding") == "name" else binding.value
        return None if value is None else reader.read(value, f"'{key}' of operator '{operation.type}' at '{operation.outputs[0].name}'")
    return None
