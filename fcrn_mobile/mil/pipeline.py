"""Pipelines: models one after another, each reading what its inputs name among the pipeline's inputs and the results before it.

They become one program: the operations of all stages in order, their names with the stage's before them, and between two stages an
operation that hands a value over as the output of one and the input of the other are declared. Rules as in coremltools,
mlmodel/src/Validation/PipelineValidator.cpp; a later result of the same name takes the place of an earlier one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fcrn_mobile.mil.binding import release_after_last_use
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo, renamed
from fcrn_mobile.mil.parts import Parts, Source, described
from fcrn_mobile.mil.shapes import ShapeRule
from fcrn_mobile.package.errors import DAMAGED, MilError

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import Model

__all__ = ["PIPELINES", "check_wires", "read_pipeline", "stages_of"]

PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")


@dataclass(frozen=True)
class _Wire:
    """A value that stages may read: its name in the program, and how its giver declares it."""

    value: str
    feature: Feature
    given: bool


def stages_of(source: Source) -> list[tuple[str, Source]]:
    """Names and models of a pipeline's stages, in order.

    Raises:
        MilError: no stages, or other names than one for each.
    """
    model = source.model
    pipeline = model.pipeline if source.kind == "pipeline" else getattr(model, source.kind).pipeline
    names = list(pipeline.names) or [f"model{index}" for index in range(len(pipeline.models))]
    if not pipeline.models:
        raise MilError(f"'{source.where}' is a pipeline without stages: {DAMAGED}")
    if len(names) != len(pipeline.models) or len(set(names)) != len(names):
        raise MilError(f"'{source.where}' names its {len(pipeline.models)} stages {', '.join(names)[:80]!r}, one each is due: {DAMAGED}")
    if not all(name.isprintable() for name in names):
        raise MilError(f"'{source.where}' has a stage called {next(name for name in names if not name.isprintable())[:80]!r}: {DAMAGED}")
    return [
        (name, replace(source, model=stage, where=f"{source.where} (stage {name[:80]})", function=None))
        for name, stage in zip(names, pipeline.models, strict=True)
    ]


def read_pipeline(source: Source, read: Callable[[Source], Parts]) -> Parts:
    """The operations of all stages as those of one program.

    Args:
        source: the pipeline.
        read: of a stage.

    Raises:
        MilError: a stage cannot be read or reads what nothing gives, or as another type than it is given.
    """
    check_wires(source)
    inputs, outputs = described(source)
    stages = stages_of(source)
    wires = {feature.name: _Wire(feature.name, feature, given=True) for feature in inputs}
    prefixes = _prefixes([name for name, _ in stages], _names(source.model, [stage.model for _, stage in stages]))
    operations: list[Operation] = []
    defaults: dict[str, float | None] = {}
    for prefix, (_, stage) in zip(prefixes, stages, strict=True):
        parts = read(stage)
        if parts.states:
            raise MilError(f"'{stage.where}' keeps the state '{parts.states[0].name}', which a pipeline does not: run the stage by itself")
        scope: dict[str, str] = {}
        for feature in parts.inputs:
            # A threshold that boxes are suppressed by may be the pipeline's input without being described as the stage's.
            wire = wires.get(feature.name)
            if wire and wire.given:
                defaults.setdefault(feature.name, feature.default)
            if wire and _as_it_is(wire, feature):
                scope[feature.name] = wire.value
            else:
                scope[feature.name] = prefix + feature.name
                value = Reference(wire.value) if wire else feature.default_tensor()
                operations.append(_hand_over(value, wire.feature if wire else feature, feature, scope[feature.name]))
        operations += [renamed(operation, scope, prefix) for operation in parts.operations]
        wires |= {feature.name: _Wire(scope[feature.name], feature, given=False) for feature in parts.outputs}
    for feature in outputs:
        if wires[feature.name].value != feature.name:
            operations.append(_hand_over(Reference(wires[feature.name].value), feature, feature, feature.name))
    inputs = tuple(replace(f, default=defaults.get(f.name)) if f.default is None else f for f in inputs)
    outputs = tuple(replace(f, labels=wires[f.name].feature.labels) for f in outputs)
    return Parts(inputs, outputs, release_after_last_use(operations, {feature.name for feature in outputs}))


def check_wires(source: Source) -> None:
    """Refuse a pipeline whose stages do not fit together, from descriptions alone.

    Raises:
        MilError: a stage reads what nothing gives, or as another type than it is given; so for the outputs.
    """
    if source.function not in (None, "main"):
        raise MilError(f"'{source.where}' is a pipeline, which has no functions: leave the function out")
    inputs, outputs = described(source)
    features = {feature.name: feature for feature in inputs}
    stages = [(stage.where, *described(stage)) for _, stage in stages_of(source)]
    later = [{feature.name for feature in results} for _, _, results in stages]
    for index, (where, reads, results) in enumerate(stages):
        for feature in reads:
            _check_wire(feature, features, where, set().union(*later[index:]))
        features |= {feature.name: feature for feature in results}
    for feature in outputs:
        _check_wire(feature, features, source.where, set())


def _names(pipeline: "Model", models: "Sequence[Model]") -> set[str]:
    """Of all features of a pipeline and its stages."""
    return {feature.name for model in (pipeline, *models) for feature in (*model.description.input, *model.description.output)}


def _prefixes(names: list[str], features: set[str]) -> list[str]:
    """What stands before the names of each stage, so that none is that of a feature."""
    dash = "/"
    while any(feature.startswith(name + dash) for feature in features for name in names):
        dash += "/"
    return [name + dash for name in names]


def _check_wire(feature: Feature, features: Mapping[str, Feature], where: str, later: set[str]) -> None:
    """Whether an input of a stage, or an output of the pipeline, is given as it is read."""
    if feature.name not in features:
        problem = "before a stage gives it" if feature.name in later else "which nothing gives"
        raise MilError(f"'{where}' reads {feature.name[:80]!r} {problem}: {DAMAGED}")
    theirs = features[feature.name]
    if not _same_type(theirs, feature):
        raise MilError(f"'{where}' reads {feature.name!r} as {feature.type_text}, it is given as {theirs.type_text}: {DAMAGED}")


def _same_type(source: Feature, read: Feature) -> bool:
    """As Core ML compares: kinds and types are the same; so are ranks, and sizes where both are fixed. None declared fits any."""
    if (source.kind, source.dtype) != (read.kind, read.dtype):
        return {source.dtype, read.dtype} == {"RGB", "BGR"}
    if () in (source.shape, read.shape):
        return True
    fixed = _is_fixed(source.shapes) and _is_fixed(read.shapes)
    return len(source.shape) == len(read.shape) and (not fixed or source.shape == read.shape)


def _as_it_is(wire: _Wire, read: Feature) -> bool:
    """Whether handing a value over would change nothing."""
    fixed = _is_fixed(wire.feature.shapes) and wire.feature.shapes == read.shapes
    exact = wire.given or read.kind not in ("image", "array") or (read.kind == "array" and read.dtype != "FLOAT16" and read.shape != ())
    return exact and fixed and wire.feature.dtype == read.dtype


def _is_fixed(shapes: ShapeRule) -> bool:
    return not shapes.enumerated and not shapes.ranges


def _hand_over(value: Any, source: Feature, read: Feature, name: str) -> Operation:
    return Operation("hand_over", {"value": value, "source": source, "target": read}, (TensorInfo(name, read.dtype, None),))
