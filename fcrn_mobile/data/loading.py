"""Batches from loader processes, and the order of an epoch's frames."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from fcrn_mobile.data.batches import Batch
from fcrn_mobile.data.mixture import Mixture
from fcrn_mobile.errors import InputError

__all__ = ["Batches", "EpochSampler", "Failure", "Guarded", "Loading"]


@dataclass(frozen=True)
class Loading:
    """How items become batches.

    Attributes:
        batch_size: items per batch.
        workers: loader processes; 0 loads in the training process.
        seed: of order and augmentation.
        cache_mb: megabytes of decoded items to keep, for training and for validation each, in every loader process; 0 keeps none. A
            picture counts in each scene that has it.
    """

    batch_size: int
    workers: int
    seed: int
    cache_mb: int = 0


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


@dataclass(frozen=True)
class Failure:
    """What stands in a batch's place where one of its items cannot be had."""

    error: InputError


class Guarded(Dataset[Any]):
    """A data set that gives a ``Failure`` in place of an ``InputError``: of an error, torch hands on a loader process's printed text."""

    def __init__(self, items: Dataset[Any]) -> None:
        self.items = items

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.items[key]
        except InputError as error:
            if get_worker_info() is not None:
                error.add_note(traceback.format_exc())
            return Failure(error)


class Batches(DataLoader[Any]):
    """Batches of a data set's items, several processes on request; an ``InputError`` of an item arrives as it was raised.

    Args:
        items: the data set.
        collate: makes a batch of items.
        sampler: keys of the items, in order.
        loading: how many make a batch, and where; its seed and cache are for others.
        drop_last: leave out a last batch that is not full.
    """

    def __init__(
        self, items: Dataset[Any], collate: Callable[[Sequence[Any]], Batch], sampler: Any, loading: Loading, drop_last: bool = False
    ) -> None:
        super().__init__(
            Guarded(items),
            loading.batch_size,
            sampler=sampler,
            num_workers=loading.workers,
            collate_fn=partial(_collated, collate),
            drop_last=drop_last,
            persistent_workers=loading.workers > 0,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override] # torch promises its own class of iterator
        return map(_had, super().__iter__())


def _collated(collate: Callable[[Sequence[Any]], Batch], items: Sequence[Any]) -> Batch | Failure:
    failure = next((item for item in items if isinstance(item, Failure)), None)
    return failure or collate(items)


def _had(batch: Batch | Failure) -> Batch:
    if isinstance(batch, Failure):
        raise batch.error
    return batch
