import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.errors import InputError
from fcrn_mobile.report.pointcloud import Camera, Intrinsics, back_project, save_ply
from tests.ply import read_ply


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    factor=st.sampled_from([1, 2, 4]),
    focal=st.tuples(st.floats(10, 900), st.floats(10, 900)),
    centre=st.tuples(st.floats(-5, 40), st.floats(-5, 40)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_points_project_back_onto_their_pixels(tmp_path_factory, height, width, factor, focal, centre, seed) -> None:
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.2, 9, (height, width)).astype(np.float32)
    image = rng.integers(0, 256, (height * factor, width * factor, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("cloud") / "a.ply"
    save_ply(back_project(depth, image, Intrinsics(*focal, *centre)), path)
    points, _ = read_ply(path)
    assert points.shape == (height * width, 3)
    for index, (x, y, z) in enumerate(points.astype(float)):
        row, column = divmod(index, width)
        assert z == depth[row, column]
        # The pinhole camera forward: where the point appears, in pixels of the image; there the depth map's pixel has its centre.
        u, v = focal[0] * x / z + centre[0], focal[1] * y / z + centre[1]
        assert u == pytest.approx(column * factor + (factor - 1) / 2, abs=1e-3)
        assert v == pytest.approx(row * factor + (factor - 1) / 2, abs=1e-3)


def test_x_is_right_y_is_down_z_is_forward(tmp_path) -> None:
    image = np.zeros((3, 5, 3), np.uint8)
    image[0, 4] = (200, 100, 50)
    save_ply(back_project(np.full((3, 5), 2, np.float32), image, Intrinsics(4, 4, 2, 1)), tmp_path / "a.ply")
    points, colours = read_ply(tmp_path / "a.ply")
    top_right = 4
    np.testing.assert_allclose(points[top_right], [1, -0.5, 2])
    assert colours[top_right].tolist() == [200, 100, 50]
    np.testing.assert_allclose(points[7], [0, 0, 2], err_msg="the principal point lies on the axis")


def test_depth_that_is_no_depth_gives_no_point(tmp_path) -> None:
    depth = np.array([[1, np.nan, np.inf], [0, -1, 3]], np.float32)
    image = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    save_ply(back_project(depth, image, Intrinsics(1, 1, 0, 0)), tmp_path / "a.ply")
    points, colours = read_ply(tmp_path / "a.ply")
    assert points.tolist() == [[0, 0, 1], [6, 3, 3]]
    assert colours.tolist() == [[0, 1, 2], [15, 16, 17]]
    save_ply(back_project(depth * np.nan, image, Intrinsics(1, 1, 0, 0)), tmp_path / "none.ply")
    assert read_ply(tmp_path / "none.ply")[0].shape == (0, 3)


@pytest.mark.parametrize("size", [(480, 640), (100, 37)])
def test_a_field_of_view_spans_the_width(size: tuple[int, int]) -> None:
    camera = Camera(fov=60).intrinsics(size)
    height, width = size
    # The left border, half a pixel before the first centre, is seen 30° from the axis.
    assert np.degrees(np.arctan((camera.cx + 0.5) / camera.fx)) == pytest.approx(30)
    assert np.degrees(np.arctan((width - 0.5 - camera.cx) / camera.fx)) == pytest.approx(30)
    assert camera.cy + 0.5 == height / 2
    assert camera.fx == camera.fy


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ["--fx --fy --cx --cy", "--fov"]),
        ({"fx": 500.0, "cx": 3.0}, ["--fy --cy is missing"]),
        ({"fx": 500.0, "fov": 60.0}, ["one or the other"]),
        ({"fov": 180.0}, ["--fov is 180"]),
        ({"fov": float("nan")}, ["--fov is nan"]),
        ({"fx": 0.0, "fy": 1.0, "cx": 1.0, "cy": 1.0}, ["--fx is 0"]),
        ({"fx": 1.0, "fy": 1.0, "cx": 1.0, "cy": float("inf")}, ["--cy is inf"]),
    ],
)
def test_a_camera_that_is_not_given_says_what_to_give(values: dict[str, float], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        Camera(**values)
    for word in words:
        assert word in str(caught.value)


def test_the_header_says_whether_points_are_in_metres(tmp_path) -> None:
    points = back_project(np.ones((1, 1), np.float32), np.zeros((1, 1, 3), np.uint8), Intrinsics(1, 1, 0, 0))
    save_ply(points, tmp_path / "metres.ply")
    save_ply(points, tmp_path / "scale.ply", metric=False)
    assert b"comment metres;" in (tmp_path / "metres.ply").read_bytes()
    assert b"metres" not in (tmp_path / "scale.ply").read_bytes()
