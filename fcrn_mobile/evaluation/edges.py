"""Jumps of depth between neighbouring pixels: whether a prediction has them where the truth has them (metric ``boundary_f1``)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.evaluation.formulas import EDGE_RATIOS

__all__ = ["edge_density"]


def edge_density(prediction: NDArray[np.float64], depth: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Edges per counted pixel: of the truth, of the prediction, and of both at one place, for each threshold, 3×10.

    As means over pixels they can be pooled over images. A pair with a pixel that does not count is no pair: a hole in the truth has no
    edge. A NaN has none either, for comparisons with it are false.

    Args:
        prediction, depth: equal-shaped arrays of metres.
        counted: pixels that count; at least one.
    """
    counts = np.zeros((3, len(EDGE_RATIOS)))
    for axis in range(depth.ndim):
        pairs = np.logical_and(*_neighbours(counted, axis)) & (_may_be_edges(depth, axis) | _may_be_edges(prediction, axis))
        true, predicted = (_levels(*(values[pairs] for values in _neighbours(each, axis))) for each in (depth, prediction))
        both = np.where(true * predicted > 0, np.minimum(abs(true), abs(predicted)), 0)
        for row, levels in zip(counts, (abs(true), abs(predicted), both), strict=True):
            row += [np.count_nonzero(levels > index) for index in range(len(EDGE_RATIOS))]
    return counts / np.count_nonzero(counted)


def _neighbours(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Each value that has a successor along an axis, and its successor."""
    moved = np.moveaxis(values, axis, 0)
    return moved[:-1], moved[1:]


def _may_be_edges(depth: NDArray[np.float64], axis: int) -> NDArray[np.bool_]:
    """Pairs that are worth a look, few of all, whatever rounding does to a ratio."""
    first, second = _neighbours(depth, axis)
    result: NDArray[np.bool_] = np.maximum(first, second) > 0.99 * EDGE_RATIOS[0] * np.minimum(first, second)
    return result


def _levels(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many thresholds the ratio of each pair exceeds; negative where the second pixel is in front."""
    ratio = np.maximum(first / second, second / first)
    levels = np.searchsorted(EDGE_RATIOS, np.nan_to_num(ratio, nan=1.0))
    return np.where(second < first, -levels, levels)
