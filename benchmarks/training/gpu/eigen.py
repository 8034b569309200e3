"""Protocol ``eigen`` of ``evaluation.metrics`` for many frames at once, on their device; means over images, plain numbers out."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Rows 45:471 and columns 41:601 of 480×640 as fractions; metres that count.
CROP = (45 / 480, 471 / 480, 41 / 640, 601 / 640)
NEAREST, FARTHEST = 1e-3, 10.0
#: Ratios of neighbouring depths that make an edge.
EDGE_RATIOS = tuple(1.05 + 0.2 * index / 9 for index in range(10))


def image_metrics(predictions: Tensor, depths: Tensor) -> dict[str, Tensor]:
    """Every metric of each frame, N float64; NaN for a frame without a pixel that counts.

    Args:
        predictions: N×1×h×w metres.
        depths: N×1×H×W true metres, 0 where invalid.
    """
    height, width = depths.shape[-2:]
    resized = F.interpolate(predictions.float(), size=(height, width), mode="bilinear", antialias=True)
    p, d = resized.clamp(NEAREST, FARTHEST).double(), depths.double()
    counted = torch.isfinite(d) & (d > NEAREST) & (d <= FARTHEST)
    top, bottom, left, right = CROP
    inside = torch.zeros_like(counted)
    inside[..., round(top * height) : round(bottom * height), round(left * width) : round(right * width)] = True
    counted &= inside
    d = torch.where(counted, d, 1.0)
    pixels = counted.sum(dim=(1, 2, 3))

    def mean(values: Tensor) -> Tensor:
        return torch.where(counted, values, 0.0).sum(dim=(1, 2, 3)) / pixels

    error, log_error, inverse_error = p - d, p.log() - d.log(), 1000 / p - 1000 / d
    ratio = torch.maximum(p / d, d / p)
    log_square = mean(log_error.square())
    return {
        "abs_rel": mean(error.abs() / d),
        "sq_rel": mean(error.square() / d),
        "rmse": mean(error.square()).sqrt(),
        "rmse_log": log_square.sqrt(),
        "log10": mean(log_error.abs()) / math.log(10),
        "silog": 100 * (log_square - mean(log_error).square()).clamp_min(0).sqrt(),
        "mae": mean(error.abs()),
        "irmse": mean(inverse_error.square()).sqrt(),
        "imae": mean(inverse_error.abs()),
        **{f"delta{k}": mean((ratio < 1.25**k).double()) for k in (1, 2, 3)},
        "boundary_f1": boundary_f1(p, d, counted),
    }


def boundary_f1(predictions: Tensor, depths: Tensor, counted: Tensor) -> Tensor:
    """``boundary_f1`` of ``evaluation.formulas`` of each frame: N×1×H×W metres > 0 and what counts → N float64."""
    scores = torch.zeros(len(depths), dtype=torch.float64, device=depths.device)
    for ratio in EDGE_RATIOS:
        hits, edges = torch.zeros_like(scores), torch.zeros_like(scores)
        for axis in (2, 3):
            last = depths.shape[axis] - 1
            pairs = counted.narrow(axis, 0, last) & counted.narrow(axis, 1, last)
            steps = [depth.narrow(axis, 0, last) / depth.narrow(axis, 1, last) for depth in (depths, predictions)]
            for true, predicted in (steps, [1 / step for step in steps]):
                true_edges, predicted_edges = pairs & (true > ratio), pairs & (predicted > ratio)
                hits += (true_edges & predicted_edges).sum(dim=(1, 2, 3))
                edges += true_edges.sum(dim=(1, 2, 3)) + predicted_edges.sum(dim=(1, 2, 3))
        scores += ratio * 2 * hits / edges.clamp_min(1)
    return scores / sum(EDGE_RATIOS)
