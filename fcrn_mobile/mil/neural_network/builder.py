"""A MIL function under construction: operators one by one, the types of their results inferred by running them without values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil.neural_network.tensor import Probes, Shape, Tensor, meta
from fcrn_mobile.mil.ops import OPERATORS, activation, random, unary
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import OUT_OF_BAND, check_size, data_types, to_torch
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, NamedValueType, Operation, Value, ValueType

__all__ = ["Builder", "Nested", "declared_as", "needed"]

#: Data type of a result → MIL's name. Floats are declared as float16, which the Neural Engine and the GPU compute networks in.
_TYPES = {torch.float32: "FLOAT16", torch.bool: "BOOL", torch.int32: "INT32", torch.int64: "INT32", torch.uint8: "UINT8"}
_NUMPY_TYPES = {"f": "FLOAT32", "i": "INT32", "b": "BOOL", "u": "UINT8"}
#: A constant of at most so many numbers is known while layers are translated: shapes, indices, scalars.
_MOST_KNOWN = 64
#: Operators of one tensor, whose result has its shape: they need not run for that.
_LIKE_X = frozenset({*activation.OPERATORS, *unary.OPERATORS, "batch_norm", "instance_norm"} - {"prelu", "softplus_parametric"})

#: A block inside an operator: what it takes, its operators, what it gives.
Nested = tuple[Sequence[Tensor], "list[Operation]", Sequence[Tensor]]


class Builder:
    """Operators of one function.

    Attributes:
        operations: so far.
        arrays: weights that operators name by their index, see ``Constants``.
        scope: name of the layer that operators are for; names of results begin with it.
        loops: how many loops the operators are in.
        inputs: names of what the function takes.
    """

    def __init__(self) -> None:
        with quiet_coremltools():
            from coremltools.proto import MIL_pb2
        self._mil = MIL_pb2
        self.operations: list[Operation] = []
        self.arrays: list[NDArray[Any]] = []
        self.scope = ""
        self.loops = 0
        self.inputs: set[str] = set()
        self._names: set[str] = set()

    def emit(self, kind: str, probes: Probes | None = None, declared: str | None = None, /, **arguments: Any) -> Tensor:
        """An operator of one result; see ``emit_all``."""
        return self.emit_all(kind, None if probes is None else (probes,), declared, **arguments)[0]

    def emit_all(
        self, kind: str, results: Sequence[Probes] | None = None, declared: str | None = None, /, **arguments: Any
    ) -> tuple[Tensor, ...]:
        """An operator.

        Args:
            kind: MIL's name of it.
            results: probes of what it gives, where they depend on values; None runs it without values.
            declared: type of its floating-point results, where it is not what rounding to half precision would leave.
            arguments: by MIL's names: tensors, lists of tensors, or settings (numbers, text, lists of whole numbers or booleans);
                None for those left out.

        Raises:
            MilError: what reaches it does not fit.
        """
        arguments = {key: value for key, value in arguments.items() if value is not None}
        tensors = [value for value in chain.from_iterable(_flat(each) for each in arguments.values()) if isinstance(value, Tensor)]
        spelled = bool(tensors) and all(tensor.is_spelled for tensor in tensors) and kind not in random.OPERATORS
        if results is None and kind in _LIKE_X:
            results = [arguments["x"].probes]
        elif results is None:
            results = self._probes(kind, arguments, tensors, Tensor.probe)
        elif any(tensor.values for tensor in tensors):
            with suppress(MilError):  # they depend on more values than those that are known
                results = self._probes(kind, arguments, tensors, lambda each, at: each.spelled(at) if each.is_spelled else each.probe(at))
        values: list[tuple[NDArray[Any], ...]] = []
        if spelled and all(probe.numel() <= _MOST_KNOWN for probes in results for probe in probes):
            with suppress(MilError):
                values = self._values(kind, arguments, tensors)
            if values and not any(tensor.values for tensor in tensors):
                return tuple(self.known(value) for (value,) in values)
        outputs = tuple(self._result(kind, each, tensors, declared) for each in results)
        outputs = tuple(replace(output, values=each) for output, each in zip(outputs, values, strict=True)) if values else outputs
        operation = self._mil.Operation(type=kind, outputs=[self._named(output) for output in outputs])
        for key, value in arguments.items():
            operation.inputs[key].CopyFrom(self._argument(value))
        self.operations.append(operation)
        return outputs

    @contextmanager
    def block(self, operations: "list[Operation]") -> Iterator[None]:
        """Operators of a block inside: what is emitted meanwhile stands there."""
        outer, self.operations = self.operations, operations
        yield
        self.operations = outer

    def emit_flow(self, kind: str, outputs: Sequence[Tensor], blocks: Sequence[Nested], **arguments: list[Tensor] | Tensor) -> None:
        """An operator with blocks, without those of their operators whose results nothing reads."""
        operation = self._mil.Operation(type=kind, outputs=[self._named(output) for output in outputs])
        for key, value in arguments.items():
            operation.inputs[key].CopyFrom(self._argument(value))
        for inputs, operations, results in blocks:
            names = [result.name for result in results]
            operation.blocks.add(inputs=map(self._named, inputs), operations=needed(operations, names), outputs=names)
        self.operations.append(operation)

    def discard(self, arrays: int) -> None:
        """Forget weights from the ``arrays``-th on, of operators that are given up."""
        del self.arrays[arrays:]

    def constant(self, array: NDArray[Any], dtype: str | None = None, name: str = "weight") -> Tensor:
        """An array that stays where it is; ``dtype`` is MIL's name of its type if it is not the array's own."""
        dtype = dtype or ("FLOAT16" if array.dtype == np.float16 else _NUMPY_TYPES[array.dtype.kind])
        probe = meta(array.shape, {"f": torch.float32, "b": torch.bool}.get(array.dtype.kind, torch.int32))
        value = array if array.size <= _MOST_KNOWN else None
        tensor = Tensor(self.fresh(name), dtype, (probe,), value)
        named = self._named(tensor)
        proto = self._mil.Operation(type="const", outputs=[named])
        stored = proto.attributes["val"]
        stored.type.CopyFrom(named.type)
        stored.blobFileValue.fileName, stored.blobFileValue.offset = OUT_OF_BAND, len(self.arrays)
        self.arrays.append(array)
        self.operations.append(proto)
        return tensor

    def expanded(self, kind: str, shape: Shape, name: str, **arguments: Tensor) -> Tensor:
        """A constant that is expanded from others when the program is bound."""
        tensor = Tensor(self.fresh(name), "FLOAT16", (meta(shape),))
        operation = self._mil.Operation(type=kind, outputs=[self._named(tensor)])
        for key, value in arguments.items():
            operation.inputs[key].CopyFrom(self._argument(value))
        self.operations.append(operation)
        return tensor

    def known(self, array: NDArray[Any]) -> Tensor:
        """A small constant that was computed while layers were translated."""
        narrow = {"f": np.float32, "i": np.int32}.get(array.dtype.kind)
        return self.constant(np.ascontiguousarray(array if narrow is None else array.astype(narrow)), name="constant")

    def whole(self, x: Tensor) -> Tensor:
        """Numbers of a network, which are all floats, as int32."""
        return x if x.dtype == "INT32" else self.emit("cast", x=x, dtype="int32")

    def floats(self, x: Tensor) -> Tensor:
        """Whole numbers or truth values as the floats that a network's tensors are; they stay exact under every arithmetic."""
        return self.emit("cast", None, "FLOAT32", x=x, dtype="fp32")

    def classify(self, scores: Tensor, classes: Sequence[str] | Sequence[int], names: tuple[str, str]) -> None:
        """The end of a classifier: the most probable label, and the probability of each."""
        first, *_ = classes
        text = isinstance(first, str)
        labels = self._mil.Value()
        declared_as(labels.type, "STRING" if text else "INT64", (len(classes),))
        tensor = labels.immediateValue.tensor
        (tensor.strings if text else tensor.longInts).values.extend(classes)
        proto = self._mil.Operation(type="classify")
        proto.inputs["probabilities"].CopyFrom(self._argument(scores))
        proto.inputs["classes"].arguments.add().value.CopyFrom(labels)
        label, table = proto.outputs.add(name=names[0]), proto.outputs.add(name=names[1])
        declared_as(label.type, "STRING" if text else "INT64", ())
        declared_as(table.type.dictionaryType.keyType, "STRING" if text else "INT64", ())
        declared_as(table.type.dictionaryType.valueType, "FLOAT32", ())
        self.operations.append(proto)

    def input(self, name: str, dtype: str, probes: tuple[torch.Tensor, ...]) -> Tensor:
        """An input of the function, which has the name that callers use."""
        self._names.add(name)
        self.inputs.add(name)
        return Tensor(name, dtype, probes)

    def named(self, tensor: Tensor) -> "NamedValueType":
        """A tensor as the protobuf declares it."""
        return self._named(tensor)

    def rename(self, tensor: Tensor, name: str, since: int = 0) -> Tensor:
        """The tensor under another name, in all operators from ``since`` on, which are all that know it."""
        if name == tensor.name:
            return tensor
        self._names.discard(tensor.name)
        name = self.fresh(name, scoped=False)
        _rename(self.operations[since:], tensor.name, name)
        return replace(tensor, name=name)

    def fresh(self, stem: str, scoped: bool = True) -> str:
        """A name that nothing has yet."""
        stem = f"{self.scope}/{stem}" if scoped and self.scope else stem
        name, count = stem, 1
        while name in self._names:
            name, count = f"{stem}_{count}", count + 1
        self._names.add(name)
        return name

    def _probes(
        self, kind: str, arguments: dict[str, Any], tensors: list[Tensor], taken: Callable[[Tensor, int], torch.Tensor]
    ) -> list[Probes]:
        count = max((len(tensor.probes) for tensor in tensors), default=1)
        with torch.device("meta"), torch.inference_mode():
            runs = [_run(kind, arguments, lambda tensor, at=at: taken(tensor, at)) for at in range(count)]
        return [tuple(result.to("meta") for result in results) for results in zip(*runs, strict=True)]

    def _values(self, kind: str, arguments: dict[str, Any], tensors: list[Tensor]) -> list[tuple[NDArray[Any], ...]]:
        """Elements of the results for every probe."""
        count = max(len(tensor.values) or 1 for tensor in tensors)
        runs = [_run(kind, arguments, lambda tensor, at=at: tensor.spelled(at)) for at in range(count)]
        return [tuple(value.numpy() for value in result) for result in zip(*runs, strict=True)]

    def _result(self, kind: str, probes: tuple[torch.Tensor, ...], tensors: list[Tensor], wish: str | None) -> Tensor:
        (natural,) = {_TYPES.get(probe.dtype, "FLOAT16") for probe in probes}
        # Numbers that are moved stay as they are, and those of a loop that may count how often it went round.
        number = self.loops and all(probe.numel() == 1 for probe in probes)
        wide = (number or OPERATORS[kind].is_exact) and all(tensor.dtype != "FLOAT16" for tensor in tensors)
        declared = natural if natural != "FLOAT16" else wish or ("FLOAT32" if wide else "FLOAT16")
        tensor = Tensor(self.fresh(kind), declared, probes)
        if len({probe.dim() for probe in probes}) != 1:
            raise MilError("its result has no fixed number of axes")
        # Of inputs without an upper end the largest that was tried says nothing.
        check_size(tuple(min(probes, key=torch.Tensor.numel).shape), f"the result of '{kind}'")
        return tensor

    def _named(self, tensor: Tensor) -> "NamedValueType":
        proto: NamedValueType = self._mil.NamedValueType(name=tensor.name)
        declared_as(proto.type, tensor.dtype, tensor.shape)
        return proto

    def _argument(self, value: Any) -> "Argument":
        proto = self._mil.Argument()
        for item in value if _are_tensors(value) else [value]:
            binding = proto.arguments.add()
            if isinstance(item, Tensor):
                binding.name = item.name
            else:
                _write(binding.value, item)
        return proto


