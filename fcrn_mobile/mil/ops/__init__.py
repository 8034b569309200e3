"""Operators of ML programs: one table from MIL's name to the operator's record (``operator.py``), grouped in files by family.

The function of each takes its MIL inputs by their MIL names (coremltools, mil/ops/defs) and returns one tensor or a tuple of them.
"""

from collections.abc import Callable

from fcrn_mobile.mil.ops import (
    activation,
    classifier,
    constexpr,
    control,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    lists,
    model,
    normalization,
    pool,
    quantization,
    random,
    recurrent,
    reduction,
    resize,
    sampling,
    shape,
    slicing,
    sorting,
    space,
    states,
    unary,
)
from fcrn_mobile.mil.ops.operator import Operator

#: One module per family, each with a table from name to operator.
FAMILIES = (
    *(activation, classifier, constexpr, control, convolution, creation, elementwise, indexing, linear, lists, normalization),
    *(pool, quantization, random, recurrent, reduction, resize, sampling, shape, slicing, sorting, space, states, unary),
)

#: Those of MIL, and those of models of other kinds (``foreign``).
OPERATORS: dict[str, Operator] = {kind: operator for family in (*FAMILIES, model) for kind, operator in family.OPERATORS.items()}


def kinds(has: Callable[[Operator], bool]) -> frozenset[str]:
    """Names of the operators for which something holds."""
    return frozenset(kind for kind, operator in OPERATORS.items() if has(operator))


#: Names of MIL's.
MIL = kinds(lambda operator: not operator.foreign)
