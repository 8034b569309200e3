"""Operators of ML programs: one table from type to function, grouped in files by family.

Each function takes its MIL inputs by their MIL names (coremltools, mil/ops/defs) and returns one tensor or a tuple of them.
"""

from fcrn_mobile.mil.ops import (
    activation,
    classifier,
    constexpr,
    convolution,
    creation,
    elementwise,
    indexing,
    linear,
    normalization,
    pool,
    quantization,
    reduction,
    resize,
    sampling,
    shape,
    slicing,
    sorting,
    space,
    unary,
)
from fcrn_mobile.mil.ops.arguments import Operator

#: One module per family, each with a table from operator to function.
FAMILIES = (
    *(activation, classifier, constexpr, convolution, creation, elementwise, indexing, linear, normalization),
    *(pool, quantization, reduction, resize, sampling, shape, slicing, sorting, space, unary),
)

OPERATORS: dict[str, Operator] = {kind: operator for family in FAMILIES for kind, operator in family.OPERATORS.items()}
