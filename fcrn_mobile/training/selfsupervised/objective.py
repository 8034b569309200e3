"""What a self-supervised objective takes and gives."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.data.batches import ViewsBatch
from fcrn_mobile.network.fcrn import FCRN


@dataclass(frozen=True)
class Terms:
    """A batch's loss, what it is made of, and the share of pixels that counted.

    Attributes:
        loss: scalar, to be minimised.
        parts: scalars for the log, by name.
        counted: from 0 to 1; 1 where nothing is masked out.
    """

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    counted: Tensor | None = None


#: An objective: a module that holds what only training needs, called with the depth network and a batch.
Objective = Callable[[FCRN, ViewsBatch], Terms]


def resample(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """N×V×3×H×W pictures at another height × width, without aliasing."""
    if pictures.shape[-2:] == size:
        return pictures
    flat = F.interpolate(pictures.flatten(0, 1), size=size, mode="bilinear", align_corners=False, antialias=True)
    return flat.unflatten(0, pictures.shape[:2])
