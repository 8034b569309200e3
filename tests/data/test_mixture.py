"""Several sources in one run: how they are written, and what an epoch shows of each."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from fcrn_mobile.data.loading import EpochSampler, Loading
from fcrn_mobile.data.mixture import Mixture, Part, join_parts, open_mixture, parse_mixture
from fcrn_mobile.data.module import depth_data
from fcrn_mobile.data.source import Sample
from fcrn_mobile.data.transforms import resize
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import preset
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.selfsupervised.video import Video


@dataclass(frozen=True)
class Numbered:
    """Frames whose depth is their number."""

    first: int
    count: int

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(str(self.first + index) for index in range(self.count))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.zeros((4, 4, 3), np.uint8), np.full((4, 4), self.first + index, np.float32), self.names[index])


def mixture(*weights: float) -> Mixture:
    """Ten frames from 100, then seven from 200, ... with these weights."""
    counts = (10, 7, 3)[: len(weights)]
    parts = [Part(f"folder:/data/{number}.zip", weight) for number, weight in enumerate(weights)]
    return Mixture(parts, [Numbered(100 * (number + 1), count) for number, count in enumerate(counts)])


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        ("sample", [Part("sample")]),
        ("sample#train*0.25", [Part("sample#train", 0.25)]),
        ("folder:a b.zip + tum:c?max_difference=0.1*2", [Part("folder:a b.zip"), Part("tum:c?max_difference=0.1", 2.0)]),
    ],
)
def test_a_mixture_is_written_as_it_is_read(data: str, parts: list[Part]) -> None:
    assert list(parse_mixture(data)) == parts
    assert join_parts(parts) == data


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "half", ""])
def test_a_weight_that_is_none_is_named(weight: str) -> None:
    with pytest.raises(InputError, match=rf"weight '{weight}' in 'sample\*{weight}': give a positive number"):
        parse_mixture(f"sample + sample*{weight}")


def test_a_weight_too_small_for_a_single_frame_is_named() -> None:
    with pytest.raises(InputError, match=r"weight 0.01 of 'folder:/data/0.zip' leaves none of its 10 frames"):
        mixture(0.01)


def test_a_mixture_holds_every_frame_under_a_name_of_its_own() -> None:
    mixed = mixture(1, 0.5)
    assert len(mixed) == len(mixed.names) == len(set(mixed.names)) == 17
    assert [mixed[index].depth[0, 0] for index in range(17)] == [*range(100, 110), *range(200, 207)]
    assert (mixed[-1].name, mixed.names[10]) == ("folder:1.zip/206", "folder:1.zip/200")
    with pytest.raises(IndexError):
        _ = mixed[17]


def test_an_epoch_shows_as_many_frames_as_the_weights_say() -> None:
    mixed = mixture(0.5, 2, 1)
    shown = [mixed[int(index)].depth[0, 0] // 100 for index in mixed.drawn(seed=3, epoch=5)]
    assert Counter(shown) == {1: 5, 2: 14, 3: 3}


@pytest.mark.parametrize("weight", [0.3, 0.5, 1.0, 1.7])
def test_no_frame_is_shown_twice_before_all_were_shown_once(weight: float) -> None:
    mixed = mixture(weight)
    seen = np.concatenate([mixed.drawn(seed=1, epoch=epoch) for epoch in range(20)])
    for start in range(0, len(seen) - 9, 10):
        assert sorted(seen[start : start + 10]) == list(range(10))
    assert not np.array_equal(seen[:10], seen[10:20])


def test_an_epochs_frames_depend_on_seed_and_epoch_alone() -> None:
    mixed = mixture(0.5, 0.5)
    assert np.array_equal(mixed.drawn(1, 7), mixture(0.5, 0.5).drawn(1, 7))
    assert not np.array_equal(mixed.drawn(1, 7), mixed.drawn(2, 7))


def test_the_loader_shows_an_epoch_in_a_mixed_order_shared_by_processes() -> None:
    mixed = mixture(1, 1)
    orders = []
    for rank in (0, 1):
        sampler = EpochSampler(16, seed=0, rank=rank, processes=2, mixture=mixed)
        sampler.set_epoch(4)
        orders.append([index for _, index in sampler])
    assert len(orders[0]) == len(orders[1]) == 8
    assert not set(orders[0]) & set(orders[1])
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("cache_mb", [0, 1])
def test_batches_of_an_epoch_hold_the_drawn_frames(cache_mb: int) -> None:
    data = depth_data(mixture(0.5, 1), Numbered(0, 2), (4, 4), lambda sample, _: resize(sample, 4, 4), Loading(4, 0, 0, cache_mb))
    shown = [float(depth[0, 0, 0]) for batch in data.train_dataloader() for depth in batch.depths]
    assert Counter(depth // 100 for depth in shown) in ({1: 5, 2: 7}, {1: 4, 2: 7}, {1: 5, 2: 6})


def test_a_run_splits_every_source_and_validates_on_the_first() -> None:
    run = Run(preset("fcrn-lite0"), Hyperparameters(), "folder:a.zip + folder:b.zip#test*0.5 + sample*2")
    assert run.specs == ("folder:a.zip#train + folder:b.zip#test*0.5 + sample#train*2", "folder:a.zip#val")


def test_one_spec_is_opened_as_it_ever_was() -> None:
    assert not isinstance(open_mixture("sample#val"), Mixture)
    mixed = open_mixture("sample#val + sample#train*0.5")
    assert isinstance(mixed, Mixture)
    assert (len(mixed), mixed.shown) == (24, (4, 10))


def test_views_are_learned_from_one_source() -> None:
    run = Run(preset("fcrn-lite0"), Hyperparameters(objective=Video()), "frames:a?fx=1 + frames:b?fx=1")
    with pytest.raises(InputError, match="learns from one source of views"):
        run.hyper.objective.data(run)
