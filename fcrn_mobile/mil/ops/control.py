"""Control flow: operators that run blocks of others.

Each is a generator: it yields the number of a block and what goes into it, and gets back what comes out, a tuple; what it returns are
its results. The interpreter runs the blocks.
"""

from collections.abc import Generator
from typing import Any

from torch import Tensor

from fcrn_mobile.mil.ops.operator import Nested, Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "Flow", "cond", "while_loop"]

#: A run of such an operator.
Flow = Generator[tuple[int, tuple[Any, ...]], tuple[Any, ...], tuple[Any, ...]]


def while_loop(loop_vars: tuple[Any, ...]) -> Flow:
    """The variables after the body has run on them for as long as the condition held; without end if it never fails."""
    while _holds(*(yield 0, loop_vars)):
        loop_vars = yield 1, loop_vars
    return loop_vars


def cond(pred: Tensor | bool) -> Flow:
    """The results of the first block if ``pred`` holds, else of the second."""
    return (yield (0 if _holds(pred) else 1), ())


def _holds(value: Tensor | bool) -> bool:
    """A condition, a scalar or any tensor of one element.

    Raises:
        MilError: another number of elements.
    """
    if isinstance(value, Tensor) and value.numel() != 1:
        raise MilError(f"its condition has {value.numel()} elements, not one")
    return bool(value)


OPERATORS = {
    "cond": Operator(cond, "exact", blocks=(Nested("true branch", gives_results=True), Nested("false branch", gives_results=True))),
    "while_loop": Operator(
        while_loop,
        "exact",
        lists=("loop_vars",),
        blocks=(Nested("condition", takes="loop_vars"), Nested("body", takes="loop_vars", gives_results=True)),
    ),
}
