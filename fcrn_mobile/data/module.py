"""Batches for training and validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fcrn_mobile.data.cache import Cached
from fcrn_mobile.data.mixture import Mixture
from fcrn_mobile.data.source import Sample, Source
from fcrn_mobile.data.transforms import Transform, depth_tensor, image_tensor, resize


@dataclass(frozen=True)
class TrainingBatch:
    """Images N×3×H×W in 0..1 and true depth N×1×H×W in metres, 0 where invalid."""

    images: Tensor
    depths: Tensor
    names: tuple[str, ...]


@dataclass(frozen=True)
class ValidationBatch:
    """Images N×3×H×W in 0..1 at the network's size, and the true depths at their own sizes."""

    images: Tensor
    depths: tuple[NDArray[np.float32], ...]
    names: tuple[str, ...]


class AugmentedFrames(Dataset[Sample]):
    """Frames under a random transform whose randomness depends on seed, epoch and frame alone, not on workers or order."""

    def __init__(self, source: Source, transform: Transform, seed: int) -> None:
        self.source = source
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, index = key
        return self.transform(self.source[index], np.random.default_rng((self.seed, epoch, index)))


class EpochSampler(Sampler[tuple[int, int]]):
    """(epoch, index) pairs in an order drawn from seed and epoch; Lightning calls ``set_epoch``.

    Of several processes each takes every ``processes``-th frame, so that their n-th batches together are the n-th batch of one
    process with a batch as large as theirs together. All take equally many: what doesn't divide is left to another epoch's order.

    Args:
        count: frames of an epoch.
        seed: of the order.
        rank, processes: of this process, and how many there are.
        mixture: tells which frames are an epoch's; None takes all ``count``.
    """

    def __init__(self, count: int, seed: int, rank: int = 0, processes: int = 1, mixture: Mixture | None = None) -> None:
        self.count = count // processes
        self.total = count
        self.mixture = mixture
        self.seed = seed
        self.rank = rank
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.total)
        if self.mixture is not None:
            order = self.mixture.drawn(self.seed, self.epoch)[order]
        return iter([(self.epoch, int(index)) for index in order[self.rank :: self.processes][: self.count]])


class ResizedFrames(Dataset[tuple[Tensor, Sample]]):
    """Frames with their image at the network's size; the sample keeps its own."""

    def __init__(self, source: Source, input_size: tuple[int, int]) -> None:
        self.source = source
        self.input_size = input_size

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[Tensor, Sample]:
        sample = self.source[index]
        return image_tensor(resize(sample, *self.input_size).image), sample


class DepthDataModule(LightningDataModule):
    """Training batches under a transform, validation batches of whole frames.

    Args:
        train, val: sources.
        input_size: the network's height and width.
        transform: random joint transform of training frames, ending at ``input_size``.
        batch_size: frames per batch.
        workers: loader processes; 0 loads in the training process.
        seed: of order and augmentation.
        cache_mb: megabytes of decoded frames to keep, for training and for validation each, in every loader process; 0 keeps none.
    """

    def __init__(
        self,
        train: Source,
        val: Source,
        input_size: tuple[int, int],
        transform: Transform,
        batch_size: int,
        workers: int,
        seed: int,
        cache_mb: int = 0,
    ) -> None:
        super().__init__()
        self.mixture = train if isinstance(train, Mixture) else None
        if cache_mb:
            train, val = Cached(train, cache_mb), Cached(val, cache_mb)
        self.batch_size = batch_size
        self.workers = workers
        self.frames = AugmentedFrames(train, transform, seed)
        self.validation_frames = ResizedFrames(val, input_size)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._training_loader(_training_batch)

    def _training_loader(self, collate: Callable[[list[Any]], Any]) -> DataLoader[Any]:
        rank, processes = self._place()
        count = sum(self.mixture.shown) if self.mixture else len(self.frames)
        sampler = EpochSampler(count, self.frames.seed, rank, processes, self.mixture)
        # A last batch of one frame would make batch norm fail on a 1×1 map.
        drop_last = len(sampler) > self.batch_size
        return DataLoader(
            self.frames,
            self.batch_size,
            sampler=sampler,
            num_workers=self.workers,
            collate_fn=collate,
            drop_last=drop_last,
            persistent_workers=self.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[Any]:
        rank, processes = self._place()
        return DataLoader(
            self.validation_frames,
            self.batch_size,
            sampler=range(rank, len(self.validation_frames), processes),
            num_workers=self.workers,
            collate_fn=_validation_batch,
            persistent_workers=self.workers > 0,
        )

    def _place(self) -> tuple[int, int]:
        """The process's rank and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def transfer_batch_to_device(self, batch: object, device: torch.device, dataloader_idx: int) -> object:
        if isinstance(batch, TrainingBatch):
            return TrainingBatch(_to_device(batch.images, device), batch.depths.to(device, non_blocking=True), batch.names)
        if isinstance(batch, ValidationBatch):
            return ValidationBatch(_to_device(batch.images, device), batch.depths, batch.names)
        return super().transfer_batch_to_device(batch, device, dataloader_idx)


def _to_device(images: Tensor, device: torch.device) -> Tensor:
    # Depthwise convolutions run backward several times slower in NCHW.
    return images.to(device, non_blocking=True, memory_format=torch.channels_last)


def _training_batch(samples: list[Sample]) -> TrainingBatch:
    return TrainingBatch(
        images=torch.stack([image_tensor(sample.image) for sample in samples]),
        depths=torch.stack([depth_tensor(sample.depth) for sample in samples]),
        names=tuple(sample.name for sample in samples),
    )


def _validation_batch(items: list[tuple[Tensor, Sample]]) -> ValidationBatch:
    return ValidationBatch(
        images=torch.stack([image for image, _ in items]),
        depths=tuple(sample.depth for _, sample in items),
        names=tuple(sample.name for _, sample in items),
    )
