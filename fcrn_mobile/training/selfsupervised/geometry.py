"""View synthesis: one camera's picture from another's, by depth and pose or by disparity.

Conventions. Pixel (u, v) = (column, row) has its centre at whole numbers, so a picture covers -0.5..W-0.5 by -0.5..H-0.5, and the
pinhole is u = fx·X/Z + cx, v = fy·Y/Z + cy. Cameras look along +Z, X to the right, Y downwards. Intrinsics are N×4: fx, fy, cx, cy
in pixels of the picture that they are used with. A pose N×4×4 takes points of the target camera to the source camera.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "NEAREST",
    "Warped",
    "back_project",
    "move",
    "pixel_grid",
    "pose_matrix",
    "project",
    "sample",
    "scale_intrinsics",
    "shift",
    "warp",
]

#: Points nearer than this (in the unit of depth) have no reliable projection and never count.
NEAREST = 1e-3


class Warped(NamedTuple):
    """A synthesised picture N×C×H×W, and where it was seen: N×1×H×W bool, false behind the source camera or outside its picture."""

    image: Tensor
    valid: Tensor


def scale_intrinsics(intrinsics: Tensor, size: tuple[int, int], new_size: tuple[int, int]) -> Tensor:
    """Intrinsics of a picture that is resampled from one height × width to another; pixel centres stay at whole numbers."""
    down, across = new_size[0] / size[0], new_size[1] / size[1]
    fx, fy, cx, cy = intrinsics.unbind(-1)
    return torch.stack((fx * across, fy * down, (cx + 0.5) * across - 0.5, (cy + 0.5) * down - 0.5), dim=-1)


def pose_matrix(twist: Tensor) -> Tensor:
    """The rigid motion exp(ξ̂) of a twist ξ = (v, ω): an element of SE(3) for every six numbers, the identity for zeros.

    Args:
        twist: …×6, the translational part v in units of depth and the rotation vector ω in radians.

    Returns:
        …×4×4.
    """
    x, y, z, a, b, c = twist.unbind(-1)
    zero = torch.zeros_like(x)
    rows = (zero, -c, b, x, c, zero, -a, y, -b, a, zero, z, zero, zero, zero, zero)
    return torch.linalg.matrix_exp(torch.stack(rows, dim=-1).unflatten(-1, (4, 4)))


def pixel_grid(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Columns 1×W and rows H×1 of the pixel centres of a map, in its dtype and on its device."""
    height, width = depth.shape[-2:]
    u = torch.arange(width, dtype=depth.dtype, device=depth.device)
    v = torch.arange(height, dtype=depth.dtype, device=depth.device)
    return u.unsqueeze(0), v.unsqueeze(1)


def back_project(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """The 3-D point of every pixel: D(p)·K⁻¹·p.

    Args:
        depth: N×1×H×W.
        intrinsics: N×4.

    Returns:
        N×3×H×W in units of depth.
    """
    fx, fy, cx, cy = intrinsics.to(depth.dtype).view(-1, 4, 1, 1, 1).unbind(1)  # each N×1×1×1
    u, v = pixel_grid(depth)
    return torch.cat(((u - cx) / fx * depth, (v - cy) / fy * depth, depth), dim=1)


def move(points: Tensor, pose: Tensor) -> Tensor:
    """N×3×H×W points under a rigid motion N×4×4."""
    rotation, translation = pose[:, :3, :3].to(points.dtype), pose[:, :3, 3].to(points.dtype)
    return torch.einsum("nij,njhw->nihw", rotation, points) + translation[:, :, None, None]


def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where points fall in a picture.

    Args:
        points: N×3×H×W.
        intrinsics: N×4.

    Returns:
        Columns and rows in pixels, and the depth, each N×1×H×W. Points nearer than ``NEAREST`` are projected as if they were there.
    """
    x, y, z = points.split(1, dim=1)
    fx, fy, cx, cy = intrinsics.to(points.dtype).view(-1, 4, 1, 1, 1).unbind(1)
    ahead = z.clamp_min(NEAREST)
    return fx * x / ahead + cx, fy * y / ahead + cy, z


def sample(image: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A picture read bilinearly at pixel coordinates; outside of it, its border continues.

    Args:
        image: N×C×H×W.
        u, v: columns and rows, N×1×h×w.
    """
    height, width = image.shape[-2:]
    # With align_corners=False the normalised coordinates -1 and 1 are the outer edges of the picture, at -0.5 and W-0.5.
    grid = torch.cat(((2 * u + 1) / width - 1, (2 * v + 1) / height - 1), dim=1).permute(0, 2, 3, 1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)


def warp(source: Tensor, depth: Tensor, pose: Tensor, intrinsics: Tensor) -> Warped:
    """The target camera's view, read from a source picture at p_s ~ K·T·D(p_t)·K⁻¹·p_t (Zhou et al. 2017, arXiv 1704.07813, eq. 2).

    Args:
        source: N×C×H×W.
        depth: of the target, N×1×H×W.
        pose: target camera to source camera, N×4×4, its translation in units of depth.
        intrinsics: of both pictures, N×4.
    """
    u, v, z = project(move(back_project(depth, intrinsics), pose), intrinsics)
    return Warped(sample(source, u, v), _inside(u, source.shape[-1]) & _inside(v, source.shape[-2]) & (z > NEAREST))


def shift(source: Tensor, disparity: Tensor) -> Warped:
    """A rectified picture read along its rows: result(u, v) = source(u + disparity·W, v) (Godard et al. 2017, arXiv 1609.03677).

    Args:
        source: N×C×H×W.
        disparity: N×1×H×W as a fraction of the width; negative to make a left view of a right picture.
    """
    u, v = pixel_grid(disparity)
    columns = u + disparity * source.shape[-1]
    return Warped(sample(source, columns, v.expand_as(columns)), _inside(columns, source.shape[-1]))


def _inside(coordinate: Tensor, length: int) -> Tensor:
    return (coordinate >= 0) & (coordinate <= length - 1)
