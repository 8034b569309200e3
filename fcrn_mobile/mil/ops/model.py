"""Models of tables and boxes, whole or stages of a pipeline: one function for each kind, named as in the specification.

Sources: the comments of Apple's mlmodel/format/*.proto, whose checks in mlmodel/src/Validation readers make; where they leave a
choice, what scikit-learn does, whose models coremltools converts to these. All of it is computed in float64.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.mil.ops.sorting import survivors
from fcrn_mobile.package.errors import MilError

__all__ = [
    "OPERATORS",
    "Scores",
    "array_feature_extractor",
    "categorical_mapping",
    "dict_vectorizer",
    "feature_vectorizer",
    "glm_classifier",
    "glm_regressor",
    "hand_over",
    "imputer",
    "normalizer",
    "one_hot_encoder",
    "pick_top",
    "scaler",
]

Scores = dict[str | int, float]


def hand_over(value: Any, source: Feature, target: Feature) -> Any:
    """A result as the next stage takes it: as a caller would get it from the one and give it to the other."""
    return target.to_tensor(source.to_array(value))


def pick_top(
    confidence: Tensor,
    coordinates: Tensor,
    iou_threshold: Tensor,
    confidence_threshold: Tensor,
    per_class: bool,
    least: int,
    most: int | None,
) -> tuple[Tensor, Tensor]:
    """Boxes that overlap no better one by more than a threshold, best first.

    Args:
        confidence: N×C, of each class; a box counts with its largest.
        coordinates: N×4: x and y of the centre, width, height.
        iou_threshold: largest intersection over union of two boxes that both stay.
        confidence_threshold: least confidence.
        per_class: whether only boxes of the same class, the most confident one, suppress each other.
        least, most: rows of the results, filled up with zeros or cut off.

    Returns:
        K×C confidence and K×4 coordinates.
    """
    scores, boxes = _matrix(confidence, "confidence"), _matrix(coordinates, "coordinates")
    if scores.shape[0] != boxes.shape[0] or boxes.shape[1] != 4:
        raise MilError(f"confidence {tuple(scores.shape)} and coordinates {tuple(boxes.shape)} are no N×C and N×4: export the model again")
    rows = survivors(boxes, scores, float(iou_threshold), float(confidence_threshold), per_class)[:most]
    missing = max(0, least - len(rows))
    padded = [torch.cat([values[rows], values.new_zeros(missing, values.shape[1])]) for values in (scores, boxes)]
    return padded[0], padded[1]


def glm_regressor(features: tuple[Any, ...], weights: Tensor, offset: Tensor, transform: str, single: bool) -> Tensor:
    """A number for each row of the weights: its product with the features plus the offset, through a logistic or normal distribution."""
    results = _transformed(_products(features, weights, offset), transform)
    return results[0] if single else results


def glm_classifier(
    features: tuple[Any, ...], weights: Tensor, offset: Tensor, transform: str, one_vs_rest: bool, classes: Sequence[str | int]
) -> tuple[str | int, Scores]:
    """The most probable class, and the probability of every class.

    Args:
        features: numbers and arrays, one after another.
        weights, offset: a row for each class; for two classes one row, the second class's; without ``one_vs_rest`` none for the first.
        transform: ``Logit`` or ``Probit``.
        one_vs_rest: each class is a logistic regression of its own, and probabilities are scaled to sum 1; else they are the softmax of
            all, the first class's product being 0.
        classes: their labels.
    """
    products = _products(features, weights, offset)
    if len(classes) == 2:
        second = _transformed(products, transform)
        probabilities = torch.cat([1 - second, second])
    elif one_vs_rest:
        each = _transformed(products, transform)
        probabilities = each / each.sum() if each.sum() > 0 else torch.full_like(each, 1 / len(classes))
    else:
        probabilities = torch.softmax(torch.cat([products.new_zeros(1), products]), 0)
    return classes[int(probabilities.argmax())], dict(zip(classes, probabilities.tolist(), strict=True))


def scaler(x: Any, shift: Tensor, scale: Tensor, whole: bool) -> Any:
    """Shift, then scale, for each element or for all: scale · (x + shift); ``whole`` results have to be whole numbers."""
    result = scale * (_double(x) + shift)
    if not whole:
        return result
    if not bool((result == result.round()).all()):
        raise MilError(f"{result.flatten().tolist()[:4]} are not whole numbers, as the output is: give other numbers")
    return result.to(torch.int32) if result.dim() else int(result)


def normalizer(x: Tensor, norm: str) -> Tensor:
    """An array over its norm: the largest element (``LMax``), or the ``L1`` or ``L2`` norm; zeros stay zeros."""
    numbers = _double(x)
    size = numbers.max() if norm == "LMax" else torch.linalg.vector_norm(numbers, 1 if norm == "L1" else 2)
    return numbers / size if size != 0 else numbers


def imputer(x: Any, value: Any, missing: Any) -> Any:
    """What is read, and in the place of what is ``missing`` (NaN included) the value, or that of its position."""
    if not isinstance(x, Tensor):
        return value if x == missing else x
    numbers = _double(x)
    absent = numbers.isnan() if missing != missing else numbers == missing  # NaN is not itself
    result = torch.where(absent, value, numbers)
    return result if x.is_floating_point() else result.to(x.dtype)


def one_hot_encoder(x: str | int, categories: Sequence[str | int], sparse: bool, ignores_unknown: bool) -> Any:
    """One at the place of the category and 0 elsewhere; ``sparse``: {place: 1}."""
    if x not in categories and not ignores_unknown:
        raise MilError(f"{x!r} is none of its {len(categories)} categories: give one of them")
    ones = {categories.index(x): 1.0} if x in categories else {}
    return ones if sparse else _dense(ones, len(categories))


def feature_vectorizer(features: tuple[Any, ...], lengths: Sequence[int]) -> Tensor:
    """All features in one array: numbers, arrays, and dictionaries by place."""
    parts = []
    for feature, length in zip(features, lengths, strict=True):
        part = _dense(feature, length) if isinstance(feature, Mapping) else _double(feature).reshape(-1)
        if len(part) != length:
            raise MilError(f"a feature has {len(part)} numbers where {length} are due: give as many")
        parts.append(part)
    return torch.cat(parts)


def array_feature_extractor(x: Tensor, places: Sequence[int], kind: str) -> Any:
    """Elements of an array, which is counted as one row: an array of them, or one as ``number`` or ``label``."""
    numbers = _double(x).reshape(-1)
    if beyond := [place for place in places if place >= len(numbers)]:
        raise MilError(f"element {beyond[0]} of {len(numbers)} is to be extracted: give a longer array")
    if kind == "array":
        return numbers[list(places)]
    return numbers[places[0]] if kind == "number" else int(numbers[places[0]])


def dict_vectorizer(x: Mapping[str | int, float], keys: Sequence[str | int], sparse: bool) -> Any:
    """The numbers of a dictionary at the places of their keys, and 0 elsewhere; ``sparse``: {place: number}."""
    if unknown := [key for key in x if key not in keys]:
        raise MilError(f"{unknown[0]!r} is none of its {len(keys)} keys: give those alone")
    places = {keys.index(key): number for key, number in x.items()}
    return places if sparse else _dense(places, len(keys))


def categorical_mapping(x: str | int, mapping: Mapping[str | int, str | int], default: str | int | None) -> str | int:
    """What a category is mapped to."""
    result = mapping.get(x, default)
    if result is None:
        raise MilError(f"{x!r} is none of its {len(mapping)} categories: give one of them")
    return result


def _double(value: Any) -> Tensor:
    return torch.as_tensor(value).to(torch.float64)


def _dense(numbers: Mapping[Any, float], length: int) -> Tensor:
    vector = torch.zeros(length, dtype=torch.float64)
    for place, number in numbers.items():
        if not isinstance(place, int) or not 0 <= place < length:
            raise MilError(f"a dictionary has the key {place!r} where places from 0 to {length - 1} are due: give others")
        vector[place] = number
    return vector


def _matrix(value: Tensor, name: str) -> Tensor:
    """The last two axes; all before them have to be 1."""
    if value.dim() < 2 or value.numel() != value.shape[-1] * value.shape[-2]:
        raise MilError(f"{name} has shape {tuple(value.shape)}, which is no matrix: export the model again")
    return value.reshape(value.shape[-2:])


def _products(features: tuple[Any, ...], weights: Tensor, offset: Tensor) -> Tensor:
    vector = torch.cat([_double(feature).reshape(-1) for feature in features])
    if len(vector) != weights.shape[1]:
        raise MilError(f"the features have {len(vector)} numbers where {weights.shape[1]} are due: give as many")
    return weights @ vector + offset


def _transformed(products: Tensor, transform: str) -> Tensor:
    return {"NoTransform": lambda x: x, "Logit": torch.sigmoid, "Probit": torch.special.ndtr}[transform](products)


OPERATORS = {
    "hand_over": Operator(hand_over, "moved", foreign=True),
    "nonMaximumSuppression": Operator(pick_top, "moved", foreign=True),
    "glmRegressor": Operator(glm_regressor, "computed", foreign=True),
    "glmClassifier": Operator(glm_classifier, "computed", foreign=True),
    "scaler": Operator(scaler, "computed", foreign=True),
    "normalizer": Operator(normalizer, "computed", foreign=True),
    "imputer": Operator(imputer, "exact", foreign=True),
    "oneHotEncoder": Operator(one_hot_encoder, "exact", foreign=True),
    "featureVectorizer": Operator(feature_vectorizer, "moved", foreign=True),
    "arrayFeatureExtractor": Operator(array_feature_extractor, "moved", foreign=True),
    "dictVectorizer": Operator(dict_vectorizer, "moved", foreign=True),
    "categoricalMapping": Operator(categorical_mapping, "exact", foreign=True),
}
