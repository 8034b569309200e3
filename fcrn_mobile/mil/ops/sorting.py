"""Orders: sorting, the largest elements, and the boxes that survive suppression."""

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "argsort", "non_maximum_suppression", "survivors", "topk"]

_INDEX_TYPES = {"int32": torch.int32, "uint16": torch.int32}


def argsort(x: Tensor, axis: Tensor | int = -1, ascending: bool = False) -> Tensor:
    """Indices that sort along an axis; equal elements keep their order."""
    return torch.sort(x, dim=int(axis), descending=not ascending, stable=True).indices.to(torch.int32)


def topk(
    x: Tensor,
    k: Tensor | int = 1,
    axis: Tensor | int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> tuple[Tensor, ...]:
    """The k largest (ascending: smallest) elements along an axis and their indices; k = -1 takes all, equal ones in their order."""
    along = int(axis) % x.dim()
    count = x.shape[along] if int(k) == -1 else int(k)
    values, indices = torch.sort(x, dim=along, descending=not ascending, stable=True)
    values = values.narrow(along, 0, count)
    if not return_indices:
        return (values,)
    return values, indices.narrow(along, 0, count).to(_INDEX_TYPES[output_indices_dtype])


def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: Tensor,
    max_boxes: Tensor,
    score_threshold: Tensor | None = None,
    per_class_suppression: bool = False,
) -> tuple[Tensor, ...]:
    """Greedy suppression of boxes (x, y, width, height; x and y at the centre) that overlap a better one.

    Up to iOS 16 (with ``score_threshold``) boxes are N×B×4 and scores N×B×K, and the count per image is a fourth output; from
    iOS 17 on they are N×4×B and N×K×B. What is missing to ``max_boxes`` is padded: coordinates and scores with 0, indices with -1.
    """
    older = score_threshold is not None
    if not older:
        boxes, scores = boxes.transpose(1, 2), scores.transpose(1, 2)
    count = int(max_boxes)
    kept_boxes = boxes.new_zeros(boxes.shape[0], count, 4)
    kept_scores = scores.new_zeros(scores.shape[0], count, scores.shape[2])
    kept_indices = torch.full((boxes.shape[0], count), -1, dtype=torch.int32)
    numbers = torch.zeros(boxes.shape[0], dtype=torch.int32)
    for image in range(boxes.shape[0]):
        least = float(score_threshold) if score_threshold is not None else float("-inf")
        survived = survivors(boxes[image], scores[image], float(iou_threshold), least, per_class_suppression)[:count]
        numbers[image] = len(survived)
        kept_boxes[image, : len(survived)] = boxes[image, survived]
        kept_scores[image, : len(survived)] = scores[image, survived]
        kept_indices[image, : len(survived)] = torch.tensor(survived, dtype=torch.int32)
    if older:
        return kept_boxes, kept_scores, kept_indices, numbers
    return kept_boxes.transpose(1, 2), kept_scores.transpose(1, 2), kept_indices


def survivors(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, per_class: bool) -> list[int]:
    """Indices of the boxes that overlap no better one, best first.

    Args:
        boxes: B×4: x and y of the centre, width, height.
        scores: B×K, of each class; a box counts with its largest.
        iou_threshold: largest intersection over union of two that both stay.
        score_threshold: least score.
        per_class: whether only boxes whose largest score is of the same class suppress each other.
    """
    best, label = scores.max(dim=1)
    order = torch.sort(best, descending=True, stable=True).indices
    order = order[~(best[order] < score_threshold)]
    survived: list[int] = []
    while order.numel():
        index = order[0]
        survived.append(int(index))
        rivals = _overlaps(boxes[index], boxes[order]) > iou_threshold
        if per_class:
            rivals &= label[order] == label[index]
        rivals[0] = True
        order = order[~rivals]
    return survived


def _overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of a box and each of B boxes."""
    low, high = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    lows, highs = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    shared = (torch.minimum(high, highs) - torch.maximum(low, lows)).clamp_min(0).prod(dim=1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return torch.where(union > 0, shared / union, torch.zeros((), dtype=boxes.dtype))


def _suppressed_shape(declared: Declared) -> Shape:
    """The boxes, or if there are many classes the scores."""
    return (*declared.shape("boxes")[:1], int(declared.number("max_boxes", 1)), max((4, *declared.shape("scores")[1:])))


OPERATORS = {
    "argsort": Operator(argsort, "exact"),
    "non_maximum_suppression": Operator(non_maximum_suppression, "exact", grows=_suppressed_shape),
    "topk": Operator(topk, "picked"),
}