def needed(operations: "Iterable[Operation]", names: Iterable[str]) -> "list[Operation]":
    """Operators in order without those whose results nothing reads: states that a network leaves, shapes that turned out constant."""
    live, sources = [], set(names)
    for operation in reversed(list(operations)):
        if any(output.name in sources for output in operation.outputs):
            sources.update(_reads(operation))
            live.append(operation)
    return live[::-1]


def _reads(operation: "Operation") -> Iterator[str]:
    """Names of all that an operator and those inside of it read."""
    for argument in operation.inputs.values():
        yield from (binding.name for binding in argument.arguments if binding.name)
    for block in operation.blocks:
        yield from block.outputs
        for nested in block.operations:
            yield from _reads(nested)


def _rename(operations: "Iterable[Operation]", before: str, name: str) -> None:
    """Give a value another name wherever it stands."""
    for operation in operations:
        for output in operation.outputs:
            output.name = name if output.name == before else output.name
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.name == before:
                    binding.name = name
        for block in operation.blocks:
            for value in block.inputs:
                value.name = name if value.name == before else value.name
            block.outputs[:] = [name if output == before else output for output in block.outputs]
            _rename(block.operations, before, name)


def declared_as(proto: "ValueType", dtype: str, shape: Shape) -> None:
    """Fill in a tensor type."""
    numbers = {name: number for number, name in data_types().items()}
    proto.tensorType.dataType = numbers[dtype]
    proto.tensorType.rank = len(shape)
    for length in shape:
        dimension = proto.tensorType.dimensions.add()
        if length < 0:
            dimension.unknown.variadic = False
        else:
            dimension.constant.size = length


