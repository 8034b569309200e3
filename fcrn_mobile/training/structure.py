"""Losses that see more than a pixel: edges, slopes, planes and the ratio of depths, for which the mean error of pixels has no eye.

All take a prediction and a truth N×1×h×w in metres and which pixels are valid; invalid ones, and pairs with one, do not count.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.training import distributed

__all__ = [
    "COMMON",
    "EASY",
    "FOCAL",
    "LINE",
    "NEAR",
    "NEAREST",
    "SCALES",
    "TERMS",
    "TRIPLETS",
    "draw_triplets",
    "gradient",
    "log_gradient",
    "normals",
    "plane_triplets",
    "silog",
    "virtual_normals",
]

NEAREST = 1e-3  # metres; a logarithm needs a positive depth
#: How often the error map is halved for gradients of it, and what Eigen et al. 2014 take off for a common factor.
SCALES = 4
COMMON = 0.5
#: Of NYU Depth v2's colour camera: focal length in widths of its picture.
FOCAL = 518.9 / 640
#: Of virtual normals, as their authors released them: triplets per pixel; the cosine beyond which two sides of a triangle count as one
#: line; metres below which points are too near along an axis; and the share of triplets, the easiest, that do not count.
TRIPLETS, LINE, NEAR, EASY = 0.15, 0.867, 0.005, 0.25


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


def virtual_normals(prediction: Tensor, target: Tensor, valid: Tensor, focal: float = FOCAL) -> Tensor:
    """Difference of planes through three pixels far apart (Yin et al. 2019, arXiv 1907.12209, section 3.2; as its authors released it).

    With n and n* the unit normals of the planes on which three pixels of both maps lie in space: the mean of |n - n*|₁ over the triplets
    of ``draw_triplets`` that ``plane_triplets`` keeps, without the quarter of them with the least. Of several processes each leaves out
    its own quarter.

    Args:
        prediction, target, valid: as of all terms; predictions below 1 mm count as 1 mm.
        focal: length in widths of the map, of a camera with square pixels whose principal point is the middle.
    """
    triplets = draw_triplets(target[0].numel(), target.device)
    depths = (prediction.clamp_min(NEAREST), torch.where(valid, target, 0.0))
    ours, theirs = (_points(depth, focal)[:, triplets] for depth in depths)  # N×T×3×3: triplets, their points, xyz
    planes = valid.flatten(1)[:, triplets].all(-1) & plane_triplets(theirs)
    difference = (_plane_normals(ours[planes]) - _plane_normals(theirs[planes])).abs().sum(-1)
    hard = difference.sort().values[int(EASY * len(difference)) :]
    return _mean(hard, torch.ones_like(hard, dtype=torch.bool))


def draw_triplets(pixels: int, device: torch.device) -> Tensor:
    """T×3 indices of pixels, any of them in any place, the same for all images of a batch; from torch's generator of the device."""
    return torch.randint(pixels, (max(1, int(TRIPLETS * pixels)), 3), device=device)


def plane_triplets(points: Tensor) -> Tensor:
    """Which triplets N×T×3×3 of points in metres define a plane: not nearly in a line, and not near each other along all three axes.

    In a line: two sides of the triangle are at less than 30° or more than 150° to each other. Near along an axis: some two of the points.
    """
    sides = torch.stack([points[..., j, :] - points[..., i, :] for i, j in ((0, 1), (0, 2), (1, 2))], dim=-2)  # N×T×3×3
    units = sides / sides.norm(dim=-1, keepdim=True).clamp_min(1e-8)
    cosines = (units * units.roll(1, dims=-2)).sum(-1).abs()
    near = (sides.abs() < NEAR).any(-2).all(-1)
    return ~((cosines > LINE).any(-1) | near)


#: Terms beside a loss of ``losses.LOSSES``, by the setting that is their weight.
TERMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "gradient": gradient,
    "log_gradient": log_gradient,
    "silog": silog,
    "normals": normals,
    "virtual_normals": virtual_normals,
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


def _points(z: Tensor, focal: float) -> Tensor:
    """N×1×h×w → N×hw×3, where pixels lie in space."""
    height, width = z.shape[-2:]
    down, across = (torch.arange(side, device=z.device, dtype=z.dtype) - (side - 1) / 2 for side in (height, width))
    scale = z / (focal * width)
    return torch.stack((across * scale, down[:, None] * scale, z), dim=-1).reshape(len(z), -1, 3)


def _plane_normals(points: Tensor) -> Tensor:
    """K×3×3 → K×3, of unit length."""
    first, second, third = points.unbind(-2)
    return F.normalize(torch.linalg.cross(second - first, third - first), dim=-1)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over valid values of all processes, this one's share of it; 0 with zero gradient where there are none."""
    share = distributed.share(valid.sum())
    return values[valid].mean() * share if share else values.sum() * 0.0
