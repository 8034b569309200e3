"""Models of tables and boxes by hand: numbers worked out here, NumPy, SciPy and scikit-learn."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit, log_ndtr, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from torch import Tensor

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops import model

#: Three boxes side by side and two that nearly cover the first; x and y of the centre, width, height.
BOXES = torch.tensor([[2.0, 2, 4, 4], [2, 3, 4, 4], [20, 2, 4, 4], [40, 2, 4, 4], [2, 2.5, 4, 4]])
#: Of two classes. The second box belongs to the other class.
SCORES = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.0], [0.3, 0.2], [0.6, 0.5]])


def top(iou: float = 0.5, least_score: float = 0.0, per_class: bool = False, least: int = 0, most: int | None = None) -> Any:
    return model.pick_top(SCORES, BOXES, torch.tensor(iou), torch.tensor(least_score), per_class, least, most)


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, [0, 2, 3]),
        ({"per_class": True}, [0, 1, 2, 3]),
        ({"iou": 0.7}, [0, 1, 2, 3]),  # 3/5 overlap between the first and the second, 3.5/4.5 with the fifth
        ({"iou": 0.99}, [0, 1, 2, 4, 3]),
        ({"least_score": 0.5}, [0, 2]),
        ({"least_score": 0.5, "least": 3}, [0, 2, None]),
        ({"least": 3}, [0, 2, 3]),
        ({"most": 2}, [0, 2]),
        ({"most": 2, "least": 2}, [0, 2]),
        ({"least_score": 0.95, "least": 2}, [None, None]),
        ({"least_score": 0.95}, []),
    ],
)
def test_the_best_boxes_come_first_and_rows_are_filled_up_or_cut_off(options: dict[str, Any], rows: list[int | None]) -> None:
    confidence, coordinates = top(**options)
    expected = [(SCORES[row], BOXES[row]) if row is not None else (torch.zeros(2), torch.zeros(4)) for row in rows]
    assert confidence.shape == (len(rows), 2) and coordinates.shape == (len(rows), 4)
    for number, (scores, box) in enumerate(expected):
        assert torch.equal(confidence[number], scores)
        assert torch.equal(coordinates[number], box)


def test_boxes_may_have_axes_of_one_before_theirs() -> None:
    inner = model.pick_top(SCORES[None, None], BOXES[None], torch.tensor(0.5), torch.tensor(0.0), False, 0, None)
    assert all(torch.equal(ours, plain) for ours, plain in zip(inner, top(), strict=True))


@pytest.mark.parametrize(
    ("scores", "boxes", "told"),
    [
        ((5, 2), (4, 4), "confidence (5, 2) and coordinates (4, 4) are no N×C and N×4"),
        ((5, 2), (5, 3), "confidence (5, 2) and coordinates (5, 3) are no N×C and N×4"),
        ((5, 2), (5, 5), "confidence (5, 2) and coordinates (5, 5) are no N×C and N×4"),
        ((4, 2), (4, 3), "confidence (4, 2) and coordinates (4, 3) are no N×C and N×4"),
        ((2, 5), (5, 4), "confidence (2, 5) and coordinates (5, 4) are no N×C and N×4"),
        ((5,), (5, 4), "confidence has shape (5,), which is no matrix"),
        ((2, 5, 2), (5, 4), "confidence has shape (2, 5, 2), which is no matrix"),
        ((5, 2), (3, 5, 4), "coordinates has shape (3, 5, 4), which is no matrix"),
    ],
)
def test_boxes_of_other_shapes_are_refused(scores: tuple[int, ...], boxes: tuple[int, ...], told: str) -> None:
    with pytest.raises(MilError, match=re.escape(told)):
        model.pick_top(torch.zeros(scores), torch.zeros(boxes), torch.tensor(0.5), torch.tensor(0.0), False, 0, None)


def double(*numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


FEATURES = (2.0, torch.tensor([[1.0], [-1.0]]), 3)
VECTOR = np.array([2.0, 1, -1, 3])
WEIGHTS, OFFSET = double([0.5, 1, 2, -0.25], [0.1, 0, 0.3, 0.2]), double(0.5, -1)
PRODUCTS = WEIGHTS.numpy() @ VECTOR + OFFSET.numpy()
TRANSFORMS: dict[str, Callable[[Any], Any]] = {"NoTransform": lambda x: x, "Logit": expit, "Probit": lambda x: np.exp(log_ndtr(x))}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_linear_regression_is_the_product_with_all_features_in_their_order(transform: str) -> None:
    found = model.glm_regressor(FEATURES, WEIGHTS, OFFSET, transform, single=False)
    np.testing.assert_allclose(found, TRANSFORMS[transform](PRODUCTS), rtol=1e-12)
    single = model.glm_regressor(FEATURES, WEIGHTS, OFFSET, transform, single=True)
    assert single.shape == () and float(single) == pytest.approx(TRANSFORMS[transform](PRODUCTS)[0])


def test_other_numbers_of_features_are_refused() -> None:
    with pytest.raises(MilError, match="the features have 3 numbers where 4 are due: give as many"):
        model.glm_regressor(FEATURES[:2], WEIGHTS, OFFSET, "Logit", single=True)
    square = model.glm_regressor((double(1, 2),), double([1, 1], [0, 1], [1, 0]), double(0, 0, 0), "NoTransform", single=False)
    assert square.tolist() == [3, 2, 1], "three rows of two"


def fitted(classes: int) -> tuple[Any, np.ndarray]:
    x = np.random.default_rng(classes).normal(size=(60, 3))
    y = np.digitize(x[:, 0] + x[:, 1], np.linspace(-0.5, 0.5, classes - 1))
    return (LogisticRegression().fit(x, y), OneVsRestClassifier(LogisticRegression()).fit(x, y)), x


def classified(row: Any, weights: Any, offset: Any, one_vs_rest: bool, classes: Any, transform: str = "Logit") -> Any:
    return model.glm_classifier(
        (torch.from_numpy(row),), torch.from_numpy(weights), torch.from_numpy(offset), transform, one_vs_rest, classes
    )


@pytest.mark.parametrize("one_vs_rest", [False, True])
def test_two_classes_have_one_row_which_is_the_second_s(one_vs_rest: bool) -> None:
    (plain, _), x = fitted(2)
    labels = set()
    for row, expected in zip(x, plain.predict_proba(x), strict=True):
        label, scores = classified(row, plain.coef_, plain.intercept_, one_vs_rest, ["no", "yes"])
        assert list(scores) == ["no", "yes"]
        np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-9)
        assert label == ("yes" if expected[1] > 0.5 else "no")
        labels.add(label)
    assert labels == {"no", "yes"}


def test_several_classes_are_each_against_the_rest_or_all_against_the_first() -> None:
    (plain, rest), x = fitted(3)
    weights = np.concatenate([each.coef_ for each in rest.estimators_])
    offset = np.concatenate([each.intercept_ for each in rest.estimators_])
    first = plain.coef_ - plain.coef_[0], plain.intercept_ - plain.intercept_[0]
    for row, alone, together in zip(x, rest.predict_proba(x), plain.predict_proba(x), strict=True):
        label, scores = classified(row, weights, offset, True, [10, 11, 12])
        np.testing.assert_allclose(list(scores.values()), alone, rtol=1e-9)
        assert label == 10 + alone.argmax()
        label, scores = classified(row, first[0][1:], first[1][1:], False, [10, 11, 12])
        np.testing.assert_allclose(list(scores.values()), together, rtol=1e-9)
        np.testing.assert_allclose(list(scores.values()), softmax(first[0] @ row + first[1]), rtol=1e-9)
        assert label == 10 + together.argmax()


def test_classes_that_are_all_impossible_are_equally_probable() -> None:
    label, scores = classified(np.ones(1), np.full((4, 1), -1e6), np.zeros(4), True, ["a", "b", "c", "d"])
    assert (label, list(scores.values())) == ("a", [0.25] * 4)


@pytest.mark.parametrize(
    ("x", "shift", "scale", "whole", "expected"),
    [
        (1.5, 0.5, 3.0, False, 6.0),
        (torch.tensor([1.0, 2.0]), double(1, 0), double(2, 3), False, [4.0, 6.0]),
        (torch.tensor([1, 2]), 0.0, 0.5, False, [0.5, 1.0]),
        (3, -1.0, 2.0, True, 4),
        (torch.tensor([1, 3]), 1.0, 2.0, True, [4, 8]),
    ],
)
def test_what_is_scaled_is_shifted_first(x: Any, shift: Any, scale: Any, whole: bool, expected: Any) -> None:
    found = model.scaler(x, torch.as_tensor(shift), torch.as_tensor(scale), whole)
    if whole:
        assert found.dtype == torch.int32 if isinstance(found, Tensor) else type(found) is int
    assert (found.tolist() if isinstance(found, Tensor) else found) == expected


def test_results_that_have_to_be_whole_are_refused_if_one_is_not() -> None:
    told = re.escape("[1.0, 1.5, 2.0, 2.5] are not whole numbers")
    with pytest.raises(MilError, match=told):
        model.scaler(torch.tensor([2, 3, 4, 5, 6]), double(0), double(0.5), True)


@pytest.mark.parametrize(
    ("norm", "x", "expected"),
    [
        ("LMax", [1.0, -4, 2], [0.5, -2, 1]),
        ("L1", [1.0, -4, 3], [0.125, -0.5, 0.375]),
        ("L2", [3.0, -4], [0.6, -0.8]),
        ("L2", [0.0, 0], [0, 0]),
        ("LMax", [0.0, -2], [0, -2]),
    ],
)
def test_an_array_over_its_norm(norm: str, x: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(model.normalizer(torch.tensor(x), norm), expected)


def test_what_is_missing_gets_a_value() -> None:
    assert model.imputer(5, 7, 5) == 7 and model.imputer(4, 7, 5) == 4
    assert model.imputer("none", "red", "none") == "red"
    nan = float("nan")
    found = model.imputer(torch.tensor([1.0, nan, 3.0]), double(7, 8, 9), nan)
    assert found.tolist() == [1, 8, 3] and found.dtype == torch.float64
    assert model.imputer(torch.tensor([1.0, -1.0]), double(0.5), -1.0).tolist() == [1, 0.5]
    whole = model.imputer(torch.tensor([1, -1], dtype=torch.int32), double(4), -1)
    assert whole.tolist() == [1, 4] and whole.dtype == torch.int32


def test_one_stands_at_the_place_of_the_category() -> None:
    colours = ["red", "green", "blue"]
    assert model.one_hot_encoder("green", colours, False, False).tolist() == [0, 1, 0]
    assert model.one_hot_encoder("blue", colours, True, False) == {2: 1.0}
    assert model.one_hot_encoder("pink", colours, False, True).tolist() == [0, 0, 0]
    assert model.one_hot_encoder("pink", colours, True, True) == {}
    with pytest.raises(MilError, match="'pink' is none of its 3 categories"):
        model.one_hot_encoder("pink", colours, False, False)


def test_all_features_stand_in_one_array() -> None:
    found = model.feature_vectorizer((1, torch.tensor([[2.0], [3.0]]), {1: 5.0}, 4.5), (1, 2, 3, 1))
    assert found.tolist() == [1, 2, 3, 0, 5, 0, 4.5] and found.dtype == torch.float64
    with pytest.raises(MilError, match="a feature has 2 numbers where 3 are due"):
        model.feature_vectorizer((torch.tensor([2.0, 3.0]),), (3,))


@pytest.mark.parametrize("place", [-1, 3, "1", 1.0])
def test_a_place_beyond_the_array_is_refused(place: Any) -> None:
    with pytest.raises(MilError, match=re.escape(f"a dictionary has the key {place!r} where places from 0 to 2 are due")):
        model.feature_vectorizer(({place: 1.0},), (3,))
    assert model.feature_vectorizer(({0: 1.0, 2: 3.0},), (3,)).tolist() == [1, 0, 3]


def test_elements_of_an_array_counted_as_one_row() -> None:
    x = torch.tensor([[4.0, 5], [6, 7]])
    assert model.array_feature_extractor(x, [3, 0], "array").tolist() == [7, 4]
    number = model.array_feature_extractor(x, [2], "number")
    assert float(number) == 6 and number.dtype == torch.float64
    label = model.array_feature_extractor(x, [1], "label")
    assert label == 5 and type(label) is int
    with pytest.raises(MilError, match="element 4 of 4 is to be extracted"):
        model.array_feature_extractor(x, [0, 4, 9], "array")


def test_numbers_of_a_dictionary_stand_at_the_places_of_their_keys() -> None:
    assert model.dict_vectorizer({"b": 2.0, "a": 1.0}, ["a", "b", "c"], False).tolist() == [1, 2, 0]
    assert model.dict_vectorizer({"c": 2.0}, ["a", "b", "c"], True) == {2: 2.0}
    with pytest.raises(MilError, match="'d' is none of its 3 keys"):
        model.dict_vectorizer({"a": 1.0, "d": 2.0}, ["a", "b", "c"], False)


def test_a_category_is_mapped_or_gets_the_default() -> None:
    assert model.categorical_mapping("a", {"a": 1}, None) == 1
    assert model.categorical_mapping("b", {"a": 1}, 9) == 9
    assert model.categorical_mapping("b", {"a": 1}, 0) == 0
    with pytest.raises(MilError, match="'b' is none of its 1 categories"):
        model.categorical_mapping("b", {"a": 1}, None)
