"""The mutants of a module: cosmic-ray's operators, a selection of them, and where they apply."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators import (
    binary_operator_replacement,
    boolean_replacer,
    break_continue,
    comparison_operator_replacement,
    exception_replacer,
    number_replacer,
    remove_decorator,
    unary_operator_replacement,
    zero_iteration_for_loop,
)
from extra_operators import DroppedStatement, OppositeFunction
from noise import is_noise

#: One or two replacements each instead of all: most of the others die of the first test, whatever it asserts.
_COMPARISONS = (
    *("Lt_LtE", "Lt_Gt", "LtE_Lt", "LtE_GtE", "Gt_GtE", "Gt_Lt", "GtE_Gt", "GtE_LtE"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
)
_BINARIES = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul"),
    *("LShift_RShift", "RShift_LShift", "BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitOr"),
)
_UNARIES = ("Delete_Not", "Delete_USub", "Delete_Invert")


@dataclass(frozen=True)
class Mutation:
    """One change to one module.

    Attributes:
        module: path below the repository's root.
        function: dotted name of the innermost function or class around it, or "" at the top of the module.
        line: number of the line, from 1.
        operator: name of the operator.
        occurrence: which of the operator's places in the module, from 0.
    """

    module: str
    function: str
    line: int
    operator: str
    occurrence: int


@cache
def operators() -> dict[str, Any]:
    """The operators in use, by name."""
    chosen = [
        *(getattr(comparison_operator_replacement, f"ReplaceComparisonOperator_{pair}") for pair in _COMPARISONS),
        *(getattr(binary_operator_replacement, f"ReplaceBinaryOperator_{pair}") for pair in _BINARIES),
        *(getattr(unary_operator_replacement, f"ReplaceUnaryOperator_{pair}") for pair in _UNARIES),
        boolean_replacer.ReplaceTrueWithFalse,
        boolean_replacer.ReplaceFalseWithTrue,
        boolean_replacer.ReplaceAndWithOr,
        boolean_replacer.ReplaceOrWithAnd,
        boolean_replacer.AddNot,
        break_continue.ReplaceBreakWithContinue,
        break_continue.ReplaceContinueWithBreak,
        exception_replacer.ExceptionReplacer,
        number_replacer.NumberReplacer,
        remove_decorator.RemoveDecorator,
        zero_iteration_for_loop.ZeroIterationForLoop,
        OppositeFunction,
        DroppedStatement,
    ]
    return {operator.__name__: operator() for operator in chosen}


def mutations(root: Path, module: str) -> list[Mutation]:
    """All mutations of a module but noise, in the order of the operators."""
    tree = parso.parse((root / module).read_text(encoding="utf-8"))
    nodes = list(ast_nodes(tree))
    return [
        Mutation(module, _function(node), start[0], name, occurrence)
        for name, operator in operators().items()
        for occurrence, (node, start) in enumerate(_positions(nodes, operator))
        if not is_noise(node, name)
    ]


def _positions(nodes: Sequence[Any], operator: Any) -> Iterator[tuple[Any, tuple[int, int]]]:
    for node in nodes:
        for start, _ in operator.mutation_positions(node):
            yield node, start


def _function(node: Any) -> str:
    names, inner = [], ""
    while node is not None:
        # Defaults of parameters are worked out where the function is defined, not where it runs.
        if node.type == "classdef" or (node.type == "funcdef" and inner != "parameters"):
            names.append(node.name.value)
        inner, node = node.type, node.parent
    return ".".join(reversed(names))


@dataclass(frozen=True)
class Mutant:
    """A mutation carried out.

    Attributes:
        mutation: which one.
        before, after: the lines that differ, stripped.
        text: the whole module, changed.
    """

    mutation: Mutation
    before: str
    after: str
    text: str

    @property
    def key(self) -> str:
        """Equal for equal changes of equal modules."""
        return hashlib.sha1(f"{self.mutation.module}\n{self.text}".encode()).hexdigest()


def mutate(root: Path, mutation: Mutation) -> Mutant | None:
    """Carry out a mutation; None if what results is no Python or nothing changes."""
    source = (root / mutation.module).read_text(encoding="utf-8")
    text = MutationVisitor.mutate_code(source, operators()[mutation.operator], mutation.occurrence)
    if text is None:
        return None
    try:
        changed = compile(text, mutation.module, "exec")
    except (SyntaxError, ValueError):
        return None
    if changed == compile(source, mutation.module, "exec"):
        return None
    before, after = _difference(source.splitlines(), text.splitlines())
    return Mutant(mutation, before, after, text)


def _difference(before: list[str], after: list[str]) -> tuple[str, str]:
    start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    cut = [" ".join(line.strip() for line in lines[start : len(lines) - end]) for lines in (before, after)]
    return cut[0], cut[1]
