"""Loading and execution of an ML program, operator by operator."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import Arithmetic, check_policy, rounds, to_float16
from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.package import main_block, metadata, read_specification
from fcrn_mobile.mil.values import Constant, Constants, shape_of, type_name

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, Block
    from coremltools.proto.MIL_pb2 import Operation as OperationProto

#: Inputs that are lists of tensors even when only one is given.
_LIST_INPUTS = frozenset({"values"})


@dataclass(frozen=True)
class TensorInfo:
    """A named result: data type as the program declares it (``FLOAT16`` …) and shape (-1 where unknown)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Reference:
    """An argument that is computed at run time."""

    name: str


@dataclass(frozen=True)
class Operation:
    """One operator of the program.

    Attributes:
        kind: MIL's name of it.
        arguments: constants, references, or tuples of both.
        outputs: what it yields.
        releases: names of tensors that nothing needs after it.
    """

    kind: str
    arguments: dict[str, Any]
    outputs: tuple[TensorInfo, ...]
    releases: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of its first output."""
        return self.outputs[0].name

    @property
    def references(self) -> set[str]:
        """Names of the tensors it reads."""
        values = [v for a in self.arguments.values() for v in (a if isinstance(a, tuple) else (a,))]
        return {value.name for value in values if isinstance(value, Reference)}


@dataclass(frozen=True)
class Program:
    """An ML program, ready to run.

    Attributes:
        inputs, outputs: what goes in and comes out.
        operations: in order; constants are already part of their arguments.
        arithmetic: the policy it runs under.
        metadata: what the author wrote: ``description``, ``author``, ``license``, ``version`` and user-defined keys.
    """

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    operations: tuple[Operation, ...]
    arithmetic: Arithmetic
    metadata: dict[str, str]

    @classmethod
    def load(cls, path: Path | str, arithmetic: Arithmetic = "float32") -> "Program":
        """Read a package from disk, expand its constants and check that every operator is known.

        Args:
            path: the .mlpackage folder.
            arithmetic: ``float32``, or ``float16`` to round every float16 tensor of the program.

        Raises:
            MilError: unknown policy; a missing, damaged or truncated package; an operator this runtime lacks.
        """
        check_policy(arithmetic)
        package = Path(path)
        model, folder = read_specification(package)
        block = main_block(model, package)
        operations = _release_after_last_use(_bind(block, Constants(folder), package), set(block.outputs))
        return cls(
            inputs=tuple(Feature.from_description(f) for f in model.description.input),
            outputs=tuple(Feature.from_description(f) for f in model.description.output),
            operations=operations,
            arithmetic=arithmetic,
            metadata=metadata(model),
        )

    def predict(self, inputs: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Run the program.

        Args:
            inputs: a value per input, see ``Feature.to_tensor``.

        Returns:
            An array per output, see ``Feature.to_array``.

        Raises:
            MilError: an input is missing, unknown or of another shape or type.
        """
        results: dict[str, Tensor] = {}
        wanted = {feature.name for feature in self.outputs}
        for info, value in self._run(inputs):
            if info.name in wanted:
                results[info.name] = value
        return {feature.name: feature.to_array(results[feature.name]) for feature in self.outputs}

    def trace(self, inputs: Mapping[str, Any]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Run the program, yielding every named tensor as it appears."""
        for info, value in self._run(inputs):
            yield info.name, value.numpy()

    def _run(self, inputs: Mapping[str, Any]) -> Iterator[tuple[TensorInfo, Tensor]]:
        values = self._input_tensors(inputs)
        for operation in self.operations:
            arguments = {key: _resolve(argument, values) for key, argument in operation.arguments.items()}
            with torch.inference_mode():
                result = OPERATORS[operation.kind](**arguments)
                for info, value in zip(operation.outputs, result if isinstance(result, tuple) else (result,), strict=True):
                    values[info.name] = to_float16(value) if rounds(self.arithmetic, operation.kind, info.dtype) else value
            for info in operation.outputs:
                yield info, values[info.name]
            for name in operation.releases:
                del values[name]

    def _input_tensors(self, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        names = [feature.name for feature in self.inputs]
        unknown = sorted(set(inputs) - set(names))
        missing = [name for name in names if name not in inputs]
        if unknown or missing:
            problem = f"unknown input '{unknown[0]}'" if unknown else f"input '{missing[0]}' is missing"
            raise MilError(f"{problem}: the package takes {', '.join(names)}")
        return {feature.name: feature.to_tensor(inputs[feature.name]) for feature in self.inputs}


def _bind(block: "Block", reader: Constants, package: Path) -> list[Operation]:
    """Operations with their constants read and compressed weights expanded, once for all runs."""
    constants: dict[str, Constant] = {}
    operations: list[Operation] = []
    for proto in block.operations:
        if proto.type == "const":
            constants[proto.outputs[0].name] = reader.read(proto.attributes["val"])
            continue
        operation = _operation(proto, reader, constants, package)
        if proto.type.startswith("constexpr_"):
            constants[operation.name] = OPERATORS[proto.type](**operation.arguments)
        else:
            operations.append(operation)
    return operations


def _operation(proto: "OperationProto", reader: Constants, constants: dict[str, Constant], package: Path) -> Operation:
    outputs = tuple(TensorInfo(o.name, type_name(o.type), shape_of(o.type)) for o in proto.outputs)
    where = f"operator '{proto.type}' at '{outputs[0].name if outputs else '?'}' in '{package}'"
    if proto.type not in OPERATORS:
        raise MilError(f"{where} is not known to this runtime: run the package on macOS instead")
    # Compressed constants of iOS 16 carry their data as attributes, everything else as inputs.
    arguments: dict[str, Any] = {key: reader.read(value) for key, value in proto.attributes.items() if key != "name"}
    for key, argument in proto.inputs.items():
        arguments[key] = _argument(key, argument, reader, constants)
    try:
        inspect.signature(OPERATORS[proto.type]).bind(**arguments)
    except TypeError as error:
        raise MilError(f"{where} has inputs this runtime does not know ({error}): run the package on macOS instead") from error
    return Operation(proto.type, arguments, outputs)


def _argument(key: str, argument: "Argument", reader: Constants, constants: dict[str, Constant]) -> Any:
    values = tuple(
        constants.get(binding.name, Reference(binding.name)) if binding.WhichOneof("binding") == "name" else reader.read(binding.value)
        for binding in argument.arguments
    )
    return values if key in _LIST_INPUTS or len(values) != 1 else values[0]


def _release_after_last_use(operations: list[Operation], outputs: set[str]) -> tuple[Operation, ...]:
    """Note at each operation which tensors nothing reads after it."""
    released: list[Operation] = []
    needed = set(outputs)
    for operation in reversed(operations):
        own = {info.name for info in operation.outputs}
        over = (operation.references | own) - needed
        needed |= operation.references
        released.append(Operation(operation.kind, operation.arguments, operation.outputs, tuple(sorted(over))))
    return tuple(reversed(released))


def _resolve(argument: Any, values: dict[str, Tensor]) -> Any:
    if isinstance(argument, Reference):
        return values[argument.name]
    if isinstance(argument, tuple):
        return tuple(_resolve(item, values) for item in argument)
    return argument
