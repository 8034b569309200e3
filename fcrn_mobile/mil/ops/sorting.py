"""Orders: sorting, the largest elements, and the boxes that survive suppression."""

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "argsort", "non_maximum_suppression", "topk"]

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
        survivors = _survivors(boxes[image], scores[image], float(iou_threshold), least, per_class_suppression)[:count]
        numbers[image] = len(survivors)
        kept_boxes[image, : len(survivors)] = boxes[image, survivors]
        kept_scores[image, : len(survivors)] = scores[image, survivors]
        kept_indices[image, : len(survivors)] = torch.tensor(survivors, dtype=torch.int32)
    if older:
        return kept_boxes, kept_scores, kept_indices, numbers
    return kept_boxes.transpose(1, 2), kept_scores.transpose(1, 2), kept_indices


def _survivors(boxes: Tensor, scores: Tensor, iou_threshold: float, score_threshold: float, per_class: bool) -> list[int]:
    """Indices of one image's boxes, best first."""
    best, label = scores.max(dim=1)
    order = torch.sort(best, descending=True, stable=True).indices.tolist()
    overlap = _overlaps(boxes)
    survivors: list[int] = []
    for index in order:
        if best[index] < score_threshold:
            break
        rivals = [other for other in survivors if not per_class or label[other] == label[index]]
        if not rivals or float(overlap[index, rivals].max()) <= iou_threshold:
            survivors.append(index)
    return survivors


def _overlaps(boxes: Tensor) -> Tensor:
    """B×B intersection over union."""
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    shared = (torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)).clamp_min(0).prod(dim=2)
    area = boxes[:, 2] * boxes[:, 3]
    union = area[:, None] + area - shared
    return torch.where(union > 0, shared / union, torch.zeros(()))


def _suppressed_shape(declared: Declared) -> Shape:
    """The boxes, or if there are many classes the scores."""
    return (*declared.shape("boxes")[:1], int(declared.number("max_boxes", 1)), max((4, *declared.shape("scores")[1:])))


OPERATORS = {
    "argsort": Operator(argsort, "exact"),
    "non_maximum_suppression": Operator(non_maximum_suppression, "exact", grows=_suppressed_shape),
    "topk": Operator(topk, "picked"),
}
