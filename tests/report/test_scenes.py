import base64
import io
import math

import matplotlib
import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.report.ranks import deciding, ranks
from fcrn_mobile.report.scenes import (
    WIDTH,
    Scale,
    Scene,
    depth_picture,
    depth_scale,
    difference_picture,
    difference_scale,
    photo,
)
from tests.report.page import drift_of, validated

GRAY = (128, 128, 128)


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2]))).convert("RGB"))


def scene(true: np.ndarray, expected: np.ndarray, *predictions: np.ndarray) -> Scene:
    return Scene("worst", "a", np.zeros((8, 8, 3), np.uint8), true, expected, predictions, tuple(0.0 for _ in predictions))


def ramp(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)


def test_best_median_and_worst_are_ranked_by_the_candidate_that_drifts_most(tmp_path) -> None:
    page = validated(tmp_path, {"close": [1.0, 1.01, 1.02, 1.03, 1.04], "far": [1.3, 1.5, 1.1, 1.4, 1.2]})
    assert deciding(drift_of(page)).name == "far"
    assert [(s.rank, s.name) for s in page.scenes] == [("best", "frame_2"), ("median", "frame_0"), ("worst", "frame_1")]
    assert [s.drifts[1] for s in page.scenes] == pytest.approx([0.1, 0.3, 0.5], rel=1e-5)
    np.testing.assert_allclose(page.scenes[2].predictions[1], page.scenes[2].expected * 1.5, rtol=1e-6)


def test_a_measured_scale_is_no_difference(tmp_path) -> None:
    page = validated(tmp_path, {"a": [2.0, 2.0, 2.02]}, recipe='{"scale": 2.0}')
    assert [s.drifts[0] for s in page.scenes] == pytest.approx([0, 0, 0.01], abs=1e-6)
    np.testing.assert_allclose(page.scenes[0].predictions[0], page.scenes[0].expected, rtol=1e-6)


def test_a_lost_image_is_the_worst(tmp_path) -> None:
    page = validated(tmp_path, {"a": [1.0, math.nan, 9.0]})
    assert page.scenes[-1].name == "frame_1"


@pytest.mark.parametrize(("count", "expected"), [(1, ["worst"]), (2, ["best", "worst"]), (3, ["best", "median", "worst"])])
def test_few_images_have_fewer_ranks(tmp_path, count: int, expected: list[str]) -> None:
    page = validated(tmp_path, {"a": [1.0 + i / 10 for i in range(count)]})
    assert list(ranks(drift_of(page).candidates[0])) == expected
    assert len({s.name for s in page.scenes}) == count


def test_a_depth_has_the_same_colour_in_every_picture() -> None:
    scale = depth_scale([ramp(1, 3), ramp(2, 9)])
    for metres in (2.5, 4.0):
        share = (metres - scale.low) / (scale.high - scale.low)
        expected = np.array(matplotlib.colormaps["magma_r"](share, bytes=True)[:3], int)
        assert np.abs(pixels(depth_picture(np.full((8, 8), metres, np.float32), scale)).astype(int) - expected).max() <= 4


def test_near_is_bright_and_farther_is_red_of_inverse_depth_too() -> None:
    seen = 1 / ramp(1, 3) - 0.5  # up to a shift: far away it is negative, and known all the same
    scale = depth_scale([seen], inverse=True)
    picture = pixels(depth_picture(seen, scale)).astype(int)
    assert picture[0, 0].sum() > picture[7, 7].sum() + 300
    assert not (picture == GRAY).all(axis=2).any()
    wide = np.zeros((2, 2 * WIDTH), np.float32)
    wide[0, 0] = 1  # the nearest of its block stays
    assert pixels(depth_picture(wide, Scale("magma", 0, 1, True)))[0, 0].sum() > 600
    shifted = difference_scale([scene(seen, seen, seen + 0.5)], 0, inverse=True)
    red, blue = (pixels(difference_picture(seen + shift, seen, shifted))[0, 0].astype(int) for shift in (-0.5, 0.5))
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60


def test_nearer_is_blue_farther_is_red_equal_is_white() -> None:
    expected = ramp(2, 4)
    scale = difference_scale([scene(expected, expected, expected + 0.5, expected - 0.5)], 0)
    assert -scale.low == scale.high == pytest.approx(0.5)
    red, white, blue = (pixels(difference_picture(expected + shift, expected, scale))[0, 0].astype(int) for shift in (0.5, 0, -0.5))
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60
    assert white.min() > 240


def test_each_candidate_has_a_difference_scale_of_its_own() -> None:
    expected = ramp(2, 4)
    shown = [scene(expected, expected, expected + 0.01, expected - 2), scene(expected, expected, expected + 0.02, expected - 1)]
    assert difference_scale(shown, 0).high == pytest.approx(0.02, rel=0.02)
    assert difference_scale(shown, 1).high == pytest.approx(2, rel=0.02)
    assert (difference_scale(shown, 0).limit, difference_scale(shown, 1).limit) == ("0.020", "2.0")
    assert pixels(difference_picture(expected + 0.02, expected, difference_scale(shown, 0)))[0, 0].astype(int).tolist()[2] < 60, "not blank"


def test_unknown_depth_is_gray() -> None:
    depth = ramp(1, 3)
    depth[0, 0], depth[3, 4], depth[7, 7] = 0, math.nan, math.inf
    picture = pixels(depth_picture(depth, depth_scale([depth])))
    gray = (picture == GRAY).all(axis=2)
    assert gray.sum() == 3
    assert gray[0, 0] and gray[3, 4] and gray[7, 7]


def test_single_lidar_points_survive_the_reduction() -> None:
    depth = np.zeros((375, 1242), np.float32)
    depth[100, 200], depth[300, 1201] = 5, 60
    picture = pixels(depth_picture(depth, Scale("magma_r", 0, 80)))
    assert picture.shape[1] <= WIDTH
    known = (picture != GRAY).any(axis=2)
    # Each point covers its block and the eight around it.
    assert known.sum() == 18


def test_pictures_are_small() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8)
    assert pixels(photo(image)).shape == (180, 320, 3)
    assert pixels(depth_picture(np.ones((1080, 1920), np.float32), Scale("magma_r", 0, 2))).shape[1] <= WIDTH


def test_the_scale_is_labelled_at_its_ends_and_between() -> None:
    assert Scale("magma_r", 0.5, 4.5).ticks() == ["0.5", "1.5", "2.5", "3.5", "4.5"]
    assert Scale("RdBu_r", -0.2, 0.2).ticks() == ["−0.20", "−0.10", "0.00", "+0.10", "+0.20"]
    bar = pixels(Scale("magma_r", 0, 1).bar())
    assert bar.shape[0] == 1
    np.testing.assert_array_equal(bar[0, 0], matplotlib.colormaps["magma_r"](0.0, bytes=True)[:3])
