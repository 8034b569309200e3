import numpy as np
from PIL import Image

from fcrn_mobile.report.figures import Row, colour_map, save_comparison, save_side_by_side


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
