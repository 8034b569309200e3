import pickle
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data import Sample, open_source
from fcrn_mobile.data.batches import TrainingBatch, ValidationBatch
from fcrn_mobile.data.cache import Cached
from fcrn_mobile.data.loading import Loading
from fcrn_mobile.data.module import depth_data
from fcrn_mobile.data.transforms import Augmentation
from fcrn_mobile.errors import InputError
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.train import train
from tests.counted import Counted

FRAME_BYTES = 10 * 20 * (3 + 4)


@dataclass
class Counting(Counted):
    """Frames of 1,400 bytes each that count how often they are decoded."""

    count: int = 6
    decoded: list[int] = field(default_factory=list)

    def __getitem__(self, index: int) -> Sample:
        self.decoded.append(index)
        return Sample(np.full((10, 20, 3), index, np.uint8), np.full((10, 20), index + 1, np.float32), str(index))


def cached_frames(frames: float, count: int = 6) -> tuple[Cached, Counting]:
    source = Counting(count)
    return Cached(source, frames * FRAME_BYTES / 1e6), source


def test_a_frame_is_decoded_once() -> None:
    cached, source = cached_frames(6)
    for _ in range(3):
        assert [int(cached[i].depth[0, 0]) for i in range(6)] == [1, 2, 3, 4, 5, 6]
    assert source.decoded == list(range(6))
    assert (cached.hits, cached.misses) == (12, 6)
    assert cached.bytes_kept == 6 * FRAME_BYTES
    assert cached.names == source.names
    assert len(cached) == 6


def test_the_least_recently_used_frame_goes_first() -> None:
    cached, source = cached_frames(2)
    for index in (0, 1, 0, 2, 0, 1):
        cached[index]
    assert source.decoded == [0, 1, 2, 1]
    assert (cached.hits, cached.misses) == (2, 4)


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, 5), max_size=40), capacity=st.integers(1, 6))
def test_the_limit_holds_and_frames_are_right_in_any_order(order: list[int], capacity: int) -> None:
    cached, source = cached_frames(capacity + 0.5)
    recent: list[int] = []
    hits = 0
    for index in order:
        hits += index in recent
        recent = [index, *(other for other in recent if other != index)][:capacity]
        assert int(cached[index].image[0, 0, 0]) == index
        assert cached.bytes_kept == len(recent) * FRAME_BYTES <= cached.limit
    assert cached.hits == hits
    assert cached.misses == len(source.decoded) == len(order) - hits


def test_a_frame_larger_than_the_limit_is_given_but_not_kept() -> None:
    cached, source = cached_frames(0.9)
    assert int(cached[3].depth[0, 0]) == int(cached[3].depth[0, 0]) == 4
    assert source.decoded == [3, 3]
    assert cached.bytes_kept == 0


def test_callers_cannot_change_what_the_next_one_gets() -> None:
    cached, _ = cached_frames(6)
    for _ in range(2):
        sample = cached[0]
        with pytest.raises(ValueError, match="read-only"):
            sample.image[0, 0, 0] = 9
        with pytest.raises(ValueError, match="read-only"):
            sample.depth += 1
    assert int(cached[0].depth[0, 0]) == 1


def test_a_source_that_changes_its_own_arrays_does_not_change_the_kept_ones() -> None:
    sample = Sample(np.zeros((10, 20, 3), np.uint8), np.ones((10, 20), np.float32), "a")
    cached = Cached([sample], 1)  # type: ignore[arg-type]
    assert cached[0].depth[0, 0] == 1
    sample.depth[:] = 7
    assert cached[0].depth[0, 0] == 1


def test_the_end_of_the_source_is_the_end_of_the_cache() -> None:
    cached, _ = cached_frames(6)
    assert cached[-1].name == "5"
    assert cached[5].name == "5"
    assert (cached.hits, cached.misses) == (1, 1)
    with pytest.raises(IndexError):
        cached[6]


def test_a_loader_process_starts_with_an_empty_cache() -> None:
    cached, _ = cached_frames(6)
    for index in range(6):
        cached[index]
    message = pickle.dumps(cached)
    assert len(message) < FRAME_BYTES
    other = pickle.loads(message)
    assert (other.bytes_kept, other.hits, other.misses, other.limit) == (0, 0, 0, cached.limit)
    assert other[2].name == "2"


@pytest.mark.parametrize("megabytes", [0, -1, float("nan")])
def test_a_limit_that_is_none_is_refused(megabytes: float) -> None:
    with pytest.raises(InputError, match="give a positive number of megabytes"):
        Cached(Counting(), megabytes)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_and_without_a_cache(workers: int) -> None:
    def batches(cache_mb: int) -> list[TrainingBatch | ValidationBatch]:
        train, val = open_source("sample#train"), open_source("sample#val")
        module = depth_data(train, val, (64, 96), Augmentation((64, 96)), Loading(4, workers, 1, cache_mb))
        loader = module.train_dataloader()
        result: list[TrainingBatch | ValidationBatch] = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)
            result += [*loader, *module.val_dataloader()]
        if cache_mb and not workers:
            assert module.frames.source.hits == module.frames.source.misses == 20
        return result

    for plain, cached in zip(batches(0), batches(100), strict=True):
        assert plain.names == cached.names
        assert torch.equal(plain.images, cached.images)
        for a, b in zip(plain.depths, cached.depths, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_training_is_the_same_with_and_without_a_cache(tiny_config, tmp_path) -> None:
    metrics = []
    for cache_mb in (0, 50):
        hyper = Hyperparameters(epochs=2, batch_size=4, cache_mb=cache_mb)
        run = Run(tiny_config, hyper, data="sample", encoder_weights="random")
        metrics.append(train(run, tmp_path / str(cache_mb)).metrics)
    assert metrics[0] == metrics[1]


def test_a_negative_cache_is_refused() -> None:
    with pytest.raises(InputError, match="cache_mb is -1: give 0 or a positive number"):
        Hyperparameters(cache_mb=-1)
