"""Batches of views for training; for validation, batches of views too or of frames with true depth."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fcrn_mobile.data.cache import Cached
from fcrn_mobile.data.module import DepthDataModule
from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.data.views import ViewAugmentation, Views, ViewSource, resize_views


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


class ResizedViews(Dataset[Views]):
    """Views at the network's size."""

    def __init__(self, source: ViewSource, input_size: tuple[int, int]) -> None:
        self.source = source
        self.input_size = input_size

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Views:
        return resize_views(self.source[index], *self.input_size)


@dataclass(frozen=True)
class Targets:
    """The target pictures of views as RGB-D frames on which no depth is known."""

    views: ViewSource

    @property
    def names(self) -> tuple[str, ...]:
        return self.views.names

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Sample:
        views = self.views[index]
        return Sample(views.images[0], np.zeros(views.size, np.float32), views.name)


class ViewsDataModule(DepthDataModule):
    """Batches for the objectives that need no depth.

    Args:
        train: views to train on.
        val: views on which the objective's own loss is taken.
        truth: frames with true depth to measure depth on, in place of ``val``.
        transform: of training views, ending at the network's input size.
        batch_size: scenes per batch.
        workers: loader processes; 0 loads in the training process.
        seed: of order and augmentation.
        cache_mb: megabytes of decoded views or frames to keep, as of ``DepthDataModule``; a picture counts in each of its scenes.
    """

    def __init__(
        self,
        train: ViewSource,
        val: ViewSource | None,
        truth: Source | None,
        transform: ViewAugmentation,
        batch_size: int,
        workers: int,
        seed: int,
        cache_mb: int = 0,
    ) -> None:
        if cache_mb:
            train = Cached(train, cache_mb)
            val = Cached(val, cache_mb) if val is not None else None
            truth = Cached(truth, cache_mb) if truth is not None else None
        # Loading, order and randomness are those of frames: what differs is what a transform takes and what a batch is made of.
        frames: Source | None = truth or (Targets(val) if val is not None else None)
        if frames is None:
            raise ValueError("give views or frames to validate with")
        super().__init__(train, frames, transform.input_size, transform, batch_size, workers, seed)  # type: ignore[arg-type]
        self.validation_views = ResizedViews(val, transform.input_size) if truth is None and val is not None else None

    @property
    def has_depth(self) -> bool:
        """Whether validation frames come with true depth."""
        return self.validation_views is None

    def train_dataloader(self) -> DataLoader[Any]:
        return self._training_loader(views_batch)

    def val_dataloader(self) -> DataLoader[Any]:
        if self.validation_views is None:
            return super().val_dataloader()
        rank, processes = self._place()
        places = range(rank, len(self.validation_views), processes)
        return DataLoader(self.validation_views, self.batch_size, sampler=places, num_workers=self.workers, collate_fn=views_batch)

    def transfer_batch_to_device(self, batch: object, device: torch.device, dataloader_idx: int) -> object:
        if isinstance(batch, ViewsBatch):
            images, intrinsics, baselines = (
                tensor.to(device, non_blocking=True) for tensor in (batch.images, batch.intrinsics, batch.baselines)
            )
            return ViewsBatch(images, intrinsics, baselines, batch.names)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


def views_batch(scenes: Sequence[Views]) -> ViewsBatch:
    """Scenes of equal size and number of views as one batch."""
    return ViewsBatch(
        images=torch.stack([torch.stack([image_tensor(image) for image in views.images]) for views in scenes]),
        intrinsics=torch.tensor([astuple(views.intrinsics) for views in scenes]),
        baselines=torch.tensor([views.baseline for views in scenes]),
        names=tuple(views.name for views in scenes),
    )
