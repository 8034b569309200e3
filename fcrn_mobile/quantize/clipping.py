"""Where a tensor is clipped before it becomes integers: by least squared error, or by percentile of its magnitudes.

A smaller scale rounds less and clips more. Both errors together are those of a tensor's own values, per block, or of a histogram of
magnitudes where a tensor is never at hand as a whole; its scales are symmetric, clip / 127 without a zero point.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.quantize.blocks import reduced
from fcrn_mobile.quantize.grids import Integers

__all__ = ["BINS", "STEPS", "best_scale", "histogram", "mse_clip", "percentile_clip", "squared_error"]

#: Largest step number of a symmetric int8 scale.
STEPS = 127
#: Of a histogram: 16 in each step of the widest scale.
BINS = 2048
#: Clips that are tried: bin edges, the widest first, down to a sixteenth of the largest magnitude.
_EDGES = BINS // 256 * np.arange(256, 15, -1)


def squared_error(grid: Integers, values: Tensor, counts: Tensor | None = None) -> Tensor:
    """What rounding and clipping to a grid cost each of its blocks; ``counts`` says how often there is each value."""
    errors = (grid.nearest(values) - values).square()
    return reduced(errors if counts is None else errors * counts, grid.scale.shape).sum(-1)


def best_scale(grid: Integers, values: Tensor, scales: Iterable[Tensor]) -> Integers:
    """The grid with that of some scales, for each block, whose squared error is least, the first of equal ones."""
    least, best = torch.full_like(grid.scale, torch.inf), grid.scale
    for scale in scales:
        error = squared_error(replace(grid, scale=scale), values)
        best = torch.where(error < least, scale, best)
        least = torch.minimum(error, least)
    return replace(grid, scale=best)


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
    centres = (torch.arange(BINS, dtype=torch.float64) + 0.5) / BINS
    grid = Integers(torch.from_numpy(_EDGES[:, None] / BINS / STEPS))  # one block per clip
    errors = squared_error(grid, centres.expand(len(_EDGES), BINS), torch.from_numpy(counts))
    return float(_EDGES[int(errors.argmin())] / BINS * peak)
