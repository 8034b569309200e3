"""Operators of ML programs: one table from type to function, grouped in files by family.

Each function takes its MIL inputs by their MIL names (coremltools, mil/ops/defs) and returns one tensor or a tuple of them.
"""

from fcrn_mobile.mil.ops import activation, constexpr, convolution, elementwise, pool, shape
from fcrn_mobile.mil.ops.arguments import Operator

OPERATORS: dict[str, Operator] = {
    **activation.OPERATORS,
    **constexpr.OPERATORS,
    **convolution.OPERATORS,
    **elementwise.OPERATORS,
    **pool.OPERATORS,
    **shape.OPERATORS,
}
