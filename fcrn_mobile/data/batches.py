"""Batches of frames and of views, and how they are made of the items of a data set."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.transforms import depth_tensor, image_tensor
from fcrn_mobile.data.views import Views

__all__ = ["Batch", "TrainingBatch", "ValidationBatch", "ViewsBatch", "training_batch", "validation_batch", "views_batch"]


class Batch(Protocol):
    """What a training or validation step takes."""

    @property
    def images(self) -> Tensor:
        """In 0..1."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of its frames or scenes."""
        ...

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        ...


@dataclass(frozen=True)
class TrainingBatch:
    """Images N×3×H×W in 0..1 and true depth N×1×H×W in metres, 0 where invalid."""

    images: Tensor
    depths: Tensor
    names: tuple[str, ...]

    def to(self, device: torch.device) -> "TrainingBatch":
        """The same on a device."""
        return replace(self, images=_channels_last(self.images, device), depths=self.depths.to(device, non_blocking=True))


@dataclass(frozen=True)
class ValidationBatch:
    """Images N×3×H×W in 0..1 at the network's size, and the true depths at their own sizes."""

    images: Tensor
    depths: tuple[NDArray[np.float32], ...]
    names: tuple[str, ...]

    def to(self, device: torch.device) -> "ValidationBatch":
        """The same on a device, but for the depths."""
        return replace(self, images=_channels_last(self.images, device))


@dataclass(frozen=True)
class ViewsBatch:
    """Views of several scenes.

    Attributes:
        images: N×V×3×H×W in 0..1, the target first.
        intrinsics: N×4: fx, fy, cx, cy in pixels of H×W.
        baselines: N, metres; 0 for a video.
        names: of the scenes.
    """

    images: Tensor
    intrinsics: Tensor
    baselines: Tensor
    names: tuple[str, ...]

    def to(self, device: torch.device) -> "ViewsBatch":
        """The same on a device."""
        tensors = (self.images, self.intrinsics, self.baselines)
        images, intrinsics, baselines = (tensor.to(device, non_blocking=True) for tensor in tensors)
        return ViewsBatch(images, intrinsics, baselines, self.names)


def training_batch(samples: Sequence[Sample]) -> TrainingBatch:
    """Frames of equal size as one batch."""
    return TrainingBatch(
        images=torch.stack([image_tensor(sample.image) for sample in samples]),
        depths=torch.stack([depth_tensor(sample.depth) for sample in samples]),
        names=tuple(sample.name for sample in samples),
    )


def validation_batch(items: Sequence[tuple[Tensor, Sample]]) -> ValidationBatch:
    """Images of equal size, and the frames that they are of, as one batch."""
    return ValidationBatch(
        images=torch.stack([image for image, _ in items]),
        depths=tuple(sample.depth for _, sample in items),
        names=tuple(sample.name for _, sample in items),
    )


def views_batch(scenes: Sequence[Views]) -> ViewsBatch:
    """Scenes of equal size and number of views as one batch."""
    return ViewsBatch(
        images=torch.stack([torch.stack([image_tensor(image) for image in views.images]) for views in scenes]),
        intrinsics=torch.tensor([astuple(views.intrinsics) for views in scenes]),
        baselines=torch.tensor([views.baseline for views in scenes]),
        names=tuple(views.name for views in scenes),
    )


def _channels_last(images: Tensor, device: torch.device) -> Tensor:
    # Depthwise convolutions run backward several times slower in NCHW.
    return images.to(device, non_blocking=True, memory_format=torch.channels_last)
