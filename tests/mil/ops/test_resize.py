import math
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values

sides = st.tuples(st.integers(1, 7), st.integers(1, 7))
MODES = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"]


def positions(mode: str, size: int, out: int) -> np.ndarray:
    """Sample points as the documentation of ``resize_bilinear`` spells them, one at a time."""
    points = []
    for i in range(out):
        if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
            point = i * (size - 1) / (out - 1) if out > 1 else (size - 1) / 2 if mode == "ALIGN_CORNERS" else 0
        elif mode == "DEFAULT":
            point = i * (size - size / out) / (out - 1) if out > 1 else 0
        elif mode == "OFFSET_CORNERS":
            delta = max(1, size - 1) / out
            point = 0.5 * delta + i * delta
        else:
            point = i * size / out + 0.5 * size / out - 0.5
        points.append(min(size - 1, max(0, point)))
    return np.array(points)


def interpolated(x: np.ndarray, axis: int, at: np.ndarray) -> np.ndarray:
    """Linear interpolation along one axis by numpy.interp."""
    return np.apply_along_axis(lambda line: np.interp(at, np.arange(len(line)), line), axis, x.astype(np.float64)).astype(np.float32)


def bilinear(x: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
    for axis, out in zip((-2, -1), size, strict=True):
        x = interpolated(x, axis, positions(mode, x.shape[axis], out))
    return x


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=20, deadline=None)
@given(size=sides, out=sides, lead=st.sampled_from([(2,), (1, 2), (1, 2, 2)]), seed=seeds)
def test_bilinear_samples_the_documented_points(mode, size, out, lead, seed) -> None:
    x = values(seed, *lead, *size)
    arguments = {"target_size_height": out[0], "target_size_width": out[1], "sampling_mode": mode}
    check_op("resize_bilinear", lambda x0: mb.resize_bilinear(x=x0, **arguments), [x], bilinear(x, out, mode), 1e-4)


def test_the_documented_example_of_each_mode() -> None:
    x = np.array([[[0.0, 1.0]]], np.float32)
    expected = {
        "UNALIGN_CORNERS": [0, 0.1, 0.5, 0.9, 1],
        "STRICT_ALIGN_CORNERS": [0, 0.25, 0.5, 0.75, 1],
        "DEFAULT": [0, 0.4, 0.8, 1, 1],
        "OFFSET_CORNERS": [0.1, 0.3, 0.5, 0.7, 0.9],
    }
    for mode, points in expected.items():
        arguments = {"target_size_height": 1, "target_size_width": 5, "sampling_mode": mode}
        check_op("resize_bilinear", lambda x0, a=arguments: mb.resize_bilinear(x=x0, **a), [x], np.array([[points]], np.float32))


@pytest.mark.parametrize("align", [True, False])
@settings(max_examples=20, deadline=None)
@given(size=sides, factor=st.sampled_from([(2, 2), (1, 3), (2.5, 1.5)]), seed=seeds)
def test_upsample_bilinear_equals_torchs(align, size, factor, seed) -> None:
    x = values(seed, 1, 2, *size)
    out = [int(np.floor(n * f)) for n, f in zip(size, factor, strict=True)]
    expected = F.interpolate(torch.from_numpy(x), size=out, mode="bilinear", align_corners=align)
    kind = type(factor[0])
    scales = {
        "scale_factor_height": np.float32(factor[0]) if kind is float else factor[0],
        "scale_factor_width": np.float32(factor[1]) if kind is float else factor[1],
    }
    check_op("upsample_bilinear", lambda x0: mb.upsample_bilinear(x=x0, align_corners=align, **scales), [x], expected, 1e-4)


def test_upsample_bilinear_without_half_pixel_centres() -> None:
    x = values(0, 1, 2, 3, 4)
    arguments = {"scale_factor_height": 2, "scale_factor_width": 3, "align_corners": False, "half_pixel_centers": False}
    expected = bilinear(x, (6, 12), "DEFAULT")
    check_op("upsample_bilinear", lambda x0: mb.upsample_bilinear(x=x0, **arguments), [x], expected, target="iOS16")


def centres(size: int, out: int) -> list[int]:
    """Pixel of each point whose centre lies in it, exactly."""
    return [math.floor(Fraction(2 * i + 1, 2) * Fraction(size, out)) for i in range(out)]


