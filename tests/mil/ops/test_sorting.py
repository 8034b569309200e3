import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, shapes, values, whole


@settings(max_examples=25, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), seed=seeds, ascending=st.booleans(), ties=st.booleans())
def test_argsort_keeps_the_order_of_equals(data, shape, seed, ascending, ties) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = whole(seed, 0, 3, *shape).astype(np.float32) if ties else values(seed, *shape)
    expected = np.argsort(x if ascending else -x, axis=axis, kind="stable").astype(np.int32)
    check_op("argsort", lambda x0: mb.argsort(x=x0, axis=axis, ascending=ascending), [x], expected)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), seed=seeds, ascending=st.booleans())
@pytest.mark.parametrize("target", ["iOS15", "iOS16", "iOS17"])
def test_topk_gives_values_and_where_they_stood(target, data, shape, seed, ascending) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    k = data.draw(st.integers(1, shape[axis]))
    x = values(seed, *shape)
    expected = torch.topk(torch.from_numpy(x), k, dim=axis, largest=not ascending)
    wanted = (expected.values, expected.indices.to(torch.int32))
    check_op("topk", lambda x0: mb.topk(x=x0, k=k, axis=axis, ascending=ascending), [x], wanted, target=target)


def test_topk_of_all_or_without_indices() -> None:
    x = values(0, 3, 4)
    check_op("topk", lambda x0: mb.topk(x=x0, k=2, return_indices=False), [x], (np.sort(x)[:, ::-1][:, :2],), target="iOS16")
    order = np.argsort(-x).astype(np.int32)
    check_op("topk", lambda x0: mb.topk(x=x0, k=4), [x], (np.take_along_axis(x, order, 1), order))


def suppressed(boxes: np.ndarray, scores: np.ndarray, iou: float, least: float, per_class: bool) -> list[int]:
    """Greedy suppression in plain Python."""
    kept: list[int] = []
    best, label = scores.max(1), scores.argmax(1)
    for i in sorted(range(len(boxes)), key=lambda i: (-best[i], i)):
        if best[i] < least:
            continue
        for j in kept:
            if per_class and label[i] != label[j]:
                continue
            sides = [min(boxes[i, a] + boxes[i, 2 + a] / 2, boxes[j, a] + boxes[j, 2 + a] / 2) for a in (0, 1)]
            lows = [max(boxes[i, a] - boxes[i, 2 + a] / 2, boxes[j, a] - boxes[j, 2 + a] / 2) for a in (0, 1)]
            shared = max(sides[0] - lows[0], 0) * max(sides[1] - lows[1], 0)
            if shared / (boxes[i, 2] * boxes[i, 3] + boxes[j, 2] * boxes[j, 3] - shared) > iou:
                break
        else:
            kept.append(i)
    return kept


@settings(max_examples=20, deadline=None)
@given(seed=seeds, per_class=st.booleans(), least=st.sampled_from([0.0, 0.5]), newer=st.booleans())
def test_non_maximum_suppression_keeps_the_best_of_what_overlaps(seed, per_class, least, newer) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(1, 4, (2, 9, 4)).astype(np.float32)
    scores = rng.random((2, 9, 3)).astype(np.float32)
    count = 6
    kept = [suppressed(boxes[n], scores[n], 0.3, float("-inf") if newer else least, per_class)[:count] for n in range(2)]
    expected_boxes, expected_scores = np.zeros((2, count, 4), np.float32), np.zeros((2, count, 3), np.float32)
    expected_indices = np.full((2, count), -1, np.int32)
    for n, chosen in enumerate(kept):
        expected_boxes[n, : len(chosen)], expected_scores[n, : len(chosen)] = boxes[n, chosen], scores[n, chosen]
        expected_indices[n, : len(chosen)] = chosen
    arguments = {"iou_threshold": np.float32(0.3), "max_boxes": count, "per_class_suppression": per_class}
    if newer:
        wanted = (expected_boxes.transpose(0, 2, 1), expected_scores.transpose(0, 2, 1), expected_indices)
        inputs = [np.ascontiguousarray(x.transpose(0, 2, 1)) for x in (boxes, scores)]
    else:
        arguments["score_threshold"] = np.float32(least)
        wanted = (expected_boxes, expected_scores, expected_indices, np.array([len(k) for k in kept], np.int32))
        inputs = [boxes, scores]
    check_op(
        "non_maximum_suppression",
        lambda x0, x1: mb.non_maximum_suppression(boxes=x0, scores=x1, **arguments),
        inputs,
        wanted,
        target="iOS17" if newer else "iOS16",
    )
