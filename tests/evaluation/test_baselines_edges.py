"""Maps of the smallest sizes, and counts that warn of nothing."""

import numpy as np
import pytest

from fcrn_mobile.data import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.baselines import MAP_SIDE, learn_baselines
from fcrn_mobile.evaluation.metrics import protocol


def frames(*depths: np.ndarray) -> list[Sample]:
    return [Sample(np.zeros((*depth.shape, 3), np.uint8), np.asarray(depth, np.float32), str(i)) for i, depth in enumerate(depths)]


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 1), (1, 1)),
        ((1, 3), (1, 3)),
        ((3, 1), (3, 1)),
        ((160, 80), (160, 80)),
        ((161, 3), (160, 3)),
        ((4, 1600), (1, 160)),
        ((1600, 4), (160, 1)),
        ((320, 320), (160, 160)),
    ],
)
def test_maps_have_at_least_a_pixel_and_at_most_their_side(shape: tuple[int, int], size: tuple[int, int]) -> None:
    learned = learn_baselines(frames(np.full(shape, 2.0)), protocol("full"))
    assert learned.mean_map.depth.shape == learned.median_map.depth.shape == size
    assert MAP_SIDE == 160
    np.testing.assert_array_equal(learned.mean_map.depth, 2)


@pytest.mark.filterwarnings("error")
def test_pixels_that_some_frames_did_not_see_warn_of_nothing() -> None:
    learned = learn_baselines(frames(np.array([[0.0, 1.0, 0.0]]), np.array([[4.0, 3.0, 0.0]])), protocol("full"))
    np.testing.assert_array_equal(learned.mean_map.depth, [[4.0, 2.0, 3.0]])
    np.testing.assert_array_equal(learned.median_map.depth, [[4.0, 2.0, 3.0]])


@pytest.mark.parametrize("values", [(1, 2), (3, 1, 2), (9, 1, 2, 4), (1, 1, 8, 9, 9)])
def test_a_median_of_few_is_numpys(values: tuple[float, ...]) -> None:
    learned = learn_baselines(frames(*(np.array([[value]]) for value in values)), protocol("full"))
    assert learned.median_map.depth.item() == np.median(values)
    assert learned.mean_map.depth.item() == pytest.approx(np.mean(values))
    assert (learned.frames, learned.median_frames) == (len(values), len(values))


def test_a_median_of_many_takes_four_hundred() -> None:
    learned = learn_baselines(frames(*[np.ones((1, 1))] * 402), protocol("full"))
    assert (learned.frames, learned.median_frames) == (402, 400)


def test_progress_counts_frames_and_no_frame_is_refused() -> None:
    calls: list[tuple[int, int]] = []
    learn_baselines(frames(*[np.ones((2, 2))] * 3), protocol("full"), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(InputError, match="no depth within 10 m"):
        learn_baselines([], protocol("full"))
    with pytest.raises(InputError, match="no depth within 10 m"):
        learn_baselines(frames(np.zeros((1, 1)), np.ones((1, 1))), protocol("full"), median_frames=1)
