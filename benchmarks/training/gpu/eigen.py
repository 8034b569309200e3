"""Protocol ``eigen`` of ``evaluation.metrics`` for many frames at once, on their device; means over images, plain numbers out."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

#: Rows 45:471 and columns 41:601 of 480×640 as fractions; metres that count.
CROP = (45 / 480, 471 / 480, 41 / 640, 601 / 640)
NEAREST, FARTHEST = 1e-3, 10.0


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
    }
