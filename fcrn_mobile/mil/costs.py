"""What operators cost, from what is declared of them: the size of what they yield, and their multiplications. Nothing is run."""

from typing import TYPE_CHECKING

from fcrn_mobile.mil.declared import Declarations, Declared, Shape, declared_operations
from fcrn_mobile.mil.ops import OPERATORS

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Function, Operation

__all__ = ["count_macs", "largest_shape", "macs"]


def largest_shape(operation: "Operation", declarations: Declarations) -> Shape | None:
    """The shape that an operator yields or pads its input to, unknown lengths as 1; None if it cannot grow or is not known."""
    operator = OPERATORS.get(operation.type)
    return operator.grows(Declared(operation, declarations, least=1)) if operator and operator.grows else None


def macs(operation: "Operation", declarations: Declarations) -> int:
    """Multiply-accumulates of one operator; 0 where a shape is unknown."""
    operator = OPERATORS.get(operation.type)
    declared = Declared(operation, declarations)
    return operator.macs(declared) if operator and operator.macs and declared.is_fixed else 0


def count_macs(function: "Function", block: "Block") -> int:
    """Multiply-accumulates for one run: convolutions, transposed ones, linear layers, matrix products and attention of known shapes.

    Every operator counts once: a loop as if it went round once, since the program does not say how often it does, and all branches.
    """
    return sum(macs(operation, declarations) for operation, declarations in declared_operations(function, block))
