import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fcrn_mobile.data import Sample, open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.baselines import DepthMap, check_apart, learn_baselines, training_spec
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from tests.counted import Counted


def frames(*depths: np.ndarray) -> list[Sample]:
    return [Sample(np.zeros((*depth.shape, 3), np.uint8), depth.astype(np.float32), str(i)) for i, depth in enumerate(depths)]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 9), unknown=st.floats(0, 0.6))
def test_both_maps_equal_numpy_over_the_valid_pixels(seed: int, count: int, unknown: float) -> None:
    rng = np.random.default_rng(seed)
    stack = rng.uniform(0.5, 9, (count, 6, 8)).astype(np.float32)
    stack[rng.random(stack.shape) < unknown] = rng.choice([0, np.nan, np.inf, 12])
    stack[0] = np.where(np.isfinite(stack[0]) & (stack[0] > 0) & (stack[0] <= 10), stack[0], 1.0)  # so that every pixel is seen once
    known = np.where(np.isfinite(stack) & (stack > 0) & (stack <= 10), stack, np.nan)
    learned = learn_baselines(frames(*stack), protocol("eigen"))
    np.testing.assert_allclose(learned.mean_map.depth, np.nanmean(known, axis=0), rtol=1e-5)
    np.testing.assert_allclose(learned.median_map.depth, np.nanmedian(known, axis=0), rtol=1e-5)


def test_a_pixel_that_no_frame_saw_gets_the_average_of_the_map() -> None:
    depth = np.full((2, 2), 4.0)
    depth[0, 0], depth[1, 1] = 0, 1
    learned = learn_baselines(frames(depth), protocol("full"))
    assert learned.mean_map.depth[0, 0] == pytest.approx(3)
    assert learned.median_map.depth[0, 0] == pytest.approx(4)


def test_frames_of_any_size_come_to_the_size_of_the_first() -> None:
    left_near = np.repeat([[1.0, 3.0]], 40, axis=0).repeat([20, 20], axis=1)  # 40×40
    learned = learn_baselines(frames(left_near, left_near.repeat(2, axis=0).repeat(3, axis=1) + 2), protocol("full"))
    assert learned.mean_map.depth.shape == (40, 40)
    np.testing.assert_allclose(learned.median_map.depth[:, :20], 2, rtol=1e-6)
    np.testing.assert_allclose(learned.median_map.depth[:, 20:], 4, rtol=1e-6)


def test_large_frames_are_averaged_down_without_what_is_unknown() -> None:
    depth = np.zeros((480, 640))
    depth[::4, ::4] = 5.0  # as sparse as LiDAR: one known pixel in a cell of 4×4
    depth[:, 320:] *= 0.5
    learned = learn_baselines(frames(depth), protocol("full"))
    assert learned.mean_map.depth.shape == (120, 160)
    np.testing.assert_allclose(learned.mean_map.depth[:, :80], 5.0)
    np.testing.assert_allclose(learned.mean_map.depth[:, 80:], 2.5)


def test_the_median_takes_evenly_spaced_frames_within_its_limit() -> None:
    source = frames(*(np.full((3, 3), metres) for metres in (1, 2, 3, 4, 5, 6, 9)))
    learned = learn_baselines(source, protocol("full"), median_frames=3)
    assert (learned.frames, learned.median_frames) == (7, 3)
    np.testing.assert_allclose(learned.median_map.depth, 4)  # of 1, 4 and 9
    np.testing.assert_allclose(learned.mean_map.depth, 30 / 7, rtol=1e-6)


class Walls(Counted):
    """Many frames of 240×320 that exist only while they are looked at."""

    def __getitem__(self, index: int) -> Sample:
        return Sample(np.zeros((240, 320, 3), np.uint8), np.full((240, 320), 1 + index % 5, np.float32), str(index))


def test_memory_does_not_grow_with_the_source() -> None:
    peaks = []
    for count in (30, 120):
        tracemalloc.start()
        learn_baselines(Walls(count), protocol("full"), median_frames=20)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


def test_the_mean_map_of_one_frame_is_perfect_on_it_under_every_protocol() -> None:
    depth = np.random.default_rng(0).uniform(1, 9, (48, 64))
    learned = learn_baselines(frames(depth), protocol("eigen"))
    for name in ("eigen", "laina", "full", "garg"):
        for baseline in (learned.mean_map, learned.median_map):
            assert evaluate(baseline, frames(depth), protocol(name)).compute()["abs_rel"] == pytest.approx(0, abs=1e-6)


def test_a_map_does_not_look_at_the_image() -> None:
    depth = np.full((2, 3), 2, np.float32)
    for image in (np.zeros((4, 4, 3), np.uint8), np.full((9, 5, 3), 255, np.uint8)):
        np.testing.assert_array_equal(DepthMap("mean map", depth).predict(image), depth)


def test_data_without_a_depth_in_range_is_refused() -> None:
    with pytest.raises(InputError, match="no depth within 10 m"):
        learn_baselines(frames(np.full((4, 4), 30.0)), protocol("full"))


def test_the_training_part_stands_beside_the_validation_part(tmp_path: Path) -> None:
    assert training_spec("sample#val") == "sample#train"
    assert training_spec("sample#test") == "sample#train"
    with pytest.raises(InputError, match=r"'sample' is no #val or #test part.*--baselines SPEC"):
        training_spec("sample")
    with pytest.raises(InputError, match=r"'sample#train' is no #val or #test part.*--baselines SPEC"):
        training_spec("sample#train")
    for folder in ("rgb", "depth"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (16, 12)).save(tmp_path / "rgb/a.png")
    with pytest.raises(InputError, match=r"no training part.*--baselines SPEC"):
        training_spec(f"folder:{tmp_path}#val")


@pytest.mark.parametrize(
    ("spec", "training"), [("sample", "sample"), ("sample#val", "sample"), ("sample", "sample#train"), ("a:b#val", "a:b#val")]
)
def test_baselines_that_saw_the_evaluated_images_are_refused(spec: str, training: str) -> None:
    with pytest.raises(InputError, match="would have seen"):
        check_apart(spec, training)


@pytest.mark.parametrize(("spec", "training"), [("sample#val", "sample#train"), ("folder:a", "folder:b"), ("nyu-mat:a#test", "folder:b")])
def test_data_apart_may_serve_as_training_data(spec: str, training: str) -> None:
    check_apart(spec, training)


def test_maps_of_real_rooms_score_as_published(real_data: Path) -> None:
    spec = f"folder:{real_data}/nyu_train795.zip"
    learned = learn_baselines(open_source(f"{spec}#train"), protocol("laina"))
    held_back = open_source(f"{spec}#val")
    mean, median = (evaluate(baseline, held_back, protocol("laina")).compute() for baseline in (learned.mean_map, learned.median_map))
    # On the official test images, pooled: 0.403 and 1.202 for the mean map, 0.369 and 1.204 for the median map.
    assert mean["abs_rel"] == pytest.approx(0.403, abs=0.04)
    assert median["abs_rel"] == pytest.approx(0.369, abs=0.04)
    assert mean["rmse_pooled"] == pytest.approx(1.2, abs=0.15)
    assert median["abs_rel"] < mean["abs_rel"]
