"""What the specification declares of operators, without running them or reading a weights file: shapes, and small constants."""

import math
from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fcrn_mobile.mil.values import BITS, shape_of, type_name

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Argument, Block, Function, NamedValueType, Operation, Value, ValueType

__all__ = ["MOST_NUMBERS", "Declarations", "Declared", "Numbers", "Shape", "Tensor", "broadcast", "declared_operations", "padded"]

Shape = tuple[int, ...]
Numbers = tuple[float, ...]

#: A constant with more numbers than this is data, no shape.
MOST_NUMBERS = 32


@dataclass(frozen=True)
class Tensor:
    """A value of the program: data type as declared (``FLOAT16`` …), shape with -1 where unknown."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, name: str, declared: "ValueType", least: int = -1) -> "Tensor":
        """A value of a type; its lengths count as ``least`` at least."""
        return cls(name, type_name(declared), tuple(max(length, least) for length in shape_of(declared)))

    @property
    def elements(self) -> int:
        """How many; an unknown axis counts as one."""
        return math.prod(max(length, 1) for length in self.shape)

    @property
    def bits(self) -> int:
        """Of one element; 16 if its type is not known."""
        return BITS.get(self.dtype, 16)

    @property
    def bytes(self) -> float:
        """Of the whole tensor, unpadded."""
        return self.elements * self.bits / 8


class Declarations:
    """Shapes and small constants of a function, as far as it has been read.

    Attributes:
        types: what every name so far is declared to be.
        numbers: the values of small constants that stand in the specification.
        texts: those that are text.
    """

    def __init__(self, types: "MutableMapping[str, ValueType]") -> None:
        self.types = ChainMap(types)
        self.numbers: ChainMap[str, Numbers] = ChainMap()
        self.texts: ChainMap[str, str] = ChainMap()

    def inside(self) -> "Declarations":
        """For a block in the function: what it declares is known to it alone."""
        inside = Declarations({})
        inside.types, inside.numbers, inside.texts = self.types.new_child(), self.numbers.new_child(), self.texts.new_child()
        return inside

    def define(self, values: "Iterable[NamedValueType]") -> None:
        """Remember what values are declared to be."""
        self.types.update((value.name, value.type) for value in values)

    def learn(self, operation: "Operation") -> None:
        """Remember a constant if it is small."""
        if operation.type == "const" and "val" in operation.attributes and operation.outputs:
            name, value = operation.outputs[0].name, operation.attributes["val"]
            numbers = _numbers(value)
            if numbers is not None:
                self.numbers[name] = numbers
            elif texts := value.immediateValue.tensor.strings.values:
                self.texts[name] = "".join(texts)


def declared_operations(function: "Function", block: "Block") -> "Iterator[tuple[Operation, Declarations]]":
    """All operators of a function, those of nested blocks behind the operator that they are in, and what is declared where each stands."""
    declarations = Declarations({})
    declarations.define(function.inputs)
    return _inside(block, declarations)


def _inside(block: "Block", declarations: Declarations) -> "Iterator[tuple[Operation, Declarations]]":
    for operation in block.operations:
        declarations.define(operation.outputs)
        declarations.learn(operation)
        yield operation, declarations
        for nested in operation.blocks:
            inside = declarations.inside()
            inside.define(nested.inputs)
            yield from _inside(nested, inside)


class Declared:
    """One operator as it is declared.

    Args:
        operation: as it stands in the specification.
        declarations: of what it reads.
        least: what a length counts as at least; -1 leaves unknown ones as they are.

    Attributes:
        kind: MIL's name of it.
    """

    def __init__(self, operation: "Operation", declarations: Declarations, least: int = -1) -> None:
        self.kind = operation.type
        self._operation, self._declarations, self._least = operation, declarations, least

    @property
    def name(self) -> str:
        """Of its first result, or its type where it has none."""
        return self._operation.outputs[0].name if self._operation.outputs else self.kind

    @cached_property
    def outputs(self) -> tuple[Tensor, ...]:
        """Its results."""
        return tuple(Tensor.of(output.name, output.type, self._least) for output in self._operation.outputs)

    @cached_property
    def inputs(self) -> dict[str, tuple[Tensor, ...]]:
        """Every tensor that it reads, constants included, by argument; what has no name stands in the argument itself."""
        return {key: tuple(self._read(key)) for key in self._operation.inputs}

    @property
    def result(self) -> Shape:
        """Shape of the first result; () if there is none."""
        return next((output.shape for output in self.outputs), ())

    def tensor(self, key: str) -> Tensor | None:
        """The first tensor of an argument."""
        return next(iter(self.inputs.get(key, ())), None)

    def shapes(self, key: str) -> list[Shape]:
        """Declared shapes of a list of tensors."""
        return [tensor.shape for tensor in self.inputs.get(key, ())]

    def shape(self, key: str) -> Shape:
        """Declared shape; () if there is none."""
        return next(iter(self.shapes(key)), ())

    def numbers(self, key: str) -> Numbers:
        """Values of a small constant; () if it is anything else."""
        for binding in self._bindings(key):
            return (self._declarations.numbers.get(binding.name) if binding.name else _numbers(binding.value)) or ()
        return ()

    def number(self, key: str, default: float) -> float:
        """The single value of a constant."""
        return next(iter(self.numbers(key)), default)

    def text(self, key: str) -> str:
        """The value of a constant text; empty if it is anything else."""
        return next((self._declarations.texts.get(binding.name, "") for binding in self._bindings(key)), "")

    def lengths(self, key: str) -> Shape:
        """A constant shape; ones if it has too many numbers to be one, or is not known, so that at least its rank is."""
        count = next(iter(self.shape(key)), 0)
        return tuple(int(length) for length in self.numbers(key)) or (1,) * min(count, MOST_NUMBERS)

    @property
    def is_fixed(self) -> bool:
        """Whether every length of its inputs and its result is known."""
        return -1 not in (*self.result, *(length for key in self.inputs for shape in self.shapes(key) for length in shape))

    def _read(self, key: str) -> Iterator[Tensor]:
        types = self._declarations.types
        for binding in self._bindings(key):
            declared = types.get(binding.name) if binding.name else binding.value.type
            if declared is not None:
                yield Tensor.of(binding.name, declared, self._least)

    def _bindings(self, key: str) -> "Iterable[Argument.Binding]":
        return self._operation.inputs[key].arguments if key in self._operation.inputs else ()


def broadcast(*shapes: Shape) -> Shape:
    """The shape of what several tensors of these shapes are combined to element by element; lengths that disagree count as the larger."""
    rank = max(map(len, shapes))
    return tuple(map(max, zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)))


def padded(declared: Declared, key: str = "pad") -> Shape:
    """The last axes of ``x`` with what is put before and behind them."""
    shape, pads = list(declared.shape("x")), declared.numbers(key)
    for axis in range(1, min(len(pads) // 2, len(shape)) + 1):
        shape[-axis] += int(max(pads[-2 * axis], 0) + max(pads[-2 * axis + 1], 0))
    return tuple(shape)


def _numbers(value: "Value") -> Numbers | None:
    tensor = value.immediateValue.tensor
    field = tensor.WhichOneof("value")
    if field not in ("ints", "floats", "longInts", "bools"):
        return None
    values: Any = getattr(tensor, field).values
    return tuple(item if math.isfinite(item) else 0 for item in values) if len(values) <= MOST_NUMBERS else None
