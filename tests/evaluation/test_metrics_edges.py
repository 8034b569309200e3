"""Where a metric changes its mind: ends of ranges, equal values, several processes, NaN among numbers."""

import math

import numpy as np
import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import median_scale
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.evaluation.metrics import (
    PROTOCOLS,
    DepthMetrics,
    align,
    counted_pixels,
    metrics_from_moments,
    pixel_moments,
    protocol,
    valid_mask,
)


def filled(value: float, shape: tuple[int, int] = (4, 4)) -> np.ndarray:
    return np.full(shape, value, np.float32)


def test_a_range_holds_its_far_end_and_not_its_near_one() -> None:
    depth = np.array([[1e-3, 2e-3, 10.0, np.nextafter(np.float32(10), np.float32(11)), -1.0, np.nan, np.inf, -np.inf]], np.float32)
    assert valid_mask(depth, protocol("full")).tolist() == [[False, True, True, False, False, False, False, False]]
    assert valid_mask(filled(80.0, (375, 1242)), protocol("garg")).any()
    assert not valid_mask(filled(80.1, (375, 1242)), protocol("garg")).any()


@pytest.mark.parametrize(("power", "metric"), [(1, "delta1"), (2, "delta2"), (3, "delta3")])
@pytest.mark.parametrize("inverse", [False, True])
def test_a_ratio_that_equals_the_threshold_is_no_hit(power: int, metric: str, inverse: bool) -> None:
    near, far = filled(1.0), filled(1.25**power)
    values = metrics_from_moments(pixel_moments(*((far, near) if inverse else (near, far))))
    assert values[metric] == 0
    closer = np.nextafter(far, np.float32(0))
    assert metrics_from_moments(pixel_moments(*((closer, near) if inverse else (near, closer))))[metric] == 1


