"""Models of tables, which stand alone or before and after the networks of a pipeline: linear models and the preparation of features.

What a file may hold is checked as coremltools does, mlmodel/src/Validation; ``ops/model.py`` says what is computed.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Reference
from fcrn_mobile.mil.parts import Parts, Source, class_labels, described, single
from fcrn_mobile.mil.values import LARGEST
from fcrn_mobile.package.errors import DAMAGED, MilError

__all__ = ["READERS"]

_NUMERIC = ("number", "whole", "array")
_CATEGORIES = ("text", "whole")


def _regressor(source: Source) -> Parts:
    model = source.model.glmRegressor
    inputs, (y,) = _typed(source, _NUMERIC, ("number", "array"))
    weights, offset = _coefficients(source, model)
    if y.kind == "number" and len(offset) != 1:
        raise MilError(f"'{source.where}' gives {len(offset)} numbers as one: {DAMAGED}")
    transform = model.PostEvaluationTransform.Name(_known(source, model, "postEvaluationTransform"))
    arguments = {"features": _references(inputs), "weights": weights, "offset": offset, "transform": transform}
    arguments["single"] = y.kind == "number"
    return single(source, arguments, inputs, (y,))


def _classifier(source: Source) -> Parts:
    model, description = source.model.glmClassifier, source.model.description
    inputs, outputs = _typed(source, _NUMERIC, (*_CATEGORIES, "scores"), results=(1, 2))
    weights, offset = _coefficients(source, model)
    classes = class_labels(model, source.where)
    one_vs_rest = _known(source, model, "classEncoding") == model.OneVsRest
    due = len(classes) if one_vs_rest and len(classes) > 2 else len(classes) - 1
    if len(offset) != due:
        raise MilError(f"'{source.where}' has {len(offset)} rows of weights for {len(classes)} classes: {DAMAGED}")
    transform = model.PostEvaluationTransform.Name(_known(source, model, "postEvaluationTransform"))
    if transform == "Probit" and len(classes) > 2:
        raise MilError(f"'{source.where}' has {len(classes)} classes, Core ML's probit takes two: {DAMAGED}")
    by_name = {feature.name: feature for feature in outputs}
    label = by_name.pop(description.predictedFeatureName, None)
    scores = by_name.pop(description.predictedProbabilitiesName, None)
    if label is None or by_name or label.kind != "label" or (scores is not None and scores.kind != "scores"):
        raise MilError(f"'{source.where}' does not describe its label and probabilities: {DAMAGED}")
    arguments = {"features": _references(inputs), "weights": weights, "offset": offset, "transform": transform}
    arguments |= {"one_vs_rest": one_vs_rest, "classes": classes}
    return single(source, arguments, inputs, (label,) if scores is None else (label, scores))


def _scaler(source: Source) -> Parts:
    model = source.model.scaler
    (x,), (y,) = _typed(source, _NUMERIC, _NUMERIC, inputs=(1, 1))
    if (x.kind == "array") != (y.kind == "array"):
        raise MilError(f"'{source.where}' makes {y.type_text} of {x.type_text}: {DAMAGED}")
    fitting = (0, 1, *x.shape[:1])
    if len(model.shiftValue) not in fitting or len(model.scaleValue) not in fitting:
        raise MilError(f"'{source.where}' has {len(model.shiftValue)} shifts, {len(model.scaleValue)} scales for {x.type_text}: {DAMAGED}")
    shift, scale = (_constants(list(values) or [empty]) for values, empty in ((model.shiftValue, 0.0), (model.scaleValue, 1.0)))
    if x.kind != "array":
        (shift,), (scale,) = shift, scale
    arguments = {"x": Reference(x.name), "shift": shift, "scale": scale, "whole": y.dtype.startswith("INT")}
    return single(source, arguments, (x,), (y,))


def _normalizer(source: Source) -> Parts:
    (x,), (y,) = _typed(source, ("array",), ("array",), inputs=(1, 1))
    model = source.model.normalizer
    norm = model.NormType.Name(_known(source, model, "normType"))
    return single(source, {"x": Reference(x.name), "norm": norm}, (x,), (y,))


def _imputer(source: Source) -> Parts:
    model, where = source.model.imputer, source.where
    (x,), (y,) = _typed(source, (*_NUMERIC, "text"), (*_NUMERIC, "text"), inputs=(1, 1))
    value, missing = _one_of(model, "ImputedValue"), _one_of(model, "ReplaceValue")
    text = {type(item) is str for item in (value, missing) if item is not None}
    if isinstance(value, dict) or value is None or x.kind != y.kind or x.dtype != y.dtype or text != {x.dtype == "STRING"}:
        raise MilError(f"'{where}' puts {str(value)[:40]} in the place of {missing} in {x.type_text}: that is not supported, or damaged")
    if x.kind == "array":
        values = value if isinstance(value, list) else [value]
        if len(values) not in (1, *x.shape[:1]):
            raise MilError(f"'{where}' puts {len(values)} values into {x.type_text}: {DAMAGED}")
        value = _constants(values)
    elif isinstance(value, list):
        raise MilError(f"'{where}' puts {len(value)} values into {x.type_text}: {DAMAGED}")
    elif x.kind == "number":
        value = torch.tensor(value, dtype=torch.float64)
    if missing is None:
        missing = "" if x.dtype == "STRING" else float("nan")
    return single(source, {"x": Reference(x.name), "value": value, "missing": missing}, (x,), (y,))


def _one_hot(source: Source) -> Parts:
    model = source.model.oneHotEncoder
    (x,), (y,) = _typed(source, _CATEGORIES, ("scores" if model.outputSparse else "array",), inputs=(1, 1))
    categories = _categories(source, _one_of(model, "CategoryType"), x)
    ignores = _known(source, model, "handleUnknown") == model.IgnoreUnknown
    arguments = {"x": Reference(x.name), "categories": categories, "sparse": model.outputSparse, "ignores_unknown": ignores}
    return single(source, arguments, (x,), (y,))


def _vectorizer(source: Source) -> Parts:
    columns = source.model.featureVectorizer.inputList
    inputs, outputs = _typed(source, (*_NUMERIC, "scores"), ("array",))
    if missing := {column.inputColumn for column in columns} ^ {feature.name for feature in inputs}:
        raise MilError(f"'{source.where}' does not put {min(missing)[:80]!r} into its array: {DAMAGED}")
    lengths = tuple(int(column.inputDimensions) for column in columns)
    if sum(lengths) > LARGEST or min(lengths) < 1:
        raise MilError(f"'{source.where}' makes an array of {sum(lengths)} numbers: {DAMAGED}")
    features = tuple(Reference(column.inputColumn) for column in columns)
    return single(source, {"features": features, "lengths": lengths}, inputs, outputs)


def _extractor(source: Source) -> Parts:
    (x,), (y,) = _typed(source, ("array",), _NUMERIC, inputs=(1, 1))
    places = tuple(map(int, source.model.arrayFeatureExtractor.extractIndex))
    if not places or (y.kind != "array" and len(places) != 1):
        raise MilError(f"'{source.where}' extracts {len(places)} elements as {y.type_text}: {DAMAGED}")
    return single(source, {"x": Reference(x.name), "places": places, "kind": y.kind}, (x,), (y,))


def _dictionary(source: Source) -> Parts:
    (x,), (y,) = _typed(source, ("scores",), ("array", "scores"), inputs=(1, 1))
    keys = _categories(source, _one_of(source.model.dictVectorizer, "Map"), x)
    return single(source, {"x": Reference(x.name), "keys": keys, "sparse": y.kind == "scores"}, (x,), (y,))


def _mapping(source: Source) -> Parts:
    model = source.model.categoricalMapping
    (x,), (y,) = _typed(source, _CATEGORIES, _CATEGORIES, inputs=(1, 1))
    mapping, default = _one_of(model, "MappingType"), _one_of(model, "ValueOnUnknown")
    types = {"STRING": str, "INT64": int}
    fits = isinstance(mapping, dict) and all(type(k) is types[x.dtype] and type(v) is types[y.dtype] for k, v in mapping.items())
    if not fits or type(default) not in (types[y.dtype], type(None)):
        raise MilError(f"'{source.where}' does not map {x.dtype} to {y.dtype}: {DAMAGED}")
    return single(source, {"x": Reference(x.name), "mapping": mapping, "default": default}, (x,), (y,))


def _identity(source: Source) -> Parts:
    inputs, outputs = described(source)
    types = {feature.name: feature.type_text for feature in inputs}
    for feature in outputs:
        if types.get(feature.name) != feature.type_text:
            raise MilError(f"'{source.where}' gives {feature.name!r}, {feature.type_text}, which it does not take: {DAMAGED}")
    return Parts(inputs, outputs, ())


def _typed(
    source: Source, reads: Sequence[str], gives: Sequence[str], inputs: tuple[int, float] = (1, math.inf), results: tuple[int, int] = (1, 1)
) -> tuple[tuple[Feature, ...], tuple[Feature, ...]]:
    """Inputs and outputs, of these kinds and as many as there may be."""
    features = described(source)
    for role, group, kinds, (least, most) in zip(("input", "output"), features, (reads, gives), (inputs, results), strict=True):
        if not least <= len(group) <= most:
            raise MilError(f"'{source.where}' has {len(group)} {role}s, a {source.kind} model has {least}: {DAMAGED}")
        for feature in group:
            if _category(feature) not in kinds:
                raise MilError(f"'{source.where}' has the {role} {feature.name!r}, {feature.type_text}, as no {source.kind} has: {DAMAGED}")
    return features


def _category(feature: Feature) -> str:
    """Its kind, and of a label whether it is a text or a whole number."""
    if feature.kind == "label":
        return "text" if feature.dtype == "STRING" else "whole"
    return feature.kind


def _coefficients(source: Source, model: Any) -> tuple[Tensor, Tensor]:
    """Rows of weights, and the offset of each."""
    rows = [list(row.value) for row in model.weights]
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or 0 in lengths or len(model.offset) != len(rows):
        raise MilError(f"'{source.where}' has {len(rows)} rows of weights and {len(model.offset)} offsets that do not match: {DAMAGED}")
    return torch.tensor(rows, dtype=torch.float64), _constants(list(model.offset))


def _categories(source: Source, categories: Any, x: Feature) -> tuple[str | int, ...]:
    """Categories of the type that a label, or the keys of a dictionary, have."""
    kind = str if x.dtype == "STRING" else int
    if not categories or not all(type(item) is kind for item in categories):
        raise MilError(f"'{source.where}' has no {x.dtype} categories: {DAMAGED}")
    if len(set(categories)) != len(categories):
        raise MilError(f"'{source.where}' has a category twice: {DAMAGED}")
    return tuple(categories)


def _known(source: Source, model: Any, field: str) -> int:
    """The value of an enumeration, if it has a name."""
    number = int(getattr(model, field))
    if number not in model.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number:
        raise MilError(f"'{source.where}' has a {field} of number {number}, which this runtime does not know: {DAMAGED}")
    return number


def _one_of(model: Any, group: str) -> Any:
    """What is set of a group of fields: a value, a list of a vector's, a dictionary of a map's; None if nothing is."""
    field = model.WhichOneof(group)
    value: Any = getattr(model, field) if field else None
    if hasattr(value, "vector"):
        return list(value.vector)
    return dict(value.map) if hasattr(value, "map") else value


def _constants(numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _references(features: Sequence[Feature]) -> tuple[Reference, ...]:
    return tuple(Reference(feature.name) for feature in features)


READERS: dict[str, Callable[[Source], Parts]] = {
    "glmRegressor": _regressor,
    "glmClassifier": _classifier,
    "scaler": _scaler,
    "normalizer": _normalizer,
    "imputer": _imputer,
    "oneHotEncoder": _one_hot,
    "featureVectorizer": _vectorizer,
    "arrayFeatureExtractor": _extractor,
    "dictVectorizer": _dictionary,
    "categoricalMapping": _mapping,
    "identity": _identity,
}
