"""From the protobuf of a function to operations: constants read, compressed weights expanded, all of it once for all runs."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from fcrn_mobile.mil.arithmetic import Arithmetic, apply
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import Constant, Constants, shape_of, type_name
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, Block
    from coremltools.proto.MIL_pb2 import Operation as OperationProto

__all__ = ["bind", "release_after_last_use", "with_constants"]


def bind(block: "Block", reader: Constants, where: str, arithmetic: Arithmetic, opset: int) -> tuple[Operation, ...]:
    """The operations of a checked block, in order, each noting which tensors nothing reads after it.

    Args:
        block: the operators of the function.
        reader: of the constants' values.
        where: names the model in errors.
        arithmetic: under which compressed weights are expanded: they are results like any other.
        opset: number of the operator set that the function asks for.

    Raises:
        MilError: an operator or an input of an operator that this runtime lacks; a constant that cannot be read.
    """
    constants: dict[str, Constant] = {}
    operations: list[Operation] = []
    for proto in block.operations:
        if proto.type == "const":
            constants[proto.outputs[0].name] = reader.read(proto.attributes["val"], f"constant '{proto.outputs[0].name}' in '{where}'")
            continue
        operation = _operation(proto, reader, constants, where, opset)
        if proto.type.startswith("constexpr_"):
            constants.update(_expand(operation, arithmetic))
        else:
            operations.append(_prepare(operation))
    types = {o.name: o.type for proto in block.operations for o in proto.outputs}
    for name in block.outputs:
        if name in constants:
            output = TensorInfo(name, type_name(types[name]), shape_of(types[name]))
            operations.append(Operation("identity", {"x": constants[name]}, (output,)))
    return release_after_last_use(operations, set(block.outputs))


def _operation(proto: "OperationProto", reader: Constants, constants: dict[str, Constant], model: str, opset: int) -> Operation:
    outputs = tuple(TensorInfo(o.name, type_name(o.type), shape_of(o.type)) for o in proto.outputs)
    where = f"operator '{proto.type}' at '{outputs[0].name if outputs else '?'}' in '{model}'"
    if proto.type not in OPERATORS or OPERATORS[proto.type].foreign:
        raise MilError(f"{where} is not known to this runtime: run the package on macOS instead")
    operator = OPERATORS[proto.type]
    # Compressed constants of iOS 16 carry their data as attributes, everything else as inputs.
    arguments: dict[str, Any] = {key: reader.read(value, f"'{key}' of {where}") for key, value in proto.attributes.items() if key != "name"}
    names: dict[str, str] = {}
    for key, argument in proto.inputs.items():
        values = _values(key, argument, reader, constants, where)
        arguments[key] = values if key in operator.lists or len(values) != 1 else values[0]
        if len(argument.arguments) == 1 and argument.arguments[0].name in constants:
            names[key] = argument.arguments[0].name
    if operator.versioned:
        arguments["opset"] = opset
    try:
        inspect.signature(operator.run).bind(**arguments)
    except TypeError as error:
        raise MilError(f"{where} has inputs this runtime does not know ({error}): run the package on macOS instead") from error
    return Operation(proto.type, arguments, outputs, names=names)


def _values(key: str, argument: "Argument", reader: Constants, constants: dict[str, Constant], where: str) -> tuple[Any, ...]:
    return tuple(
        constants.get(binding.name, Reference(binding.name))
        if binding.WhichOneof("binding") == "name"
        else reader.read(binding.value, f"'{key}' of {where}")
        for binding in argument.arguments
    )


def _expand(operation: Operation, arithmetic: Arithmetic) -> dict[str, torch.Tensor]:
    """Results of a compressed constant by name."""
    if operation.references:
        raise MilError(f"{operation} reads '{min(operation.references)}', which is not a constant: export the package again")
    try:
        result = OPERATORS[operation.kind].run(**operation.arguments)
    except Exception as error:  # whatever torch raises on data that does not fit
        raise MilError(f"{operation} cannot be expanded ({' '.join(str(error).split())[:160]}): export the package again") from error
    expanded: dict[str, torch.Tensor] = {}
    results = result if isinstance(result, tuple) else (result,)
    for info, value in zip(operation.outputs, results, strict=False):
        if not info.fits(value.shape):
            raise MilError(f"{operation} expands to {by(value.shape)}, declared is {by(info.shape)}: export the package again")
        expanded[info.name] = apply(arithmetic, operation.kind, info.dtype, value)
    return expanded


def with_constants(operation: Operation, constants: Mapping[str, Any]) -> Operation:
    """The operation with other constants.

    Args:
        operation: of a bound program.
        constants: argument → array or tensor of the shape that the argument has.

    Raises:
        MilError: the argument is not a constant tensor, or has another shape.
    """
    arguments = dict(operation.arguments)
    for key, value in constants.items():
        constant = arguments.get(key)
        if not isinstance(constant, torch.Tensor):
            raise MilError(f"{operation} has no constant tensor '{key}': nothing can stand in for it")
        replacement = torch.as_tensor(value)
        if replacement.shape != constant.shape:
            raise MilError(f"'{key}' of {operation} is {by(constant.shape)}, not {by(replacement.shape)}: give an array of its shape")
        arguments[key] = replacement.to(constant.dtype)
    return _prepare(replace(operation, arguments=arguments))


def _prepare(operation: Operation) -> Operation:
    """Constants of an operator in the layout that it runs fastest with."""
    prepare = OPERATORS[operation.kind].prepare
    return replace(operation, arguments=prepare(operation.arguments)) if prepare else operation


def release_after_last_use(operations: Sequence[Operation], outputs: set[str]) -> tuple[Operation, ...]:
    """The operations in their order, each noting which tensors nothing reads after it; ``outputs`` are kept."""
    released: list[Operation] = []
    needed = set(outputs)
    for operation in reversed(operations):
        own = {info.name for info in operation.outputs}
        over = (operation.references | own) - needed
        needed |= operation.references
        released.append(replace(operation, releases=tuple(sorted(over))))
    return tuple(reversed(released))
