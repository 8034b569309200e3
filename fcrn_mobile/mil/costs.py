"""What operators cost, from what is declared of them: the size of what they yield, and their multiplications. Nothing is run."""

from typing import TYPE_CHECKING

from fcrn_mobile.mil.declared import Declarations, Declared, Shape, declared_operations
from fcrn_mobile.mil.ops import OPERATORS

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function, Operation

__all__ = ["count_macs", "largest_shape", "macs", "uncounted"]


def largest_shape(operation: "Operation", declarations: Declarations) -> Shape | None:
    """The shape that an operator yields or pads its input to, unknown lengths as 1; None if it cannot grow or is not known."""
    operator = OPERATORS.get(operation.type)
    return operator.grows(Declared(operation, declarations, least=1)) if operator and operator.grows else None


def macs(operation: "Operation", declarations: Declarations) -> int:
    """Multiply-accumulates of one operator; 0 where a shape is unknown."""
    operator = OPERATORS.get(operation.type)
    declared = Declared(operation, declarations)
    return operator.macs(declared) if operator and operator.macs and declared.is_fixed else 0


def uncounted(function: "Function", block: "Block") -> set[str]:
    """Kinds of operators that cost multiplications, but how many nobody knows: a package for several sizes leaves their shapes open."""
    return {
        operation.type
        for operation, declarations in declared_operations(function, block)
        if (operator := OPERATORS.get(operation.type)) and operator.macs and not Declared(operation, declarations).is_fixed
    }


def count_macs(function: "Function", block: "Block") -> int:
    """Multiply-accumulates for one run: convolutions, transposed ones, linear layers, matrix products and attention of known shapes.

    Every operator counts once: a loop as if it went round once, since the program does not say how often it does, and all branches.
    """
    return sum(macs(operation, declarations) for operation, declarations in declared_operations(function, block))
