import matplotlib
import numpy as np
import pytest

from fcrn_mobile.report.examples import draw_examples
from fcrn_mobile.runs.examples import Example


def example(shape: tuple[int, int], depth: float, predicted: float) -> Example:
    image = np.full((*shape, 3), (10, 200, 30), np.uint8)
    return Example(image, np.full(shape, depth, np.float32), np.full((7, 9), predicted, np.float32))


def share(picture: np.ndarray, colour: tuple[int, int, int]) -> float:
    """Share of the picture's pixels that have this colour."""
    return float((np.abs(picture.astype(int) - colour) <= 1).all(axis=2).mean())


def scale(value: float, far: float) -> tuple[int, int, int]:
    red, green, blue, _ = matplotlib.colormaps["magma_r"](value / far, bytes=True)
    return int(red), int(green), int(blue)


def test_all_depths_share_one_scale_up_to_the_farthest_truth() -> None:
    picture = draw_examples([example((60, 80), 2, 1), example((60, 80), 4, 1)], "epoch 1")
    # Two rows of three pictures: the prediction of 1 m is in both, each truth in one, the image in both.
    near = share(picture, scale(1, far=4))
    assert near > 0.2
    for depth in (2, 4):
        assert share(picture, scale(depth, far=4)) == pytest.approx(near / 2, rel=0.1)
    assert share(picture, (10, 200, 30)) == pytest.approx(near, rel=0.05)


def test_a_prediction_of_any_size_is_drawn_as_large_as_the_frame() -> None:
    square = example((60, 60), 2, 1)
    picture = draw_examples([square], "")
    height, width = ((np.abs(picture.astype(int) - scale(1, far=2)) <= 1).all(axis=2).any(axis=axis).sum() for axis in (1, 0))
    assert height == pytest.approx(width, rel=0.1)


def test_what_is_unknown_or_broken_is_gray() -> None:
    broken = Example(np.zeros((60, 80, 3), np.uint8), np.zeros((60, 80), np.float32), np.full((30, 40), np.nan, np.float32))
    assert share(draw_examples([broken], "nothing known"), (128, 128, 128)) > 0.3


def test_single_lidar_points_stay_visible() -> None:
    true = np.zeros((375, 1242), np.float32)
    true[np.random.default_rng(0).random(true.shape) < 0.02] = 8.0
    sparse = Example(np.zeros((375, 1242, 3), np.uint8), true, np.full((10, 30), 1, np.float32))
    picture = draw_examples([sparse], "street")
    # The colour of the truth covers more of the picture than the 2 % of one map of three that are known.
    assert np.mean(np.abs(picture.astype(int) - scale(8, far=8)).max(axis=2) < 40) > 5 * 0.02 / 3


@pytest.mark.filterwarnings("error")
def test_a_title_is_no_formula() -> None:
    picture = draw_examples([example((30, 40), 2, 1)], r"$\frac{x$")
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
