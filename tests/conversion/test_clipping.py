"""Clips by hand, on histograms of a few values."""

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.clipping import BINS, histogram, mse_clip, percentile_clip


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
