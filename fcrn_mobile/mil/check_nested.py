"""Whether blocks inside an operator fit it: as many as it runs, which take what it hands in and give what it declares."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.mil.values import shape_of, type_name
from fcrn_mobile.package.errors import DAMAGED, MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Operation, ValueType

__all__ = ["check_blocks", "check_nested"]


def check_blocks(operation: "Operation", what: str) -> None:
    """Refuse an operator that has other blocks than it runs; unknown operators get their own message elsewhere.

    Raises:
        MilError: naming the operator.
    """
    operator = OPERATORS.get(operation.type)
    blocks = operator.blocks if operator else ()
    if (operator or operation.type == "const") and len(operation.blocks) != len(blocks):
        needs = f"{len(blocks)} ({', '.join(block.name for block in blocks)})" if blocks else "none"
        raise MilError(f"{what} has {len(operation.blocks)} blocks of operators inside, it runs {needs}: {DAMAGED}")


def check_nested(operation: "Operation", number: int, types: "Mapping[str, ValueType]", what: str) -> None:
    """Refuse a block that does not fit its operator.

    Args:
        operation: has as many blocks as it runs.
        number: of the block, from 0.
        types: what is declared where the block ends.
        what: names the block in messages.

    Raises:
        MilError: it takes or gives another number or type of values.
    """
    if operation.type not in OPERATORS:
        return
    block, nested = operation.blocks[number], OPERATORS[operation.type].blocks[number]
    bindings = operation.inputs[nested.takes].arguments if nested.takes in operation.inputs else ()
    arguments = [types.get(binding.name) if binding.name else binding.value.type for binding in bindings]
    _check_types([value.type for value in block.inputs], [declared for declared in arguments if declared], f"{what} takes")
    results = [types[name] for name in block.outputs]
    if nested.gives_results:
        _check_types(results, [value.type for value in operation.outputs], f"{what} gives")
    elif [type_name(result) for result in results] != ["BOOL"]:
        raise MilError(f"{what} gives {_listed(results)}, not one BOOL: {DAMAGED}")


def _check_types(actual: "Sequence[ValueType]", expected: "Sequence[ValueType]", what: str) -> None:
    """Number, data types and ranks have to agree; lengths may be known here and unknown there, the run looks at them."""
    kinds = [[(type_name(each), len(shape_of(each))) for each in types] for types in (actual, expected)]
    if kinds[0] != kinds[1]:
        raise MilError(f"{what} {_listed(actual)}, its operator has {_listed(expected)}: {DAMAGED}")


def _listed(types: "Sequence[ValueType]") -> str:
    shown = [f"{type_name(each)} of {len(shape_of(each))} axes" for each in types]
    return f"{len(shown)} values" + (f" ({', '.join(shown)})" if 0 < len(shown) <= 8 else "")
