"""Ties, all elements, and boxes at the thresholds of suppression."""

import pytest
import torch

from fcrn_mobile.mil.ops.sorting import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.tensor([[2.0, 3.0, 2.0, 3.0]])


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_equal_elements_keep_their_order_either_way() -> None:
    assert OPERATORS["argsort"].run(X).tolist() == [[1, 3, 0, 2]]
    assert OPERATORS["argsort"].run(X, ascending=True).tolist() == [[0, 2, 1, 3]]
    assert OPERATORS["argsort"].run(X, torch.tensor(0)).tolist() == [[0, 0, 0, 0]]
    assert OPERATORS["argsort"].run(X).dtype == torch.int32


def test_the_largest_is_one_on_the_last_axis_unless_told() -> None:
    values, indices = OPERATORS["topk"].run(X)
    assert (values.tolist(), indices.tolist(), indices.dtype) == ([[3.0]], [[1]], torch.int32)
    values, indices = OPERATORS["topk"].run(X, torch.tensor(-1))
    assert (values.tolist(), indices.tolist()) == ([[3, 3, 2, 2]], [[1, 3, 0, 2]])
    values, indices = OPERATORS["topk"].run(X, torch.tensor(3), ascending=True, output_indices_dtype="uint16")
    assert (values.tolist(), indices.tolist(), indices.dtype) == ([[2, 2, 3]], [[0, 2, 1]], torch.int32)
    assert len(OPERATORS["topk"].run(X, return_indices=False)) == 1
    values, indices = OPERATORS["topk"].run(X.T, torch.tensor(2), torch.tensor(-2))
    assert (values.tolist(), indices.tolist()) == ([[3], [3]], [[1], [3]])


def suppression(boxes: list[list[float]], scores: list[list[float]], iou: float, count: int = 3, **arguments: object) -> list[int]:
    """Indices that iOS 16's operator keeps of one image's boxes."""
    arguments = {"score_threshold": torch.tensor(0.0), **arguments}
    tensors = (torch.tensor([boxes]), torch.tensor([scores]), torch.tensor(iou), torch.tensor(count))
    return OPERATORS["non_maximum_suppression"].run(*tensors, **arguments)[2][0].tolist()


#: Centre, width, height: the second covers the right half of the first and as much again: a third is shared.
PAIR = [[1.0, 1.0, 2.0, 2.0], [2.0, 1.0, 2.0, 2.0]]


@pytest.mark.parametrize(("iou", "kept"), [(0.34, [1, 0, -1]), (0.33, [1, -1, -1])])
def test_boxes_that_share_more_than_the_threshold_are_suppressed(iou: float, kept: list[int]) -> None:
    assert suppression(PAIR, [[0.5], [0.75]], iou) == kept
    across = [[box[1], box[0], box[3], box[2]] for box in PAIR]
    assert suppression(across, [[0.5], [0.75]], iou) == kept
    fractions = [[side / 16 for side in box] for box in PAIR]  # of the picture, as detectors give them
    assert suppression(fractions, [[0.5], [0.75]], iou) == kept


def test_an_overlap_of_just_the_threshold_is_kept() -> None:
    # A quarter of the first, whole of the second: 1/4 exactly.
    assert suppression([[1.0, 1.0, 2.0, 2.0], [0.5, 0.5, 1.0, 1.0]], [[0.75], [0.5]], 0.25) == [0, 1, -1]


def test_boxes_that_touch_or_have_no_area_share_nothing() -> None:
    assert suppression([[1.0, 1.0, 2.0, 2.0], [3.0, 1.0, 2.0, 2.0], [5.0, 5.0, 1.0, 1.0]], [[0.9], [0.8], [0.7]], 0.0) == [0, 1, 2]
    assert suppression([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]], [[0.9], [0.8]], 0.0) == [0, 1, -1]


def test_scores_of_just_the_threshold_are_kept() -> None:
    far = [[float(10 * i), 0.0, 1.0, 1.0] for i in range(3)]
    assert suppression(far, [[0.5], [0.25], [0.75]], 0.5, score_threshold=torch.tensor(0.5)) == [2, 0, -1]
    assert suppression(far, [[0.5], [0.25], [0.75]], 0.5, count=1) == [2]


def test_boxes_of_other_classes_are_rivals_unless_told() -> None:
    scores = [[0.9, 0.0], [0.0, 0.8]]
    assert suppression([PAIR[0], PAIR[0]], scores, 0.5) == [0, -1, -1]
    assert suppression([PAIR[0], PAIR[0]], scores, 0.5, per_class_suppression=True) == [0, 1, -1]
    # The second of a class competes with the first of it, not with one of another between them.
    three = [[0.9, 0.0], [0.0, 0.8], [0.7, 0.0]]
    assert suppression([PAIR[0]] * 3, three, 0.5, per_class_suppression=True) == [0, 1, -1]


def test_the_count_and_the_padding_of_every_image() -> None:
    boxes = torch.tensor([PAIR, PAIR])
    scores = torch.tensor([[[0.5], [0.75]], [[0.5], [0.1]]])
    kept, best, indices, numbers = OPERATORS["non_maximum_suppression"].run(
        boxes, scores, torch.tensor(0.9), torch.tensor(3), torch.tensor(0.25)
    )
    assert numbers.tolist() == [2, 1]
    assert indices.tolist() == [[1, 0, -1], [0, -1, -1]]
    assert kept.tolist() == [[PAIR[1], PAIR[0], [0] * 4], [PAIR[0], [0] * 4, [0] * 4]]
    assert best.tolist() == [[[0.75], [0.5], [0]], [[0.5], [0], [0]]]
    newer = OPERATORS["non_maximum_suppression"].run(boxes.mT, -scores.mT, torch.tensor(0.9), torch.tensor(3))
    assert len(newer) == 3
    assert newer[2].tolist() == [[0, 1, -1], [1, 0, -1]]  # negative scores are no reason to leave a box out