def _write(proto: "Value", setting: Any) -> None:
    """A setting as a constant that stands in the specification."""
    tensor = proto.immediateValue.tensor
    if isinstance(setting, str):
        declared_as(proto.type, "STRING", ())
        tensor.strings.values.append(setting)
        return
    array = _setting(setting)
    name = _NUMPY_TYPES[array.dtype.kind]
    declared_as(proto.type, name, array.shape)
    {"FLOAT32": tensor.floats, "INT32": tensor.ints, "BOOL": tensor.bools}[name].values.extend(array.ravel().tolist())


def _setting(setting: Any) -> NDArray[Any]:
    array = np.array(setting)
    return array.astype({"f": np.float32, "i": np.int32, "u": np.int32, "b": np.bool_}[array.dtype.kind])


def _are_tensors(value: Any) -> bool:
    """Whether an argument is a list of tensors, not one of numbers."""
    return isinstance(value, list | tuple) and set(map(type, value)) == {Tensor}


def _flat(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _run(kind: str, arguments: dict[str, Any], taken: Any) -> tuple[torch.Tensor, ...]:
    """Results of an operator on what ``taken`` says of tensors."""

    def value(item: Any) -> Any:
        if isinstance(item, Tensor):
            return taken(item)
        if isinstance(item, str | bool):
            return item
        return to_torch(np.array(_setting(item)))

    ready = {key: tuple(map(value, each)) if _are_tensors(each) else value(each) for key, each in arguments.items()}
    try:
        result = OPERATORS[kind].run(**ready)
    except MilError:
        raise
    except Exception as error:  # whatever torch raises on shapes that do not fit together
        shapes = ", ".join(
            by(tensor.shape) for each in ready.values() for tensor in _flat(each) if isinstance(tensor, torch.Tensor) and tensor.dim()
        )
        raise MilError(f"'{kind}' does not take {shapes or 'this'} ({' '.join(str(error).split())[:160]})") from error
    return result if isinstance(result, tuple) else (result,)
