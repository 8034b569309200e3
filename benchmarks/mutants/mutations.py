"""The mutants of a module: cosmic-ray's operators, a selection of them, and where they apply."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
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
#: Of these a node is a part of its own: the condition, the iterable, the body.
_COMPOUND = ("file_input", "suite", "if_stmt", "while_stmt", "for_stmt", "with_stmt", "try_stmt", "funcdef", "classdef", "decorated")
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
        last: number of the last line of the statement or of its head, which may have begun above ``line``.
        first: number of its first line.
    """

    module: str
    function: str
    line: int
    operator: str
    occurrence: int
    first: int
    last: int


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
        Mutation(module, _function(node), start[0], name, occurrence, *_lines(node, start[0]))
        for name, operator in operators().items()
        for occurrence, (node, start) in enumerate(_positions(nodes, operator))
        if not is_noise(node, name)
    ]


def _positions(nodes: Sequence[Any], operator: Any) -> Iterator[tuple[Any, tuple[int, int]]]:
    for node in nodes:
        for start, _ in operator.mutation_positions(node):
            yield node, start


def _lines(node: Any, line: int) -> tuple[int, int]:
    """Of the statement around a node, of its head if others stand within it."""
    while node.parent is not None and node.parent.type not in _COMPOUND:
        node = node.parent
    return (line, line) if node.type in _COMPOUND else (node.start_pos[0], node.end_pos[0])


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
    parts, counts = _parts(source), _counts(source, mutation.operator)
    index, first = next((i, first) for i, (first, count) in enumerate(counts) if first <= mutation.occurrence < first + count)
    changed_part = MutationVisitor.mutate_code(parts[index], operators()[mutation.operator], mutation.occurrence - first)
    text = "".join([*parts[:index], changed_part, *parts[index + 1 :]])
    try:
        changed = compile(text, mutation.module, "exec")
    except (SyntaxError, ValueError):
        return None
    if changed == _compiled(source, mutation.module):
        return None
    before, after = _difference(source.splitlines(), text.splitlines())
    return Mutant(mutation, before, after, text)


_compiled = cache(partial(compile, mode="exec"))


@cache
def _parts(source: str) -> list[str]:
    """The statements at the top of a module: to parse one of them is quicker than all."""
    return [node.get_code() for node in parso.parse(source).children]


@cache
def _nodes(source: str) -> list[list[Any]]:
    return [list(ast_nodes(parso.parse(part))) for part in _parts(source)]


@cache
def _counts(source: str, operator: str) -> list[tuple[int, int]]:
    """Of each part the number of an operator's places before it and in it."""
    counts, total = [], 0
    for nodes in _nodes(source):
        count = sum(1 for _ in _positions(nodes, operators()[operator]))
        counts.append((total, count))
        total += count
    return counts


def _difference(before: list[str], after: list[str]) -> tuple[str, str]:
    start = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    cut = [" ".join(line.strip() for line in lines[start : len(lines) - end]) for lines in (before, after)]
    return cut[0], cut[1]
