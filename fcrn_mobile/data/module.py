"""Data for training and validation, as Lightning takes it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import Dataset

from fcrn_mobile.data.batches import Batch, training_batch, validation_batch, views_batch
from fcrn_mobile.data.cache import Cached
from fcrn_mobile.data.loading import Batches, EpochSampler, Loading
from fcrn_mobile.data.mixture import Mixture
from fcrn_mobile.data.source import Indexed, Sample, Source, Wrapped
from fcrn_mobile.data.transforms import Transform, image_tensor, resize
from fcrn_mobile.data.views import ViewAugmentation, Views, ViewSource, resize_views

__all__ = ["Augmented", "DataModule", "Item", "ResizedFrames", "ResizedViews", "Targets", "depth_data", "views_data"]

#: What a data set is made of: frames, or the views of a scene.
Item = TypeVar("Item", Sample, Views)


class Augmented(Wrapped, Dataset[Item], Generic[Item]):
    """Items under a random transform whose randomness depends on seed, epoch and item alone, not on workers or order."""

    def __init__(self, source: Indexed[Item], transform: Callable[[Item, np.random.Generator], Item], seed: int) -> None:
        self.source: Indexed[Item] = source
        self.transform: Callable[[Item, np.random.Generator], Item] = transform
        self.seed = seed

    def __getitem__(self, key: tuple[int, int]) -> Item:
        epoch, index = key
        return self.transform(self.source[index], np.random.default_rng((self.seed, epoch, index)))


class ResizedFrames(Wrapped, Dataset[tuple[Tensor, Sample]]):
    """Frames with their image at the network's size; the sample keeps its own."""

    def __init__(self, source: Source, input_size: tuple[int, int]) -> None:
        self.source = source
        self.input_size = input_size

    def __getitem__(self, index: int) -> tuple[Tensor, Sample]:
        sample = self.source[index]
        return image_tensor(resize(sample, *self.input_size).image), sample


class ResizedViews(Wrapped, Dataset[Views]):
    """Views at the network's size."""

    def __init__(self, source: ViewSource, input_size: tuple[int, int]) -> None:
        self.source = source
        self.input_size = input_size

    def __getitem__(self, index: int) -> Views:
        return resize_views(self.source[index], *self.input_size)


@dataclass(frozen=True)
class Targets(Wrapped):
    """The target pictures of views as RGB-D frames on which no depth is known."""

    source: ViewSource

    def __getitem__(self, index: int) -> Sample:
        views = self.source[index]
        return Sample(views.images[0], np.zeros(views.size, np.float32), views.name)


class DataModule(LightningDataModule, Generic[Item]):
    """Training batches under a transform, and validation batches; ``depth_data`` and ``views_data`` make them.

    Args:
        frames: to train on.
        plain: the same without the transform.
        collate: makes a training batch of them.
        validation_frames: whole frames to validate with, and to show.
        validation_views: views to validate with in place of the frames, on which then no depth is known.
        loading: how many make a batch, and where.
        mixture: tells which frames are an epoch's; None takes all.
    """

    def __init__(
        self,
        frames: Augmented[Item],
        plain: ResizedFrames,
        collate: Callable[[Sequence[Item]], Batch],
        validation_frames: ResizedFrames,
        validation_views: ResizedViews | None,
        loading: Loading,
        mixture: Mixture | None = None,
    ) -> None:
        super().__init__()
        self.frames: Augmented[Item] = frames
        self.plain = plain
        self.collate: Callable[[Sequence[Item]], Batch] = collate
        self.validation_frames = validation_frames
        self.validation_views = validation_views
        self.loading = loading
        self.mixture = mixture

    @property
    def has_depth(self) -> bool:
        """Whether validation frames come with true depth."""
        return self.validation_views is None

    def train_dataloader(self) -> Batches:
        sampler = self._sampler()
        # A last batch of one frame would make batch norm fail on a 1×1 map.
        drop_last = len(sampler) > self.loading.batch_size
        return Batches(self.frames, self.collate, sampler, self.loading, drop_last)

    def plain_images(self) -> Iterator[Tensor]:
        """Images N×3×H×W in 0..1 of an epoch's frames without the transform, in batches as training has them."""
        sampler = self._sampler()
        places, drop_last = [index for _, index in sampler], len(sampler) > self.loading.batch_size
        return (batch.images for batch in Batches(self.plain, validation_batch, places, self.loading, drop_last))

    def val_dataloader(self) -> Batches:
        rank, processes = self._place()
        if self.validation_views is not None:
            places = range(rank, len(self.validation_views), processes)
            return Batches(self.validation_views, views_batch, places, self.loading)
        places = range(rank, len(self.validation_frames), processes)
        return Batches(self.validation_frames, validation_batch, places, self.loading)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)

    def _sampler(self) -> EpochSampler:
        count = sum(self.mixture.shown) if self.mixture else len(self.frames)
        return EpochSampler(count, self.frames.seed, *self._place(), self.mixture)

    def _place(self) -> tuple[int, int]:
        """The process's rank and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def depth_data(
    train: Source,
    val: Source,
    input_size: tuple[int, int],
    transform: Transform,
    loading: Loading,
) -> DataModule[Sample]:
    """Frames with true depth.

    Args:
        train, val: sources.
        input_size: the network's height and width.
        transform: random joint transform of training frames, ending at ``input_size``.
        loading: of frames.
    """
    mixture = train if isinstance(train, Mixture) else None
    frames = Augmented(_cached(train, loading), transform, loading.seed)
    plain, validation = ResizedFrames(frames.source, input_size), ResizedFrames(_cached(val, loading), input_size)
    return DataModule(frames, plain, training_batch, validation, None, loading, mixture)


def views_data(
    train: ViewSource,
    val: ViewSource | None,
    truth: Source | None,
    transform: ViewAugmentation,
    loading: Loading,
) -> DataModule[Views]:
    """Views for the objectives that need no depth.

    Args:
        train: views to train on.
        val: views on which the objective's own loss is taken.
        truth: frames with true depth to measure depth on, in place of ``val``.
        transform: of training views, ending at the network's input size.
        loading: of scenes.
    """
    frames, size = Augmented(_cached(train, loading), transform, loading.seed), transform.input_size
    plain = ResizedFrames(Targets(frames.source), size)
    if truth is not None:
        return DataModule(frames, plain, views_batch, ResizedFrames(_cached(truth, loading), size), None, loading)
    if val is None:
        raise ValueError("give views or frames to validate with")
    views = _cached(val, loading)
    return DataModule(frames, plain, views_batch, ResizedFrames(Targets(views), size), ResizedViews(views, size), loading)


def _cached(source: Indexed[Item], loading: Loading) -> Indexed[Item]:
    return Cached(source, loading.cache_mb) if loading.cache_mb else source
