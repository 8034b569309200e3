"""The random joint transform of ``data.transforms.Augmentation`` for a whole batch on its device, in one sampling.

Same steps, same distributions: rotation, scale with depth divided by it, crop, flip, colour jitter in random order. The picture is
interpolated once, bilinearly, where the package interpolates after each step; depth is taken from the nearest pixel.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from settings import Settings
from torch import Tensor

Array = NDArray[np.float64]

#: Luma by which Pillow's enhancers measure contrast and saturation (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Draws:
    """The randomness of N frames, on their device.

    Attributes:
        affine: N×2×3, from a pixel (column, row, 1) of the result to the frame's continuous coordinates.
        scale: N, by which depth is divided.
        factors: N×3 of brightness, contrast and saturation.
        order: N×3, which of them comes first, second and last.
    """

    affine: Tensor
    scale: Tensor
    factors: Tensor
    order: Tensor

    def __getitem__(self, frames: slice) -> "Draws":
        return Draws(self.affine[frames], self.scale[frames], self.factors[frames], self.order[frames])


def draw(count: int, size: tuple[int, int], settings: Settings, rng: np.random.Generator, device: torch.device) -> Draws:
    """The randomness of ``count`` frames; ``size`` is the result's height and width, frames are ``settings.resize`` times as large."""
    degrees = rng.uniform(-settings.max_degrees, settings.max_degrees, count)
    scales = rng.uniform(1.0, settings.max_scale, count)
    place = rng.random((count, 2)) if settings.random_crop else np.full((count, 2), 0.5)
    affine = placed(size, settings.resize, degrees, scales, place, rng.random(count) < 0.5)
    factors = rng.uniform(1 - settings.jitter, 1 + settings.jitter, (count, 3))
    order = rng.permuted(np.tile(np.arange(3), (count, 1)), axis=1)
    numbers = (torch.from_numpy(values).to(torch.float32) for values in (affine, scales, factors))
    return Draws(*(tensor.to(device) for tensor in numbers), torch.from_numpy(order).to(device))


def placed(size: tuple[int, int], resize: float, degrees: Array, scales: Array, place: Array, flipped: NDArray[np.bool_]) -> Array:
    """N×2×3 from a pixel (column, row, 1) of the result to continuous coordinates of the frame, whose first pixel reaches from 0 to 1.

    Args:
        size: height and width of the result.
        resize: a frame's size over that.
        degrees: N, counter-clockwise.
        scales: N, at least 1.
        place: N×2 of the crop, top and left from 0 (included) to 1 (excluded).
        flipped: N, left and right.
    """
    height, width = size
    frame = np.array([round(width * resize), round(height * resize)])
    larger = np.rint(frame * scales[:, np.newaxis])  # N×2
    corner = np.floor((larger - (width, height) + 1) * place[:, ::-1])
    corner[flipped, 0] += width - 1
    start = (corner + 0.5) / larger * frame - frame / 2
    signs = np.column_stack((np.where(flipped, -1.0, 1.0), np.ones(len(scales))))
    radians = np.radians(degrees)
    back = np.stack((np.cos(radians), -np.sin(radians), np.sin(radians), np.cos(radians)), axis=1).reshape(-1, 2, 2)
    step = back * (signs * frame / larger)[:, np.newaxis]
    return np.concatenate((step, back @ start[..., np.newaxis] + frame[:, np.newaxis] / 2), axis=2)


def augment(images: Tensor, depths: Tensor, draws: Draws, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Images in 0..1, depths, and which pixels show the frame rather than what rotation has uncovered.

    Args:
        images: N×3×h×w in 0..1.
        depths: N×1×h×w metres, 0 where invalid.
        draws: of these frames.
        size: H and W of the result.

    Returns:
        N×3×H×W (channels last), N×1×H×W metres, N×1×H×W bool.
    """
    height, width = size
    rows, columns = torch.meshgrid(*(torch.arange(side, device=images.device) for side in size), indexing="ij")
    pixels = torch.stack((columns.flatten(), rows.flatten(), torch.ones_like(rows).flatten()), dim=1).float()  # HW×3
    inner = torch.tensor((images.shape[-1], images.shape[-2]), device=images.device, dtype=torch.float32)
    grid = (pixels @ draws.affine.transpose(1, 2) / inner * 2 - 1).view(-1, height, width, 2)
    inside = (grid.abs() <= 1).all(dim=-1).unsqueeze(1)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False) * inside
    depths = F.grid_sample(depths, grid, mode="nearest", padding_mode="zeros", align_corners=False) * inside
    images = _jittered(images, draws).contiguous(memory_format=torch.channels_last)
    return images, depths / draws.scale.view(-1, 1, 1, 1), inside


def _jittered(images: Tensor, draws: Draws) -> Tensor:
    """Each factor f blends: x ← t + f·(x - t), t being black, the picture's mean grey or each pixel's own."""
    weights = torch.tensor(GREY, device=images.device).view(1, 3, 1, 1)
    for turn in range(3):
        step = draws.order[:, turn].view(-1, 1, 1, 1)
        factor = draws.factors.gather(1, draws.order[:, turn : turn + 1]).view(-1, 1, 1, 1)
        grey = (images * weights).sum(dim=1, keepdim=True)
        target = torch.where(step == 2, grey, torch.where(step == 1, grey.mean(dim=(2, 3), keepdim=True), 0.0))
        images = (target + factor * (images - target)).clamp(0, 1)
    return images