@pytest.mark.parametrize(
    ("name", "shape", "rows", "columns"),
    [
        ("eigen", (480, 640), (45, 471), (41, 601)),
        ("eigen", (240, 320), (22, 236), (20, 300)),
        ("eigen", (4800, 6400), (450, 4710), (410, 6010)),
        # Fractions of Garg et al., rounded to whole pixels.
        ("garg", (375, 1242), (153, 372), (45, 1197)),
        ("garg", (370, 1226), (151, 367), (44, 1182)),
    ],
)
def test_a_crop_lies_at_these_pixels(name: str, shape: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> None:
    expected = np.zeros(shape, bool)
    expected[rows[0] : rows[1], columns[0] : columns[1]] = True
    np.testing.assert_array_equal(valid_mask(filled(1.0, shape), PROTOCOLS[name]), expected)


def test_protocols_are_what_their_authors_wrote() -> None:
    assert {name: (rule.max_depth, rule.pooled, rule.crop is None, rule.min_depth) for name, rule in PROTOCOLS.items()} == {
        "eigen": (10.0, False, False, 1e-3),
        "laina": (10.0, True, True, 1e-3),
        "full": (10.0, False, True, 1e-3),
        "garg": (80.0, False, False, 1e-3),
    }
    assert all(name == rule.name for name, rule in PROTOCOLS.items())


def test_the_broken_image_is_ranked_last_wherever_it_came() -> None:
    metrics = DepthMetrics(protocol("full"))
    for name, predicted in (("broken", math.nan), ("far", 4.0), ("lost", math.nan), ("near", 2.2)):
        metrics.update(filled(predicted), filled(2.0), name)
    assert metrics.ranked() == ["near", "far", "broken", "lost"]


@pytest.mark.parametrize("name", ["full", "laina"])
def test_metrics_of_parts_merge_into_those_of_the_whole(name: str) -> None:
    rng = np.random.default_rng(7)
    images = [(rng.uniform(1, 5, (3, width)).astype(np.float32), rng.uniform(1, 5, (3, width)).astype(np.float32)) for width in (4, 9, 5)]
    whole, first, second = (DepthMetrics(protocol(name)) for _ in range(3))
    for index, (predicted, depth) in enumerate(images):
        whole.update(predicted, depth, str(index))
        (first if index < 2 else second).update(predicted, depth, str(index))
    first.merge(second)
    merged, expected = first.compute(), whole.compute()
    assert merged == {key: pytest.approx(value, rel=1e-12) if isinstance(value, float) else value for key, value in expected.items()}
    assert merged["images"] == 3
    assert list(first.per_image) == ["0", "1", "2"]


def test_silog_of_equal_errors_is_zero_and_not_the_root_of_a_rounding() -> None:
    moments = pixel_moments(filled(3.0, (7, 9)), filled(1.9, (7, 9)))
    assert metrics_from_moments(moments)["silog"] == pytest.approx(0, abs=1e-5)
    below = moments.copy()
    below[3] = below[5] ** 2 - 1e-18  # what rounding can leave
    assert metrics_from_moments(below)["silog"] == 0.0
    assert math.isnan(metrics_from_moments(np.full_like(moments, math.nan))["silog"])


def test_silog_by_hand() -> None:
    # Logarithms of 1, 2 and 4 over ones: 0, 1 and 2 times ln 2, whose deviation is ln 2 · √(2/3).
    values = metrics_from_moments(pixel_moments(np.array([1.0, 2.0, 4.0], np.float32), np.ones(3, np.float32)))
    assert values["silog"] == pytest.approx(100 * math.log(2) * math.sqrt(2 / 3))
    assert values["rmse_log"] == pytest.approx(math.log(2) * math.sqrt(5 / 3))
    assert values["log10"] == pytest.approx(math.log10(2))
    assert values["irmse"] == pytest.approx(1000 * math.sqrt((0.5**2 + 0.75**2) / 3))
    assert values["imae"] == pytest.approx(1000 * 1.25 / 3)


def test_a_median_is_none_of_the_mean() -> None:
    depth = np.array([[1.0, 2.0, 9.0]], np.float32)
    assert median_scale(np.array([[0.25, 0.5, 4.0]], np.float32), depth) == pytest.approx(4)


@pytest.mark.parametrize("median", [0.0, -1e-3])
def test_a_median_of_nothing_scales_nothing(median: float) -> None:
    with pytest.raises(InputError, match="no factor scales"):
        median_scale(filled(median), filled(2.0))
    assert median_scale(filled(1e-3), filled(2.0)) == pytest.approx(2000)
    assert math.isnan(median_scale(filled(math.inf), filled(2.0)))


def test_one_pixel_counts_and_its_name_is_said_where_it_does_not() -> None:
    depth = np.zeros((3, 5), np.float32)
    depth[2, 4] = 3.0
    metrics = DepthMetrics(protocol("full"))
    assert metrics.update(filled(3.3, (3, 5)), depth, "one")["mae"] == pytest.approx(0.3, rel=1e-5)
    with pytest.raises(InputError, match=r"'none' has no valid depth pixel under protocol 'full'.*--protocol full"):
        metrics.update(filled(3.3, (3, 5)), np.zeros((3, 5), np.float32), "none")
    assert metrics.compute() | {"images": 1, "protocol": "full", "alignment": "none"} == metrics.compute()
    assert set(METRICS) | {"rmse_pooled", "images", "protocol", "alignment"} == set(metrics.compute())


def test_height_and_width_keep_their_places() -> None:
    resized = align(np.arange(6, dtype=np.float32).reshape(2, 3) + 1, 4, 9, protocol("full"))
    assert resized.shape == (4, 9)
    assert resized.dtype == np.float32
    depth = np.full((4, 9), 2, np.float32)
    assert DepthMetrics(protocol("full")).update(np.full((2, 3), 2, np.float32), depth, "a")["abs_rel"] == 0


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        ([[12.0, 12.0, 13.0, np.inf, np.nan, -5.0, 0.0, 0.0, 0.0, 0.0]], "has a median depth of 12 m, beyond the 10 m of protocol 'full'"),
        ([[np.nan, np.inf, 0.0, -20.0]], "has no valid depth pixel under protocol 'full'"),
        ([[1e-3, 5e-4]], "has no valid depth pixel"),
        ([[1e-4, 1e-4, 80.0]], "has no valid depth pixel"),
    ],
)
def test_a_frame_without_a_pixel_that_counts_says_whether_it_lies_too_far(pixels: list[list[float]], message: str) -> None:
    """The median is that of true depths alone: neither holes nor infinity count."""
    with pytest.raises(InputError, match=f"'frame' {message}"):
        counted_pixels(np.array(pixels, np.float32), protocol("full"), "frame")


def test_a_median_of_just_the_range_is_not_beyond_it() -> None:
    """All true depth lies outside the crop, and half of it at the range's end."""
    depth = np.zeros((480, 640), np.float32)
    depth[0] = 10.0
    with pytest.raises(InputError, match="no valid depth pixel"):
        counted_pixels(depth, protocol("eigen"), "frame")
    depth[0] = np.nextafter(np.float32(10), np.float32(11))
    with pytest.raises(InputError, match="beyond"):
        counted_pixels(depth, protocol("eigen"), "frame")
