"""Two kinds of mutation that cosmic-ray lacks: a function exchanged for its opposite, and a statement left out."""

from collections.abc import Iterator
from typing import Any

import parso
from cosmic_ray.operators.operator import Example, Operator

#: Function → what stands in for it.
OPPOSITES = {
    "min": "max",
    "max": "min",
    "all": "any",
    "any": "all",
    "minimum": "maximum",
    "maximum": "minimum",
    "amin": "amax",
    "amax": "amin",
    "floor": "ceil",
    "ceil": "floor",
    "rint": "floor",
    "round": "floor",
    "mean": "sum",
    "median": "mean",
    "isnan": "isinf",
    "argmin": "argmax",
    "argmax": "argmin",
}


class OppositeFunction(Operator):
    """``min(…)`` becomes ``max(…)``, ``np.floor`` becomes ``np.ceil`` and so on; a bare ``round`` stays, which has no bare opposite."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Names that are called."""
        if node.type != "name" or node.value not in OPPOSITES or (node.value == "round" and node.parent.type != "trailer"):
            return
        after = node.parent.get_next_sibling() if node.parent.type == "trailer" else node.get_next_sibling()
        if after is not None and after.type == "trailer" and after.children[0].value == "(":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The name of the opposite."""
        node.value = OPPOSITES[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """As cosmic-ray wants them."""
        return (Example("min(x, y)", "max(x, y)"), Example("np.floor(x)", "np.ceil(x)"))


class DroppedStatement(Operator):
    """A call whose result nobody takes, or an augmented assignment, becomes ``pass``."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        """Statements of their own."""
        if node.parent is None or node.parent.type != "simple_stmt" or node is not node.parent.children[0]:
            return
        last = node.children[-1] if node.type in ("atom_expr", "power", "expr_stmt") else None
        call = node.type != "expr_stmt" and last is not None and last.type == "trailer" and last.children[0].value == "("
        augmented = node.type == "expr_stmt" and node.children[1].type != "annassign" and node.children[1].get_code().strip() != "="
        if call or augmented:
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """``pass`` with the indentation that stood there."""
        return parso.parse(node.get_first_leaf().prefix + "pass")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """As cosmic-ray wants them."""
        return (Example("f(x)\n", "pass\n"), Example("x += 1\n", "pass\n"))
