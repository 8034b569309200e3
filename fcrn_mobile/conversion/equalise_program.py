"""Equalisation of a program: maps are found by following channels from the convolution that gives them to all that read them.

As ``equalise.py`` does with a network, for a program of any maker. Factors are powers of two, so that the program stays the same function
to the last digit of a float32. What no factor can pass, an operator that is not known here or an output, keeps its map as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fcrn_mobile.conversion.balance import Link, Side, balance
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import plain, read_weights
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.package.pymil import changed, operations
from fcrn_mobile.quantize.scheme import Scheme

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["equalise_program", "program_links"]


@dataclass(eq=False)
class _Map:
    """Channels that have one vector of factors.

    Attributes:
        channels: how many.
        givers, readers: convolutions, readers with the first of their input channels that they read of it.
        clips: operators ReLU6 that it passes.
        fixed: whether something does not let factors pass.
        joined: the map that it has become part of; None while it stands for itself.
    """

    channels: int
    givers: list[Any] = field(default_factory=list)
    readers: list[tuple[Any, int]] = field(default_factory=list)
    clips: list[Any] = field(default_factory=list)
    fixed: bool = False
    joined: "_Map | None" = None

    @property
    def root(self) -> "_Map":
        """The map that it is part of."""
        return self if self.joined is None else self.joined.root

    def join(self, other: "_Map") -> None:
        """Share factors with another map."""
        into, part = self.root, other.root
        if into is not part:
            part.joined = into
            into.givers += part.givers
            into.readers += part.readers
            into.clips += part.clips
            into.fixed |= part.fixed


def equalise_program(model: "ct.models.MLModel", recipe: Recipe) -> "ct.models.MLModel":
    """Balance the ranges of channels that share a scale or a table under a recipe's schemes.

    Args:
        model: float.
        recipe: tells which weights are compressed, and how.

    Returns:
        The same function with other weights and, in front of a ReLU6 between channels of unequal factors, a minimum.
    """
    names = {weight.name: weight.names for weight in read_weights(model)[0]}

    def scheme_of(name: str, size: int) -> Scheme:
        scheme = recipe.scheme_for(names[name])
        return scheme if size > scheme.min_elements else Scheme("fp16")

    links, constants = program_links(model)
    bounds: dict[str, Tensor] = {}
    for link, factor in balance(links, scheme_of, exact=True):
        if bool((factor != 1).any()):
            bounds |= dict.fromkeys(link.clip or (), 6 / factor)

    def change(program: Any) -> None:
        (function,) = program.functions.values()
        for op in list(function.operations):
            name = op.outputs[0].name if op.outputs else ""
            for argument, value in constants.get(name, {}).items():
                _replace(function, op, argument, value)
            if name in bounds:
                _bound(function, op, bounds[name])

    return changed(model, change)


def program_links(model: "ct.models.MLModel") -> tuple[list[Link], dict[str, dict[str, Tensor]]]:
    """The maps whose channels may have factors, and the weights that they are views of.

    Returns:
        Links, whose ``clip`` names the results of the ReLU6 that a map passes; result of a convolution → its weights and biases, float32.
    """
    ops = operations(model)
    maps = _found(ops)
    constants: dict[str, dict[str, Tensor]] = {}

    def values(op: Any) -> dict[str, Tensor]:
        name = op.outputs[0].name
        if name not in constants:
            own = {key: op.inputs.get(key) for key in ("weight", "bias")}
            constants[name] = {key: torch.from_numpy(var.val.astype(np.float32)) for key, var in own.items() if var is not None}
        return constants[name]

    links = []
    for each in dict.fromkeys(item.root for item in maps):
        if not each.fixed and each.givers and each.readers:
            givers = tuple(_side(op, values(op)["weight"], values(op).get("bias")) for op in each.givers)
            readers = tuple(_reader(op, values(op)["weight"], first, each.channels) for op, first in each.readers)
            links.append(Link(givers, readers, tuple(op.outputs[0].name for op in each.clips) or None))
    return links, constants


def _found(ops: Sequence[Any]) -> list[_Map]:
    """All maps of a program."""
    maps: list[_Map] = []
    parts: dict[Any, list[_Map]] = {}  # of a variable, the maps that its channels belong to, in order
    for op in ops:
        sources = [var for value in op.inputs.values() for var in (value if isinstance(value, list | tuple) else (value,)) if var in parts]
        if op.op_type == "conv" and _is_plain(op):
            _read(op, parts.get(op.x, []))
            result = _Map(int(op.weight.shape[0]), givers=[op])
            maps.append(result)
            parts[op.outputs[0]] = [result]
        elif passed := _passed(op, parts):
            parts[op.outputs[0]] = passed
        else:
            for var in sources:
                for each in parts[var]:
                    each.root.fixed = True
    own = set(ops)
    for var, channels in parts.items():
        # A program's results, whoever else reads them, and what blocks inside of operators read.
        if var.consuming_blocks or not own.issuperset(var.child_ops):
            for each in channels:
                each.root.fixed = True
    return maps


def _passed(op: Any, parts: dict[Any, list[_Map]]) -> list[_Map]:
    """The maps of an operator's result where factors pass it; none where they do not."""
    if op.op_type == "concat":
        whole = op.axis.val in (1, 1 - op.outputs[0].rank) and all(var in parts for var in op.values) and not _interleaves(op)
        return [each for var in op.values for each in parts[var]] if whole else []
    source = parts.get(op.inputs.get("x"), [])
    if op.op_type == "add":
        other = parts.get(op.y, [])
        alike = op.x.shape == op.y.shape and [each.root.channels for each in source] == [each.root.channels for each in other]
        if not alike:
            return []
        for one, two in zip(source, other, strict=True):
            one.join(two)
        return source
    if op.op_type == "relu6" and len(source) == 1:
        source[0].root.clips.append(op)
        return source
    return source if _keeps_factors(op) else []


