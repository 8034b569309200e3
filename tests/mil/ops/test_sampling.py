import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values
from tests.mil.ops.test_resize import MODES, positions

# Core ML's padding and torch's: torch mirrors at pixel centres if corners are aligned, at outer edges otherwise.
PADDINGS = [("constant", "zeros", True), ("constant", "zeros", False), ("border", "border", True), ("border", "border", False)]
CONVENTIONS = ["CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST"]
PADDINGS += [("reflection", "reflection", True), ("symmetric", "reflection", False)]


@pytest.mark.parametrize(("padding", "torchs", "align"), PADDINGS)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@settings(max_examples=15, deadline=None)
@given(size=st.tuples(st.integers(2, 6), st.integers(2, 6)), seed=seeds, unit=st.booleans())
def test_resample_equals_torchs_grid_sample(mode, padding, torchs, align, size, seed, unit) -> None:
    x = values(seed, 2, 3, *size)
    grid = np.random.default_rng(seed).uniform(-1.9, 1.9, (2, 4, 5, 2)).astype(np.float32)
    expected = F.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), mode=mode, padding_mode=torchs, align_corners=align)
    coordinates, named = ((grid + 1) / 2, "normalized_zero_to_one") if unit else (grid, "normalized_minus_one_to_one")
    arguments = {"padding_mode": padding, "padding_value": np.float32(0), "coordinates_mode": named, "align_corners": align}

    def body(x0, x1):
        return mb.resample(x=x0, coordinates=x1, sampling_mode=mode, **arguments)

    check_op("resample", body, [x, coordinates.astype(np.float32)], expected, 2e-4)


def test_resample_takes_pixels_and_pads_with_a_value() -> None:
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    at = np.array([[[[0, 0], [3, 2], [1.5, 0], [0, 0.5]], [[-1, 0], [4, 1], [-0.5, 0], [3, 2.5]]]], np.float32)  # x, y
    expected = np.array([[[[0, 11, 1.5, 2], [7, 7, 3.5, 9]]]], np.float32)
    arguments = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": np.float32(7), "align_corners": True}

    def body(x0, x1):
        return mb.resample(x=x0, coordinates=x1, coordinates_mode="unnormalized", **arguments)

    check_op("resample", body, [x, at], expected)


@settings(max_examples=15, deadline=None)
@given(seed=seeds, shared=st.booleans())
def test_affine_equals_torchs_grid(seed, shared) -> None:
    x = values(seed, 2, 3, 5, 6)
    matrix = values(seed + 1, 1 if shared else 2, 6, scale=0.7)
    theta = torch.from_numpy(matrix).reshape(-1, 2, 3).expand(2, 2, 3)
    grid = F.affine_grid(theta, [2, 3, 4, 7], align_corners=True)
    expected = F.grid_sample(torch.from_numpy(x), grid, align_corners=True)
    arguments = {"output_height": 4, "output_width": 7, "sampling_mode": "bilinear", "padding_mode": "constant"}
    arguments |= {"padding_value": 0.0, "coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}
    check_op("affine", lambda x0, x1: mb.affine(x=x0, transform_matrix=x1, **arguments), [x, matrix], expected, 2e-4, target="iOS15")


def by_hand(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, pad: float) -> np.ndarray:
    """Bilinear values of C×H×W at pairs of rows and columns; outside is the padding value."""
    height, width = image.shape[1:]
    out = np.full((len(image), len(rows), len(columns)), pad, np.float32)
    for i, r in enumerate(rows):
        for j, c in enumerate(columns):
            if 0 <= r <= height - 1 and 0 <= c <= width - 1:
                r0, c0 = int(r), int(c)
                r1, c1 = min(r0 + 1, height - 1), min(c0 + 1, width - 1)
                top = image[:, r0, c0] * (1 - (c - c0)) + image[:, r0, c1] * (c - c0)
                low = image[:, r1, c0] * (1 - (c - c0)) + image[:, r1, c1] * (c - c0)
                out[:, i, j] = top * (1 - (r - r0)) + low * (r - r0)
    return out


def test_crop_resize_gives_the_published_values() -> None:
    # Expected values as coremltools' own tests of Core ML state them for these boxes.
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    boxes = np.array([[0.1, 0.3, 1.3, 1.0], [0.5, 1.8, 1.0, 0.3], [0.0, 0.4, 0.6, 0.7]], np.float32)
    expected = np.array([3.1, 5.2, 10, 10, 10, 7.9, 10, 13.9, 2.2, 3.1, 9.4, 10.3], np.float32).reshape(3, 1, 2, 2)
    arguments = {"target_height": 2, "target_width": 2, "normalized_coordinates": True, "sampling_mode": "ALIGN_CORNERS"}
    arguments |= {"box_indices": np.zeros(3, np.int32), "pad_value": np.float32(10)}
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, boxes=x1, **arguments), [x, boxes], expected, 1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_crop_resize_samples_a_box_as_resize_bilinear_does_an_image(mode, convention) -> None:
    x = values(0, 2, 3, 8, 9)
    top, left, bottom, right = 1, 2, 5, 7
    box = [top, left, bottom, right]
    if convention.startswith("CENTER"):
        box = [(top + bottom) / 2, (left + right) / 2, bottom - top, right - left]
    if convention.endswith("WIDTH_FIRST"):
        box = [box[1], box[0], box[3], box[2]]
    rows, columns = top + positions(mode, bottom - top + 1, 3), left + positions(mode, right - left + 1, 4)
    arguments = {"target_height": 3, "target_width": 4, "box_coordinate_mode": convention, "sampling_mode": mode}
    expected = np.stack([by_hand(image, rows, columns, 0) for image in x])

    roi = np.array(box, np.float32).reshape(1, 1, 4, 1, 1)
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, roi=x1, **arguments), [x, roi], expected[None], 1e-4, "iOS15")
    # With the image's number; coremltools declares the result rightly for a batch of one only.
    named = np.array([0, *box], np.float32).reshape(1, 1, 5, 1, 1)
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, roi=x1, **arguments), [x[:1], named], expected[None, :1], 1e-4, "iOS16")
    boxes = np.array([box, box], np.float32) * 2
    arguments |= {"spatial_scale": np.float32(0.5)}
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, boxes=x1, **arguments), [x, boxes], expected, 1e-4)
    arguments |= {"box_indices": np.array([1, 0], np.int32)}
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, boxes=x1, **arguments), [x, boxes], expected[::-1], 1e-4)


def test_a_box_may_run_backwards() -> None:
    x = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
    boxes = np.array([[2, 2, 1, 1]], np.float32)
    arguments = {"target_height": 2, "target_width": 2, "sampling_mode": "ALIGN_CORNERS"}
    expected = np.array([11, 10, 7, 6], np.float32).reshape(1, 1, 2, 2)
    check_op("crop_resize", lambda x0, x1: mb.crop_resize(x=x0, boxes=x1, **arguments), [x, boxes], expected)
