from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.report.figures import Row, colour_map, save_comparison, save_panel, save_side_by_side


def test_near_is_bright_and_far_is_dark() -> None:
    colours = colour_map(np.linspace(1, 5, 100, dtype=np.float32).reshape(10, 10)).astype(int).sum(axis=2)
    assert colours[0, 0] > colours[5, 5] > colours[-1, -1]


def test_unknown_depth_is_gray() -> None:
    depth = np.ones((4, 4), np.float32)
    depth[1, 2] = np.nan
    assert colour_map(depth)[1, 2].tolist() == [128, 128, 128]
    assert (colour_map(np.full((2, 2), np.nan, np.float32)) == 128).all()


def test_side_by_side_keeps_the_image(tmp_path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    save_side_by_side(image, np.ones((15, 20), np.float32), tmp_path / "a.png")
    picture = np.asarray(Image.open(tmp_path / "a.png"))
    assert picture.shape == (30, 80, 3)
    np.testing.assert_array_equal(picture[:, :40], image)


def test_the_comparison_is_a_picture_with_many_colours(tmp_path) -> None:
    depth = np.linspace(1, 5, 64, dtype=np.float32).reshape(8, 8)
    row = Row(np.zeros((8, 8, 3), np.uint8), {"true": depth, "float": depth}, depth * 0)
    save_comparison([row, row], "difference", tmp_path / "c.png")
    colours = Image.open(tmp_path / "c.png").convert("RGB").getcolors(1 << 24)
    assert len(colours or []) > 30


def draw(tmp_path: Path, shape: tuple[int, int], known: float, title: str = "worst of 3: a") -> Image.Image:
    """A panel of a slope, of which a share is known, seen 1 m too near."""
    true = np.tile(np.linspace(2, 6, shape[0], dtype=np.float32)[:, None], (1, shape[1]))
    predicted = true - 1
    true[np.random.default_rng(0).random(shape) > known] = 0
    save_panel(np.zeros((*shape, 3), np.uint8), true, predicted, true > 0, title, tmp_path / "panel.png")
    return Image.open(tmp_path / "panel.png").convert("RGB")


def share(picture: Image.Image, colour: tuple[int, int, int], tolerance: int = 0) -> float:
    """Share of the picture's pixels that have this colour, up to a difference per channel."""
    return float((np.abs(np.asarray(picture).astype(int) - colour) <= tolerance).all(axis=2).mean())


def scale(value: float, far: float = 6.0) -> tuple[int, int, int]:
    """The colour of a depth on a scale from 0 to far metres."""
    red, green, blue, _ = matplotlib.colormaps["magma_r"](value / far, bytes=True)
    return int(red), int(green), int(blue)


def test_a_panel_shows_depth_and_difference_on_one_scale(tmp_path) -> None:
    picture = draw(tmp_path, (60, 80), known=1.0)
    # The difference is 1 m everywhere: a quarter of the maps' area, in the colour that the depth scale gives 1 m.
    assert share(picture, scale(1.0)) > 0.1
    assert share(picture, (128, 128, 128)) < 0.001


def test_unknown_pixels_of_a_panel_are_gray(tmp_path) -> None:
    gray = share(draw(tmp_path, (60, 80), known=0.5), (128, 128, 128))
    # Half of two of four pictures.
    assert 0.1 < gray < 0.3


def test_single_lidar_points_stay_visible(tmp_path) -> None:
    picture = draw(tmp_path, (375, 1242), known=0.03)
    # 3 % of the pixels of one map of four are known; as dots they cover several times that.
    assert share(picture, scale(1.0), tolerance=25) > 5 * 0.03 / 4


def test_wide_scenes_are_stacked_in_two_columns(tmp_path) -> None:
    room, street = draw(tmp_path, (60, 80), known=1.0), draw(tmp_path, (60, 200), known=1.0)
    assert room.width == street.width
    assert room.height / room.width < 0.3
    assert street.height / street.width > 0.3


@pytest.mark.filterwarnings("error")
def test_a_title_is_no_formula(tmp_path) -> None:
    draw(tmp_path, (30, 40), known=1.0, title=r"best of 3: $\frac{x$")


def test_a_broken_prediction_is_drawn_gray(tmp_path) -> None:
    depth = np.full((30, 40), 2, np.float32)
    save_panel(np.zeros((30, 40, 3), np.uint8), depth, depth * np.nan, depth > 0, "broken", tmp_path / "panel.png")
    assert share(Image.open(tmp_path / "panel.png").convert("RGB"), (128, 128, 128)) > 0.3


def test_inverse_depth_is_coloured_as_its_depth() -> None:
    """Near is bright in both; percentiles of inverse depth are those of depth, the other way round."""
    depth = np.linspace(1, 2, 5, dtype=np.float32)[None]
    colours, inverse = (colour_map(values, values is not depth).astype(int).sum(axis=2)[0] for values in (depth, -depth))
    np.testing.assert_array_equal(colours, inverse)
    assert (np.diff(inverse) < 0).all()
