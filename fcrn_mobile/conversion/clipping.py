"""Where a tensor is clipped before int8: by percentile or by least squared error, from a histogram of its magnitudes.

Scales are symmetric, scale = clip / 127 without a zero point, so one magnitude per tensor is all there is to choose.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

#: Largest step number of a symmetric int8 scale.
STEPS = 127
#: Of a histogram: 16 in each step of the widest scale.
BINS = 2048
#: Clips that are tried: bin edges, the widest first, down to a sixteenth of the largest magnitude.
_EDGES = np.arange(BINS, BINS // 16 - 1, -BINS // 256)


def histogram(value: Tensor, peak: float) -> NDArray[np.float64]:
    """Number of elements by magnitude, in ``BINS`` equal bins from 0 to ``peak``, the largest magnitude there is."""
    if peak == 0:
        return np.bincount([0], [value.numel()], BINS).astype(np.float64)
    return torch.histc(value.abs().float(), BINS, 0, peak).numpy().astype(np.float64)


def percentile_clip(counts: NDArray[np.float64], peak: float, percentile: float) -> float:
    """The upper edge of the bin in which the percentile of the magnitudes lies."""
    reached = np.cumsum(counts) >= counts.sum() * percentile / 100
    return float((np.argmax(reached) + 1) / BINS * peak)


def mse_clip(counts: NDArray[np.float64], peak: float) -> float:
    """The clip of least expected squared error: rounding error within it plus clipping error beyond, each bin at its centre."""
    centres = (np.arange(BINS) + 0.5) / BINS
    scales = _EDGES[:, None] / BINS / STEPS  # one row per clip
    stored = np.minimum(np.rint(centres / scales), STEPS) * scales
    errors = (centres - stored) ** 2 @ counts
    return float(_EDGES[np.argmin(errors)] / BINS * peak)