def _keeps_factors(op: Any) -> bool:
    if op.op_type == "cast":
        return str(op.dtype.val).startswith("fp")
    if op.op_type == "pad":
        return _pads_sides(op)
    return op.op_type in OPERATORS and OPERATORS[op.op_type].channelwise


def _interleaves(op: Any) -> bool:
    interleave = op.inputs.get("interleave")
    return interleave is not None and bool(interleave.val)


def _pads_sides(op: Any) -> bool:
    """Whether it pads height and width alone, with zeros or with what is there."""
    amounts = np.asarray(op.pad.val).reshape(-1, 2)
    axes = range(op.x.rank - len(amounts), op.x.rank)
    value = op.inputs.get("constant_val")
    constant = op.mode.val == "constant" and value is not None and float(value.val) != 0
    return not constant and all(axis > 1 or not pair.any() for axis, pair in zip(axes, amounts, strict=True))


def _is_plain(op: Any) -> bool:
    """Whether weights and biases are its own constants, and each output channel reads all input channels or the one of its number."""
    weight, bias = op.weight, op.inputs.get("bias")
    own = weight.op is not None and weight.op.op_type == "const" and len(set(weight.child_ops)) == 1
    depthwise = int(op.groups.val) == weight.shape[0] == op.x.shape[1]
    return own and (bias is None or (bias.op is not None and bias.op.op_type == "const")) and (int(op.groups.val) == 1 or depthwise)


def _read(op: Any, sources: Sequence[_Map]) -> None:
    first = 0
    for each in sources:
        each.root.readers.append((op, first))
        first += each.root.channels


def _side(op: Any, weight: Tensor, bias: Tensor | None) -> Side:
    return Side(plain(op.weight.name), weight, bias, weight.shape[1] == 1, weight.numel())


def _reader(op: Any, weight: Tensor, first: int, channels: int) -> Side:
    rows = weight if int(op.groups.val) > 1 else weight.transpose(0, 1)
    return Side(plain(op.weight.name), rows[first : first + channels], None, weight.shape[1] == 1, weight.numel())


def _replace(function: Any, op: Any, argument: str, value: Tensor) -> None:
    """Another constant under the same name, which a recipe may match."""
    from coremltools.converters.mil.mil import Builder

    before = op.inputs[argument]
    with function:
        const = Builder.const(val=value.numpy().astype(before.val.dtype), name=f"{before.name}_equalised", before_op=op)
    op.set_inputs(no_check_var_types=True, **{argument: const})
    if not before.child_ops:
        name, place = before.name, before.op.enclosing_block
        place.remove_ops([before.op])
        const.name = const.op.name = name


def _bound(function: Any, op: Any, bound: Tensor) -> None:
    """A minimum in front of a ReLU6."""
    from coremltools.converters.mil.mil import Builder, types

    shape = (1, -1, *[1] * (op.x.rank - 2))
    value = bound.numpy().astype(types.nptype_from_builtin(op.x.dtype)).reshape(shape)
    with function:
        low = Builder.minimum(x=op.x, y=value, name=f"{op.name}_bound", before_op=op)
    op.set_inputs(no_check_var_types=True, x=low)
