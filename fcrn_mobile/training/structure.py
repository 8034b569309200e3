"""Losses that see more than a pixel: edges, slopes and the ratio of depths, for which the mean error of pixels has no eye.

All take a prediction and a truth N×1×h×w in metres and which pixels are valid; invalid ones, and pairs with one, do not count.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.training import distributed

__all__ = ["COMMON", "NEAREST", "SCALES", "TERMS", "gradient", "log_gradient", "normals", "silog"]

NEAREST = 1e-3  # metres; a logarithm needs a positive depth
#: How often the error map is halved for gradients of it, and what Eigen et al. 2014 take off for a common factor.
SCALES = 4
COMMON = 0.5


def gradient(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Multi-scale gradient matching (Li & Snavely 2018, arXiv 1804.00607, equation 3; as MiDaS, arXiv 1907.01341) of depth.

    With R = p - d at every 2ᵏ-th pixel, k = 0..3: the mean over k of mean|∂R/∂x| + mean|∂R/∂y|, in metres.
    """
    return _gradient(torch.where(valid, prediction - target, 0.0), valid)


def log_gradient(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """The same with R = ln p - ln d, as MegaDepth has it: an edge counts by the ratio of its depths."""
    return _gradient(_log_ratio(prediction, target, valid), valid)


def silog(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Scale-invariant error (Eigen et al. 2014, arXiv 1406.2283, equation 4).

    With R = ln p - ln d: the mean over images of mean(R²) - ½·mean(R)².
    """
    ratio = _log_ratio(prediction, target, valid).flatten(1)  # N×hw
    count = valid.flatten(1).sum(1)
    pixels = count.clamp_min(1)
    errors = ratio.square().sum(1) / pixels - COMMON * (ratio.sum(1) / pixels).square()
    return _mean(errors, count > 0)


def normals(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean of 1 - cos between the normals (-∂z/∂x, -∂z/∂y, 1) of both maps (Hu et al. 2019, arXiv 1803.08673, equation 6).

    Slopes are in metres per 1/100 of the map's width, so that they do not depend on the network's size.
    """
    step = prediction.shape[-1] / 100
    ours, theirs = (_normals(torch.where(valid, depth, 0.0) * step) for depth in (prediction, target))
    inner = valid[..., 1:, 1:] & valid[..., :-1, 1:] & valid[..., 1:, :-1] & valid[..., :-1, :-1]
    return _mean(1 - F.cosine_similarity(ours, theirs, dim=1).unsqueeze(1), inner)


#: Terms beside a loss of ``losses.LOSSES``, by the setting that is their weight.
TERMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "gradient": gradient,
    "log_gradient": log_gradient,
    "silog": silog,
    "normals": normals,
}


def _log_ratio(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Of logarithms, ln p - ln d; predictions below 1 mm counting as 1 mm; 0 where invalid."""
    return torch.where(valid, prediction.clamp_min(NEAREST).log() - torch.where(valid, target, 1.0).log(), 0.0)


def _gradient(error: Tensor, valid: Tensor) -> Tensor:
    total = error.sum() * 0.0
    for scale in range(SCALES):
        e, mask = error[..., :: 2**scale, :: 2**scale], valid[..., :: 2**scale, :: 2**scale]
        total = total + _mean((e[..., 1:] - e[..., :-1]).abs(), mask[..., 1:] & mask[..., :-1])
        total = total + _mean((e[..., 1:, :] - e[..., :-1, :]).abs(), mask[..., 1:, :] & mask[..., :-1, :])
    return total / SCALES


def _normals(z: Tensor) -> Tensor:
    """N×1×h×w → N×3×(h-1)×(w-1), not of unit length."""
    corner = z[..., :-1, :-1]
    dx, dy = z[..., :-1, 1:] - corner, z[..., 1:, :-1] - corner
    return torch.cat((-dx, -dy, torch.ones_like(dx)), dim=1)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid values of all processes, this one's share of it; 0 with zero gradient where there are none."""
    share = distributed.share(valid.sum())
    return values[valid].mean() * share if share else values.sum() * 0.0
