"""Whether a function of an ML program hangs together, before any constant of it is read.

What is checked: every name is defined once and before its use, every tensor has a type this runtime knows and a size that a
memory holds, constants are what they are declared to be, and what callers are promised is what the function takes and gives.
Operators themselves (which exist, which inputs they take) are not looked at: that is binding's business.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from fcrn_mobile.mil.check_features import LONGEST_NAME, check_features, check_lengths, check_name
from fcrn_mobile.mil.check_nested import check_blocks, check_nested
from fcrn_mobile.mil.costs import largest_shape
from fcrn_mobile.mil.declared import Declarations
from fcrn_mobile.mil.neural_network.network import NETWORKS, translate
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.values import LARGEST, NUMPY_TYPES, Constants, shape_of, type_name
from fcrn_mobile.package.errors import DAMAGED, MilError
from fcrn_mobile.package.reading import default_function, feature_descriptions, function_block, read_specification, state_descriptions

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function, NamedValueType, Operation, Value, ValueType
    from coremltools.proto.Model_pb2 import FeatureDescription, Model

__all__ = ["CheckedFunction", "check_block", "check_function", "read_function"]

#: Most elements of all constants of a function together, 16 GiB as float32.
_LARGEST_CONSTANTS = 4 * LARGEST
_OPSET = "CoreML"


@dataclass(frozen=True)
class CheckedFunction:
    """A function of a package that hangs together.

    Attributes:
        name: of the function.
        model: the whole specification.
        folder: what file names in it are relative to.
        proto, block: its signature and operations.
        inputs, outputs: as callers see them.
        states: what is kept from one prediction to the next.
        arrays: constants that stand in the specification as such, see ``Constants``.
    """

    name: str
    model: "Model"
    folder: Path
    proto: "Function"
    block: "Block"
    inputs: "list[FeatureDescription]"
    outputs: "list[FeatureDescription]"
    states: "list[FeatureDescription]"
    arrays: Sequence[NDArray[Any]] = ()

    @property
    def constants(self) -> Constants:
        """What reads its constants."""
        return Constants(self.folder, self.arrays)

    @property
    def opset(self) -> int:
        """Number of its operator set: 5 of iOS 15, 6, 7, 8 of iOS 16, 17, 18."""
        return int(self.proto.opset.removeprefix(_OPSET))

    @property
    def default_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that its inputs have unless a caller gives another; -1 where neither program nor description says a length."""
        described = {feature.name: tuple(map(int, feature.type.multiArrayType.shape)) for feature in self.inputs}
        return {value.name: described.get(value.name) or shape_of(value.type) for value in self.proto.inputs}


def read_function(package: Path, name: str | None = None) -> CheckedFunction:
    """Read a package from disk and check one of its functions; None takes its default.

    Raises:
        MilError: the package cannot be read, has no such function, or does not hang together.
    """
    model, folder = read_specification(package)
    return check_function(model, folder, str(package), name)


def check_function(model: "Model", folder: Path, where: str, name: str | None = None) -> CheckedFunction:
    """As ``read_function``, of a specification that is already read.

    Args:
        model: the specification, of a package or of a stage of a pipeline.
        folder: what file names in it are relative to.
        where: names the model in messages.
        name: the function; None for the default.

    Raises:
        MilError: neither an ML program nor a neural network, no such function, or one that does not hang together.
    """
    arrays: Sequence[NDArray[Any]] = ()
    if model.WhichOneof("Type") in NETWORKS:
        if name not in (None, "main"):
            raise MilError(f"'{where}' is a neural network, which has no functions: leave the function out")
        network = translate(model, where)
        proto, block, arrays = network.function, network.block, network.arrays
    elif model.WhichOneof("Type") != "mlProgram":
        raise MilError(f"'{where}' is a {model.WhichOneof('Type')} model: this takes an ML program or a neural network")
    else:
        proto, block = function_block(model, where, name)
    name = name or default_function(model)
    inputs, outputs = feature_descriptions(model, name)
    if not proto.opset.removeprefix(_OPSET).isdecimal():
        raise MilError(f"'{where}' asks for operator set {proto.opset[:80]!r}, not {_OPSET}5 or a later one: {DAMAGED}")
    check_block(block, proto, where)
    states = state_descriptions(model, name)
    check_features(proto, block, inputs, outputs, where, states)
    return CheckedFunction(name, model, folder, proto, block, inputs, outputs, states, arrays)


def check_block(block: "Block", function: "Function", where: str) -> None:
    """Refuse a function that cannot be run as it stands.

    Args:
        block: the operations of the function.
        function: whose inputs the operations read.
        where: names the package in messages.

    Raises:
        MilError: naming the operator or value.
    """
    declarations = Declarations({})
    for value in function.inputs:
        _define(value, declarations, f"input {value.name[:80]!r} of '{where}'")
    elements = _check_operations(block, declarations, where)
    if elements > _LARGEST_CONSTANTS:
        raise MilError(f"the constants of '{where}' have {elements} elements, the limit is {_LARGEST_CONSTANTS}: {DAMAGED}")
    if not block.outputs:
        raise MilError(f"'{where}' has no output: {DAMAGED}")
    _check_outputs(block, declarations, f"'{where}'")


