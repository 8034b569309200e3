"""What is inside a model, of whatever operators; one with inputs of several sizes is run once, if it can be, to count what it costs."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcrn_mobile.mil.check import check_function
from fcrn_mobile.mil.costs import count_macs, uncounted
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.models import PROGRAMS, READERS, leaves, read_parts, refusal
from fcrn_mobile.mil.ops import MIL, kinds
from fcrn_mobile.mil.parts import Source, described
from fcrn_mobile.mil.refused import refusals
from fcrn_mobile.mil.sized import Sized, check_size, sized
from fcrn_mobile.mil.values import BITS, Constants, shape_of, type_name
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import default_function, every_operation, metadata, read_specification, state_descriptions

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Block, Operation, Value

__all__ = ["Summary", "summarise"]


@dataclass(frozen=True)
class Summary:
    """What is inside a model.

    Attributes:
        kind: of model, as the specification calls it: ``mlProgram``, ``pipeline`` …
        function: that is shown; ``functions`` are all there are.
        stages: of a pipeline, a line each.
        inputs, outputs: as text.
        operators: how many by type, nested blocks included; a stage that is no program counts as one, called as its kind.
        unsupported: types that this runtime lacks.
        refused: a line on each operator for whose sake Core ML does not load the package.
        damaged: a line on everything that is wrong with the weights file; without any, every constant is there as declared.
        weights: bytes by stored type.
        macs: multiply-accumulates, see ``count_macs``; of inputs of several sizes at one of them.
        counted_at: name and that size of those inputs, where the sizes matter.
        uncounted: operators that are not among them, since their shapes are open and no run here tells them.
        counted_once: operators whose blocks count there once, though they may run more often or never.
        states: what it keeps from one prediction to the next, as text.
        metadata: as the package has it.
    """

    kind: str
    function: str
    functions: list[str]
    stages: list[str]
    inputs: list[str]
    outputs: list[str]
    operators: dict[str, int]
    unsupported: list[str]
    refused: list[str]
    damaged: list[str]
    weights: dict[str, int]
    macs: int
    counted_at: list[str]
    uncounted: list[str]
    counted_once: list[str]
    states: list[str]
    metadata: dict[str, str]


def summarise(path: Path, function: str | None = None, size: tuple[int, int] | None = None) -> Summary:
    """Interface, operators, weights, cost and metadata of a model.

    Args:
        path: the .mlpackage folder or .mlmodel file.
        function: of a package with several; None takes its default.
        size: height and width at which multiply-accumulates are counted, of those that it takes; None: its default.

    Raises:
        MilError: it cannot be read, or does not hang together; it does not take ``size``, or does not run here at it.
    """
    model, folder = read_specification(path)
    whole = Source(model, folder, str(path), function=function)
    inputs, outputs = described(whole)
    check_size(whole.where, inputs, size)
    stages = [(name, _leaf(source, size)) for name, source in leaves(whole)]
    weights: Counter[str] = Counter()
    operators: Counter[str] = Counter()
    for _, stage in stages:
        weights.update(stage.weights)
        operators.update(stage.operators)
    return Summary(
        kind=whole.kind,
        function=function or default_function(model),
        functions=sorted(model.mlProgram.functions),
        stages=[_stage(name, stage) for name, stage in stages if name],
        inputs=list(map(_feature, inputs)),
        outputs=list(map(_feature, outputs)),
        operators=dict(operators.most_common()),
        unsupported=sorted({kind for _, stage in stages for kind in stage.unsupported}),
        refused=[line for _, stage in stages for line in stage.refused],
        damaged=list(dict.fromkeys(line for _, stage in stages for line in stage.damaged)),
        weights=dict(weights.most_common()),
        macs=sum(stage.macs for _, stage in stages),
        counted_at=list(dict.fromkeys(size for _, stage in stages for size in stage.counted_at)),
        uncounted=sorted({kind for _, stage in stages for kind in stage.uncounted}),
        counted_once=sorted(set(operators) & kinds(lambda operator: bool(operator.blocks))),
        states=[_feature(replace(Feature.from_description(f), default=None)) for f in state_descriptions(model, function)],
        metadata=metadata(model),
    )


@dataclass(frozen=True)
class _Leaf:
    """A model of operators, or one that is a single operation: see ``Summary``."""

    source: Source
    operators: Counter[str]
    unsupported: set[str] = field(default_factory=set)
    refused: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    weights: Counter[str] = field(default_factory=Counter)
    macs: int = 0
    counted_at: tuple[str, ...] = ()
    uncounted: set[str] = field(default_factory=set)


def _leaf(source: Source, size: tuple[int, int] | None) -> _Leaf:
    if source.kind not in PROGRAMS:
        if source.kind in READERS:
            read_parts(source)
        return _Leaf(source, Counter([source.kind]), set() if source.kind in READERS else {source.kind})
    checked = check_function(source.model, source.folder, source.where, source.function)
    operators = Counter(op.type for op in every_operation(checked.block) if op.type != "const")
    constants = checked.constants
    damaged = tuple(_damages(checked.block, constants))
    at_size = Sized(checked) if damaged else sized(source, checked, size)
    counted = at_size.checked
    return _Leaf(
        source,
        operators,
        unsupported=set(operators) - MIL,
        refused=() if damaged else tuple(refusals(checked.block, constants, inputs=checked.default_shapes)),
        damaged=damaged,
        weights=_weight_bytes(checked.block),
        macs=count_macs(counted.proto, counted.block),
        counted_at=at_size.sizes,
        uncounted=uncounted(counted.proto, counted.block),
    )


def _stage(name: str, leaf: _Leaf) -> str:
    """Name and kind of a stage, what it reads and gives, how large it is or why it does not run."""
    reads, results = (", ".join(feature.name for feature in features) for features in described(leaf.source))
    size = f", {leaf.operators.total()} operators, {sum(leaf.weights.values()) / 1e6:.1f} MB of weights" if leaf.weights else ""
    reason = f", which does not run here ({refusal(leaf.source.kind)})" if leaf.source.kind not in READERS else ""
    return f"{name}: {leaf.source.kind}, {reads} → {results}{size}{reason}"


def _damages(block: "Block", constants: Constants) -> Iterator[str]:
    """What is wrong with the constants in weights files."""
    for op in every_operation(block):
        for value in _values(op):
            try:
                constants.check(value, f"a constant of operator '{op.type}'")
            except MilError as error:
                yield str(error)


def _feature(feature: Feature) -> str:
    if feature.kind not in ("image", "array"):
        return f"{feature.name}: {feature.dtype} {feature.kind}. {feature.description}".rstrip(" .") + "."
    default = f", {feature.default:g} if left out" if feature.default is not None else ""
    return f"{feature.name}: {feature.dtype} {feature.kind} {feature.shapes}{default}. {feature.description}".rstrip(" .") + "."


def _weight_bytes(block: "Block") -> Counter[str]:
    """Bytes of constants in the weights file by stored type."""
    sizes: Counter[str] = Counter()
    for op in every_operation(block):
        for value in _values(op):
            if value.WhichOneof("value") == "blobFileValue":
                sizes[type_name(value.type)] += _stored_bytes(value)
    return sizes


def _values(op: "Operation") -> "Iterator[Value]":
    """Everything constant that an operator holds itself."""
    yield from op.attributes.values()
    for argument in op.inputs.values():
        yield from (binding.value for binding in argument.arguments if binding.WhichOneof("binding") == "value")


def _stored_bytes(value: "Value") -> int:
    return math.ceil(math.prod(shape_of(value.type)) * BITS.get(type_name(value.type), 8) / 8)
