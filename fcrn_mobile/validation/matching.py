"""Which operator of a package is which in another export of the same network: by the name of its result, else by what it reads.

Converters name a result after the traced network, so that exports of one network agree but for what half precision appends.
"""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.operation import Operation, Reference, every
from fcrn_mobile.mil.ops import OPERATORS

__all__ = ["match", "plain_name", "weight_name"]

#: What coremltools' passes append to names when they turn a program into half precision.
_APPENDED = re.compile(r"_cast_fp(16|32)|_to_fp(16|32)")
#: What compression appends to the name of weights.
_COMPRESSED = re.compile(r"(_quantized|_palettized|_pcs|_sparsified)+$")
#: Least share of the smaller program's operators that two exports of one network have in common.
_LEAST_MATCHED = 0.25


def plain_name(name: str) -> str:
    """A result's name without what half precision appends."""
    return _APPENDED.sub("", name)


def weight_name(operation: Operation) -> str:
    """What the network calls an operator's weights, and a recipe may call the operator; empty if it has none."""
    return plain_name(_COMPRESSED.sub("", operation.names.get("weight", "")))


def match(reference: Program, candidate: Program) -> dict[int, int]:
    """Operators of the same kind with results of the same name and shape; then those that read the same from matched ones.

    Args:
        reference, candidate: exports of one network.

    Returns:
        Index of an operator of the candidate → index of its counterpart in the reference; each stands in one pair at most.

    Raises:
        InputError: the programs have almost nothing in common.
    """
    named: dict[object, int] = {}
    for position, operation in enumerate(reference.operations):
        named.setdefault(_by_name(operation), position)
    pairs: dict[int, int] = {}
    for index, operation in enumerate(candidate.operations):
        if (counterpart := named.pop(_by_name(operation), None)) is not None:
            pairs[index] = counterpart
    smaller = min(len(reference.operations), len(candidate.operations))
    if len(pairs) < _LEAST_MATCHED * smaller:
        shared = f"{len(pairs)} of the candidate's {len(candidate.operations)} operators are in the reference"
        raise InputError(f"{shared}: give two exports of the same network")
    return dict(sorted((pairs | _left_over(reference, candidate, pairs)).items()))


def _left_over(reference: Program, candidate: Program, pairs: Mapping[int, int]) -> dict[int, int]:
    """Pairs among the operators that names left over: numbers in names are counted anew by each version of a converter."""
    taken = set(pairs.values())
    free: dict[object, int] = {}
    for position, operation in enumerate(reference.operations):
        if position not in taken:
            free.setdefault(_by_inputs(operation, {}), position)
    counterparts: dict[str, str] = {}
    added: dict[int, int] = {}
    for index, operation in enumerate(candidate.operations):
        counterpart = pairs.get(index)
        if counterpart is None and (counterpart := free.pop(_by_inputs(operation, counterparts), None)) is not None:
            added[index] = counterpart
        if counterpart is not None:
            names = zip(operation.outputs, reference.operations[counterpart].outputs, strict=True)
            counterparts |= {ours.name: theirs.name for ours, theirs in names}
        elif OPERATORS[operation.kind].inserted and operation.references:
            source = min(operation.references)
            counterparts[operation.name] = counterparts.get(source, source)
    return added


def _by_name(operation: Operation) -> object:
    """What an operator is, and the name of its result: kind, constants' shapes, name and shape of the result."""
    names = tuple(plain_name(info.name) for info in operation.outputs)
    return names, _likeness(operation, lambda _: "")


def _by_inputs(operation: Operation, counterparts: Mapping[str, str]) -> object:
    """What an operator is, and the reference's names of what it reads."""
    return _likeness(operation, lambda name: counterparts.get(name, name))


def _likeness(operation: Operation, named: Callable[[str], str]) -> object:
    def of(argument: object) -> object:
        if isinstance(argument, tuple):
            return tuple(of(item) for item in argument)
        if isinstance(argument, Reference):
            return named(argument.name)
        if isinstance(argument, Tensor):
            # Weights may differ in their values; whole numbers are strides, pads, axes.
            return tuple(argument.shape) if argument.is_floating_point() else (tuple(argument.shape), tuple(argument.flatten().tolist()))
        return argument

    arguments = tuple((key, of(argument)) for key, argument in sorted(operation.arguments.items()))
    inside = tuple((each.kind, tuple(info.shape for info in each.outputs)) for each in every([operation]))
    return arguments, inside