def _check_operations(block: "Block", declarations: Declarations, where: str) -> int:
    """Check the operators of a block, learning what they declare; the elements of its constants, those of blocks inside included."""
    elements = 0
    for index, operation in enumerate(block.operations):
        what = _described(operation, index, where)
        _check_operation(operation, block, declarations, what)
        for number, nested in enumerate(operation.blocks, 1):
            inside, inner = declarations.inside(), f"block {number} of {what}"
            for value in nested.inputs:
                _define(value, inside, f"input {value.name[:80]!r} of {inner}")
            elements += _check_operations(nested, inside, where)
            _check_outputs(nested, inside, inner)
            check_nested(operation, number - 1, inside.types, inner)
        for output in operation.outputs:
            _define(output, declarations, f"result {output.name[:80]!r} of {what}")
        declarations.learn(operation)
        if operation.type.startswith("const"):
            elements += sum(abs(math.prod(shape_of(output.type))) for output in operation.outputs)
        check_lengths(largest_shape(operation, declarations) or (), f"the result of {what}")
    return elements


def _check_outputs(block: "Block", declarations: Declarations, what: str) -> None:
    for name in block.outputs:
        if name not in declarations.types:
            raise MilError(f"output {name[:80]!r} of {what} is never computed: {DAMAGED}")


def _described(operation: "Operation", index: int, where: str) -> str:
    at = repr(operation.outputs[0].name[:80]) if operation.outputs else f"position {index}"
    return f"operator {operation.type[:80]!r} at {at} in '{where}'"


def _define(value: "NamedValueType", declarations: Declarations, what: str) -> None:
    """Take a name into the names that are known, if it is one and says what it stands for."""
    name = value.name
    check_name(name, what)
    if name in declarations.types.maps[0]:  # names of other blocks may come again
        raise MilError(f"{what} is defined twice: {DAMAGED}")
    _check_type(value.type, what)
    declarations.define([value])


def _check_operation(operation: "Operation", block: "Block", declarations: Declarations, what: str) -> None:
    if not operation.type.isprintable() or len(operation.type) > LONGEST_NAME:
        raise MilError(f"an operator is called {operation.type[:80]!r}: {DAMAGED}")
    if operation.type == "const":
        _check_constant(operation, what)
    elif operation.type in OPERATORS and not operation.outputs and not OPERATORS[operation.type].writes:
        # Operators that are not known may well have no results; they get their own message.
        raise MilError(f"{what} has no result: {DAMAGED}")
    check_blocks(operation, what)
    for value in operation.attributes.values():
        _check_value(value, what)
    for key, argument in operation.inputs.items():
        if not argument.arguments and key != "elem_shape":  # of scalars in a list it is empty
            raise MilError(f"{what} has an input {key[:80]!r} without a value: {DAMAGED}")
        for binding in argument.arguments:
            kind = binding.WhichOneof("binding")
            if kind == "value":
                _check_value(binding.value, what)
            elif kind is None:
                raise MilError(f"{what} has an input {key[:80]!r} without a value: {DAMAGED}")
            elif binding.name not in declarations.types:
                later = any(output.name == binding.name for each in block.operations for output in each.outputs)
                problem = "before it is computed" if later else "which is never computed"
                raise MilError(f"{what} reads {binding.name[:80]!r} {problem}: {DAMAGED}")


def _check_constant(operation: "Operation", what: str) -> None:
    if len(operation.outputs) != 1:
        raise MilError(f"{what} has {len(operation.outputs)} results, a constant has one: {DAMAGED}")
    if "val" not in operation.attributes:
        raise MilError(f"{what} has no value: {DAMAGED}")
    declared, content = operation.outputs[0].type, operation.attributes["val"].type
    if (type_name(declared), shape_of(declared)) != (type_name(content), shape_of(content)):
        raise MilError(f"{what} is declared as {_written(declared)} but holds {_written(content)}: {DAMAGED}")


def _check_value(value: "Value", what: str) -> None:
    immediate = value.immediateValue
    for item in (*immediate.tuple.values, *immediate.list.values):
        _check_value(item, what)
    for text in immediate.tensor.strings.values:
        if any(character < " " and not character.isspace() for character in text):
            raise MilError(f"{what} has a text with control characters ({text[:80]!r}): {DAMAGED}")
    _check_type(value.type, f"a value of {what}")


def _check_type(declared: "ValueType", what: str) -> None:
    kind = declared.WhichOneof("type")
    if kind is None:
        raise MilError(f"{what} has no type: {DAMAGED}")
    if kind in ("listType", "stateType"):
        inner = declared.listType.type if kind == "listType" else declared.stateType.wrappedType
        if inner.WhichOneof("type") != "tensorType":
            raise MilError(f"{what} holds no tensors: {DAMAGED}")
        _check_type(inner, what)
    if kind != "tensorType":
        return
    name = type_name(declared)
    if name not in NUMPY_TYPES and name != "STRING":
        raise MilError(f"{what} has the data type {name}, which this runtime does not know: export with float or integer types")
    rank, dimensions = declared.tensorType.rank, declared.tensorType.dimensions
    if rank not in (-1, len(dimensions)):
        raise MilError(f"{what} has rank {rank} but {len(dimensions)} dimensions: {DAMAGED}")
    check_lengths(shape_of(declared), what)


def _written(declared: "ValueType") -> str:
    return f"{type_name(declared)} {'×'.join(map(str, shape_of(declared))) or 'scalar'}"
