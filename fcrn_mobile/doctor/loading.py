"""Detections of what Core ML refuses to load (the rules are in ``rules.toml``)."""

from collections.abc import Callable, Iterator

from fcrn_mobile.doctor.subject import Place, Stage, Subject
from fcrn_mobile.mil.ops import MIL, OPERATORS
from fcrn_mobile.mil.refused import refusals
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import default_function
from fcrn_mobile.systems import IOS16, IOS18, opset

__all__ = ["DETECTIONS"]

#: Axes that Core ML's tensors have at most.
_MOST_AXES = 5
_MOST_CONSTANT_BYTES = 2**31
_MOST_SHAPES = 128


def _refused(kind: str) -> Callable[[Subject], Iterator[Place]]:
    """Operators of a kind that ``mil/refused.py`` refuses."""

    def detect(subject: Subject) -> Iterator[Place]:
        for stage in subject.stages:
            checked = stage.checked
            if checked is None or next(_damages(stage), None):
                continue
            for reason in refusals(checked.block, checked.constants, inputs=checked.default_shapes):
                if reason.startswith(f"operator '{kind}' "):
                    yield Place(reason.split("'")[3], kind, reason.split("' ", 2)[2])

    return detect


def _weights_damaged(subject: Subject) -> Iterator[Place]:
    """The first constant for everything that is wrong: of a missing file, one."""
    first = {place.detail: place for stage in subject.stages for place in reversed([*_damages(stage)])}
    yield from reversed(first.values())


def _damages(stage: Stage) -> Iterator[Place]:
    reader = stage.checked.constants if stage.checked else None
    for name, value in stage.operators.constant_values() if stage.operators else ():
        try:
            if reader:
                reader.check(value)
        except MilError as error:
            yield Place(name, "constant", str(error))


def _damaged(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        if stage.broken and not any(layer.WhichOneof("layer") == "custom" for layer in stage.layers):
            yield Place(stage.name, "stage" if stage.name else "model", stage.broken)


def _rank(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        if len(op.result) > _MOST_AXES:
            yield stage.place(op, f"{len(op.result)} axes")


def _specification_version(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        if stage.checked and stage.source.kind == "mlProgram" and stage.checked.opset > opset(stage.source.model.specificationVersion):
            detail = f"operator set CoreML{stage.checked.opset} in specification {stage.source.model.specificationVersion}"
            yield Place(stage.checked.name, "function", detail)


def _operator_set(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        since = OPERATORS[op.kind].since if op.kind in OPERATORS else 0
        if stage.checked and stage.source.kind == "mlProgram" and since > stage.checked.opset:
            yield stage.place(op, f"came with CoreML{since}, the function asks for CoreML{stage.checked.opset}")


def _operator_unknown(subject: Subject) -> Iterator[Place]:
    for stage, _, op in subject.operators():
        if op.kind not in MIL:
            yield stage.place(op)


def _float16_interface(subject: Subject) -> Iterator[Place]:
    for what, features in (("input", subject.inputs), ("output", subject.outputs)):
        for feature in features if subject.version < IOS16 else ():
            if feature.dtype in ("FLOAT16", "GRAYSCALE_FLOAT16"):
                yield Place(feature.name, what, f"{feature.dtype} in specification {subject.version}")


def _states_version(subject: Subject) -> Iterator[Place]:
    for name in subject.states if subject.version < IOS18 else ():
        yield Place(name, "state", f"specification {subject.version}")


def _functions_version(subject: Subject) -> Iterator[Place]:
    names = sorted(subject.model.mlProgram.functions)
    if len(names) > 1 and subject.version < IOS18:
        yield Place(default_function(subject.model), "function", f"{', '.join(names)} in specification {subject.version}")


def _constant_of_2_gb(subject: Subject) -> Iterator[Place]:
    for weight in subject.graph.weights if subject.graph else ():
        if weight.stored_bytes >= _MOST_CONSTANT_BYTES:
            yield Place(weight.tensor.name, "constant", f"{weight.stored_bytes / 1e9:.1f} GB")


def _too_many_shapes(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs:
        if len(feature.shapes.enumerated) > _MOST_SHAPES:
            yield Place(feature.name, "input", f"{len(feature.shapes.enumerated)} shapes")


def _range_from_0(subject: Subject) -> Iterator[Place]:
    if any(op.kind == "slice_by_index" for _, _, op in subject.operators()):
        for feature in subject.inputs:
            if any(low == 0 for low, _ in feature.shapes.ranges):
                yield Place(feature.name, "input", str(feature.shapes))


def _range_without_end(subject: Subject) -> Iterator[Place]:
    for feature in subject.inputs if subject.model.WhichOneof("Type") == "mlProgram" else ():
        if any(high is None for _, high in feature.shapes.ranges):
            yield Place(feature.name, "input", str(feature.shapes))


def _custom_layer(subject: Subject) -> Iterator[Place]:
    if subject.model.WhichOneof("Type") == "customModel":
        yield Place(subject.model.customModel.className, "custom model")
    for stage in subject.stages:
        for layer in stage.layers:
            if layer.WhichOneof("layer") == "custom":
                yield Place(layer.name, "layer", layer.custom.className)


#: Rule → where it applies.
DETECTIONS: dict[str, Callable[[Subject], Iterator[Place]]] = {
    "padding-mode": _refused("pad"),
    "stack-defaults": _refused("stack"),
    "weights-damaged": _weights_damaged,
    "damaged": _damaged,
    "rank": _rank,
    "specification-version": _specification_version,
    "operator-set": _operator_set,
    "operator-unknown": _operator_unknown,
    "float16-interface": _float16_interface,
    "states-version": _states_version,
    "functions-version": _functions_version,
    "constant-of-2-gb": _constant_of_2_gb,
    "too-many-shapes": _too_many_shapes,
    "range-from-0": _range_from_0,
    "range-without-end": _range_without_end,
    "custom-layer": _custom_layer,
}
