"""From the protobuf of a function to operations: constants read, compressed weights expanded, all of it once for all runs."""

import inspect
from collections import ChainMap
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.operation import Block, Operation, Reference, TensorInfo
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import Constant, Constants, shape_of, type_name
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, NamedValueType
    from coremltools.proto.MIL_pb2 import Block as BlockProto
    from coremltools.proto.MIL_pb2 import Operation as OperationProto

__all__ = ["bind", "release_after_last_use", "with_constants"]

#: Behind the name of a value in a block that calls it as a value outside is called. No name in a package has it (see ``check.py``).
_INSIDE = "\u200b"


def bind(
    block: "BlockProto",
    reader: Constants,
    where: str,
    arithmetic: Arithmetic,
    opset: int,
    inputs: Iterable[str] = (),
    states: Iterable[str] = (),
) -> tuple[Operation, ...]:
    """The operations of a checked block, in order, each noting which tensors nothing reads after it.

    Args:
        block: the operators of the function.
        reader: of the constants' values.
        where: names the model in errors.
        arithmetic: under which compressed weights are expanded: they are results like any other.
        opset: number of the operator set that the function asks for.
        inputs: names of what the function takes, states included.
        states: names of values that are needed after the run.

    Raises:
        MilError: an operator or an input of an operator that this runtime lacks; a constant that cannot be read.
    """
    scope = _Scope(reader, where, arithmetic, opset, names=ChainMap({name: name for name in inputs}))
    operations = scope.operations(block)
    values = {value.name: value for proto in block.operations for value in proto.outputs}
    for name in dict.fromkeys(block.outputs):
        if name in scope.constants:
            operations.append(Operation("identity", {"x": scope.constants[name]}, (_info(values[name]),)))
    return release_after_last_use(operations, {*block.outputs, *states})


@dataclass(frozen=True)
class _Scope:
    """What a block sees.

    Attributes:
        constants: by name.
        names: of a value → under what it is kept when the program runs: another name where a block calls its own as one outside.
    """

    reader: Constants
    where: str
    arithmetic: Arithmetic
    opset: int
    constants: ChainMap[str, Constant] = field(default_factory=ChainMap)
    names: ChainMap[str, str] = field(default_factory=ChainMap)

    def operations(self, block: "BlockProto") -> list[Operation]:
        """Those of a block, without its constants, which this scope knows when they are read."""
        operations: list[Operation] = []
        for proto in block.operations:
            if proto.type == "const":
                (output,) = proto.outputs
                self.constants[output.name] = self.reader.read(proto.attributes["val"], f"constant '{output.name}' in '{self.where}'")
                continue
            operation = self._operation(proto)
            if proto.type.startswith("constexpr_"):
                self.constants.update(_expand(operation, self.arithmetic))
            else:
                operations.append(_prepare(operation))
        return operations

    def _block(self, proto: "BlockProto") -> Block:
        """A block inside; its values are released at its end at the latest, those from outside never before."""
        inside = replace(self, constants=self.constants.new_child(), names=self.names.new_child())
        inputs = tuple(inside._info(value) for value in proto.inputs)
        operations = inside.operations(proto)
        outputs = tuple(inside._value(name) for name in proto.outputs)
        own = {info.name for info in inputs}.union(info.name for operation in operations for info in operation.outputs)
        needed = {output.name for output in outputs if isinstance(output, Reference)}
        released = release_after_last_use(operations, needed, own)
        left = own.difference(*(operation.releases for operation in released))
        return Block(inputs, released, outputs, tuple(sorted(left)))

    def _info(self, value: "NamedValueType") -> TensorInfo:
        """A value that this scope gets, under a name that no value outside has."""
        name = value.name
        if name in self.names.parents or name in self.constants.parents:
            name += _INSIDE * len(self.names.maps)
        self.names[value.name] = name
        return _info(value, name)

    def _value(self, name: str) -> Any:
        for constants, names in zip(self.constants.maps, self.names.maps, strict=True):
            if name in constants:
                return constants[name]
            if name in names:
                return Reference(names[name])
        return Reference(name)

    def _operation(self, proto: "OperationProto") -> Operation:
        where = f"operator '{proto.type}' at '{proto.outputs[0].name if proto.outputs else '?'}' in '{self.where}'"
        if proto.type not in OPERATORS or OPERATORS[proto.type].foreign:
            raise MilError(f"{where} is not known to this runtime: run the package on macOS instead")
        operator = OPERATORS[proto.type]
        # Compressed constants of iOS 16 carry their data as attributes, everything else as inputs.
        attributes = ((key, value) for key, value in proto.attributes.items() if key != "name")
        arguments: dict[str, Any] = {key: self.reader.read(value, f"'{key}' of {where}") for key, value in attributes}
        names: dict[str, str] = {}
        for key, argument in proto.inputs.items():
            values = self._values(key, argument, where)
            arguments[key] = values if key in operator.lists or len(values) != 1 else values[0]
            if len(argument.arguments) == 1 and argument.arguments[0].name in self.constants:
                names[key] = argument.arguments[0].name
        if operator.versioned:
            arguments["opset"] = self.opset
        try:
            inspect.signature(operator.run).bind(**arguments)
        except TypeError as error:
            raise MilError(f"{where} has inputs this runtime does not know ({error}): run the package on macOS instead") from error
        blocks = tuple(self._block(nested) for nested in proto.blocks)
        info = _info if proto.type.startswith("constexpr_") else self._info
        outputs = tuple(info(output) for output in proto.outputs)
        return Operation(proto.type, arguments, outputs, names=names, blocks=blocks)

    def _values(self, key: str, argument: "Argument", where: str) -> tuple[Any, ...]:
        return tuple(
            self._value(binding.name) if binding.WhichOneof("binding") == "name" else self.reader.read(binding.value, f"'{key}' of {where}")
            for binding in argument.arguments
        )


