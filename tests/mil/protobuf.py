"""Pieces of a specification written by hand, for what no builder would write: a millisecond each, no package on disk."""

from collections.abc import Sequence
from typing import Any

from coremltools.proto import MIL_pb2


def tensor_type(shape: Sequence[int], name: str = "FLOAT32") -> Any:
    """A tensor's type; a length of -1 is unknown."""
    declared = MIL_pb2.ValueType()
    declared.tensorType.dataType = MIL_pb2.DataType.Value(name)
    declared.tensorType.rank = len(shape)
    for length in shape:
        dimension = declared.tensorType.dimensions.add()
        if length < 0:
            dimension.unknown.variadic = False
        else:
            dimension.constant.size = length
    return declared


def constant(numbers: Any, shape: Sequence[int] | None = None, name: str | None = None) -> Any:
    """A value that stands in the specification: a bool, a number, or a list of numbers."""
    held = list(numbers) if isinstance(numbers, list | tuple) else [numbers]
    kind = "BOOL" if held and isinstance(held[0], bool) else "FLOAT32" if any(isinstance(item, float) for item in held) else "INT32"
    value = MIL_pb2.Value()
    value.type.CopyFrom(
        tensor_type(shape if shape is not None else ((len(held),) if isinstance(numbers, list | tuple) else ()), name or kind)
    )
    tensor = value.immediateValue.tensor
    field = {"BOOL": tensor.bools, "FLOAT32": tensor.floats, "INT32": tensor.ints}[kind]
    field.values.extend(held)
    return value


def text(words: str) -> Any:
    """A text that stands in the specification."""
    value = MIL_pb2.Value(type=tensor_type((), "STRING"))
    value.immediateValue.tensor.strings.values.append(words)
    return value


def operation(kind: str, result: Sequence[int] = (1,), outputs: Sequence[str] = ("y",), **inputs: Any) -> Any:
    """An operator; its inputs are names of values, or constants, or lists of names."""
    proto = MIL_pb2.Operation(type=kind)
    for name in outputs:
        proto.outputs.add(name=name).type.CopyFrom(tensor_type(result))
    for key, given in inputs.items():
        for item in given if isinstance(given, list) and given and isinstance(given[0], str) else [given]:
            binding = proto.inputs[key].arguments.add()
            if isinstance(item, str):
                binding.name = item
            else:
                binding.value.CopyFrom(item if isinstance(item, MIL_pb2.Value) else constant(item))
    return proto


def named_constant(name: str, numbers: Any, **options: Any) -> Any:
    """A ``const`` operator."""
    value = constant(numbers, **options)
    proto = MIL_pb2.Operation(type="const")
    proto.outputs.add(name=name).type.CopyFrom(value.type)
    proto.attributes["val"].CopyFrom(value)
    return proto
