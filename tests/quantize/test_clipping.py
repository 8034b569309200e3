"""Clips by hand, on histograms of a few values."""

import numpy as np
import pytest
import torch

from fcrn_mobile.quantize.clipping import BINS, best_scale, histogram, mse_clip, percentile_clip, squared_error
from fcrn_mobile.quantize.grids import Integers


def counts(**at: int) -> np.ndarray:
    """A histogram with some values in bins that are named b0, b1, …"""
    found = np.zeros(BINS)
    for name, count in at.items():
        found[int(name[1:])] = count
    return found


@pytest.mark.parametrize(
    ("percentile", "bin_of_it"), [(100, 2047), (99.1, 2047), (99, 500), (90.1, 500), (90, 100), (50.1, 100), (50, 0), (1, 0)]
)
def test_a_percentile_ends_with_the_bin_that_reaches_it(percentile: float, bin_of_it: int) -> None:
    found = percentile_clip(counts(b0=50, b100=40, b500=9, b2047=1), 8.0, percentile)
    assert found == pytest.approx((bin_of_it + 1) / 2048 * 8.0, rel=1e-12)


def test_a_histogram_has_equal_bins_up_to_the_peak() -> None:
    peak = 4.0
    values = torch.tensor([0.0, 0.001, peak / BINS * 1.5, -peak / BINS * 1.5, -peak, peak])
    found = histogram(values, peak)
    assert found.shape == (BINS,)
    assert (found[0], found[1], found[-1], found.sum()) == (2, 2, 2, 6)
    assert found.dtype == np.float64
    nothing = histogram(torch.zeros(2, 3), 0.0)
    assert (nothing[0], nothing.sum(), nothing.shape) == (6, 6, (BINS,))
    assert percentile_clip(nothing, 0.0, 99) == 0.0
    assert mse_clip(nothing, 0.0) == 0.0


def by_hand(found: np.ndarray, peak: float) -> float:
    """The clip of least error, tried one by one."""
    centres = (np.arange(BINS) + 0.5) / BINS * peak
    errors = {}
    for share in range(256, 15, -1):
        clip = peak * share / 256
        scale = clip / 127
        errors[clip] = float((found * (centres - np.minimum(np.rint(centres / scale), 127) * scale) ** 2).sum())
    return min(errors, key=lambda clip: errors[clip])


@pytest.mark.parametrize("peak", [1.0, 6.0])
@pytest.mark.parametrize("tail", [1, 4, 400])
def test_mse_clip_is_the_best_of_all_that_are_tried(tail: int, peak: float) -> None:
    rng = np.random.default_rng(tail)
    found = np.histogram(np.abs(rng.normal(size=9000)) / 9, BINS, (0, 1))[0].astype(float)
    found[2047] = tail
    assert mse_clip(found, peak) == pytest.approx(by_hand(found, peak), rel=1e-9)
    low = np.zeros(BINS)
    low[: BINS // 16] = 1
    assert mse_clip(low, peak) == pytest.approx(by_hand(low, peak), rel=1e-9) == pytest.approx(peak / 16, rel=0.1)


def test_each_block_gets_the_scale_of_its_least_error_and_the_first_of_equal_ones() -> None:
    values = torch.tensor([[0.9, -2.0, 2.1, 60.0], [0.0, 0.0, 0.0, 0.0]])
    grid = Integers(torch.full((2, 2), 5.0), bits=4, symmetric=True)
    scales = [torch.full((2, 2), scale) for scale in (2.0, 1.0, 8.0)]
    expected = np.empty((2, 2))
    for row, column in np.ndindex(2, 2):
        block = values[row, 2 * column : 2 * column + 2].numpy()
        errors = [float(((np.clip(np.rint(block / scale), -7, 7) * scale - block) ** 2).sum()) for scale in (2.0, 1.0, 8.0)]
        expected[row, column] = (2.0, 1.0, 8.0)[int(np.argmin(errors))]
    best = best_scale(grid, values, scales)
    np.testing.assert_array_equal(best.scale.numpy(), expected)
    assert (best.low, best.high) == (-7, 7)
    assert expected.tolist() == [[1.0, 8.0], [2.0, 2.0]]


def test_values_count_as_often_as_there_are_of_them() -> None:
    values, counts = torch.tensor([[0.4, 1.0, 3.3]]), torch.tensor([2.0, 5.0, 3.0])
    grid = Integers(torch.tensor([[1.0]]))
    assert squared_error(grid, values).item() == pytest.approx(0.4**2 + 0.3**2)
    assert squared_error(grid, values, counts).item() == pytest.approx(2 * 0.4**2 + 3 * 0.3**2)