def _info(value: "NamedValueType", name: str = "") -> TensorInfo:
    variadic = any(dimension.unknown.variadic for dimension in value.type.tensorType.dimensions)
    return TensorInfo(name or value.name, type_name(value.type), None if variadic else shape_of(value.type))


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
        expanded[info.name] = arithmetic.apply(operation.kind, info.dtype, value)
    return expanded


def with_constants(operations: Iterable[Operation], constants: Mapping[str, Mapping[str, Any]]) -> tuple[Operation, ...]:
    """The operations with other constants.

    Args:
        operations: of a bound program.
        constants: name of an operator, inside of another or not → argument → array or tensor of the shape that the argument has.

    Raises:
        MilError: the argument is not a constant tensor, or has another shape.
    """

    def changed(operation: Operation) -> Operation:
        blocks = tuple(replace(block, operations=with_constants(block.operations, constants)) for block in operation.blocks)
        operation = replace(operation, blocks=blocks) if blocks else operation
        return _with_constants(operation, constants[operation.name]) if operation.name in constants else operation

    return tuple(map(changed, operations))


def _with_constants(operation: Operation, constants: Mapping[str, Any]) -> Operation:
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


def release_after_last_use(
    operations: Sequence[Operation], outputs: Collection[str], own: Collection[str] | None = None
) -> tuple[Operation, ...]:
    """The operations in their order, each noting which tensors nothing reads after it.

    Args:
        operations: of a program or a block.
        outputs: names of what is needed after them.
        own: names of what may be released; None for everything.
    """
    released: list[Operation] = []
    needed, own = set(outputs), None if own is None else set(own)
    for operation in reversed(operations):
        results = {info.name for info in operation.outputs}
        over = (operation.references | results) - needed
        over = over if own is None else over & own
        needed |= operation.references
        released.append(replace(operation, releases=tuple(sorted(over))))
    return tuple(reversed(released))