@settings(max_examples=30, deadline=None)
@given(size=sides, out=sides, seed=seeds)
def test_nearest_takes_the_pixel_that_the_centre_lies_in(size, out, seed) -> None:
    x = values(seed, 1, 2, *size)
    expected = x[:, :, centres(size[0], out[0])][..., centres(size[1], out[1])]
    arguments = {"target_size_height": out[0], "target_size_width": out[1]}
    check_op("resize_nearest_neighbor", lambda x0: mb.resize_nearest_neighbor(x=x0, **arguments), [x], expected)
    arguments = {"shape": np.array(out, np.int32), "resized_dims": np.uint32(2), "interpolation_mode": "NEAREST_NEIGHBOR"}
    check_op("resize", lambda x0: mb.resize(x=x0, **arguments), [x], expected)


@pytest.mark.parametrize(
    ("size", "out", "expected"), [(2, 3, [0, 1, 1]), (3, 2, [0, 2]), (4, 2, [1, 3]), (6, 2, [1, 4]), (2, 6, [0, 0, 0, 1, 1, 1])]
)
def test_nearest_pixels_that_are_published(size, out, expected) -> None:
    """The first is Core ML's answer in coremltools' tests; all are TensorFlow's and torch's of half-pixel centres."""
    x = np.arange(size, dtype=np.float32).reshape(1, 1, 1, size)
    arguments = {"shape": np.array([1, out], np.int32), "resized_dims": np.uint32(2), "interpolation_mode": "NEAREST_NEIGHBOR"}
    theirs = F.interpolate(torch.from_numpy(x), size=(1, out), mode="nearest-exact")
    assert theirs.flatten().tolist() == expected
    check_op("resize", lambda x0: mb.resize(x=x0, **arguments), [x], theirs)


@settings(max_examples=20, deadline=None)
@given(size=sides, factor=st.sampled_from([(1, 1), (2, 2), (3, 1), (2.5, 1.5)]), seed=seeds)
def test_upsample_nearest_equals_torchs(size, factor, seed) -> None:
    x = values(seed, 1, 2, *size)
    out = [int(np.floor(n * f)) for n, f in zip(size, factor, strict=True)]
    expected = F.interpolate(torch.from_numpy(x), size=out, mode="nearest")
    scales = [np.float32(f) if isinstance(f, float) else f for f in factor]
    arguments = {"scale_factor_height": scales[0], "scale_factor_width": scales[1]}
    check_op("upsample_nearest_neighbor", lambda x0: mb.upsample_nearest_neighbor(x=x0, **arguments), [x], expected)


@pytest.mark.parametrize(("factor", "expected"), [(0.67, [0, 1]), (1.12, [0, 1, 2]), (1.34, [0, 0, 1, 2])])
def test_upsampling_by_a_fraction_follows_the_lengths(factor, expected) -> None:
    """The first two are Core ML's answers in coremltools' tests (iOS15/test_image_resizing.py)."""
    x = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)
    arguments = {"scale_factor_height": np.float32(1), "scale_factor_width": np.float32(factor)}
    wanted = np.array(expected, np.float32).reshape(1, 1, 1, -1)
    check_op("upsample_nearest_neighbor", lambda x0: mb.upsample_nearest_neighbor(x=x0, **arguments), [x], wanted)


@pytest.mark.parametrize("mode", MODES)
def test_resize_works_on_the_last_axes_and_keeps_lengths_named_zero(mode) -> None:
    x = values(0, 2, 3, 4, 5)
    arguments = {"resized_dims": np.uint32(2), "sampling_mode": mode}
    shape = np.array([9, 7, 0], np.int32)
    expected = interpolated(x, 2, positions(mode, 4, 7))
    check_op("resize", lambda x0: mb.resize(x=x0, shape=shape, interpolation_mode="LINEAR", **arguments), [x], expected, 1e-4)
    size = np.array([6, 11], np.int32)  # computed at run time
    expected = bilinear(x, (6, 11), mode)

    def body(x0, x1):
        resized = mb.resize(x=x0, shape=x1, interpolation_mode="LINEAR", **arguments)
        return mb.reshape(x=resized, shape=(2, 3, 6, 11))

    check_op("resize", body, [x, size], expected, 1e-4)


def test_resize_to_the_nearest_neighbour() -> None:
    x = values(0, 1, 2, 4, 5)
    arguments = {"shape": np.array([6, 15], np.int32), "resized_dims": np.uint32(2), "interpolation_mode": "NEAREST_NEIGHBOR"}
    exact = F.interpolate(torch.from_numpy(x), size=(6, 15), mode="nearest-exact")  # pixel centres
    for mode in ("DEFAULT", "UNALIGN_CORNERS"):
        check_op("resize", lambda x0, m=mode: mb.resize(x=x0, sampling_mode=m, **arguments), [x], exact)
