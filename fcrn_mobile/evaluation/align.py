"""How a prediction is brought to the truth, image by image, where its depth is known up to a scale, or up to scale and shift.

Over the pixels that count, p predicted and d true depth, q predicted inverse depth:

- ``none``: p as it is.
- ``median``: s·p with s = median(d) / median(p) (Zhou et al. 2017, arXiv 1704.07813, section 4.1).
- ``scale-shift``: s·p + t with the least Σ (s·p + t - d)².
- ``scale-shift-inverse``: 1 / (s·q + t) with the least Σ (s·q + t - 1/d)² (Ranftl et al. 2019, MiDaS, arXiv 1907.01341, section 5, for
  inverse depth up to scale and shift); what is not above 0 is infinitely far, and cut at the protocol's largest depth as there.

In closed form s = Σ (x - x̄)(y - ȳ) / Σ (x - x̄)² and t = ȳ - s·x̄, the normal equations of a line.
"""

import math

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError

__all__ = ["ALIGNMENTS", "INVERSE_LINE", "LINE", "MEDIAN", "NONE", "Array", "aligned", "least_squares", "median_scale", "scale_and_shift"]

NONE, MEDIAN, LINE, INVERSE_LINE = "none", "median", "scale-shift", "scale-shift-inverse"
ALIGNMENTS = (NONE, MEDIAN, LINE, INVERSE_LINE)

Array = NDArray[np.float32]


def aligned(prediction: Array, depth: Array, counted: NDArray[np.bool_], alignment: str, inverse: bool = False) -> NDArray[np.float64]:
    """A prediction brought to the truth, in metres; it may lie beyond any range, and NaN stays NaN.

    Args:
        prediction: H×W depth of any unit, or inverse depth.
        depth: H×W true metres.
        counted: pixels to look at, at least one.
        alignment: one of ``ALIGNMENTS``.
        inverse: whether the prediction is inverse depth.

    Raises:
        InputError: a median that no factor scales to the truth, or values not above 0 whose inverse is to meet the truth by a line.
    """
    values = prediction.astype(np.float64)
    if inverse != (alignment == INVERSE_LINE):
        values = _inverted(values)
    if alignment == NONE:
        return values
    if alignment == MEDIAN:
        return values * median_scale(values[counted], depth[counted])
    if lost := int(np.sum(np.isfinite(prediction) & np.isinf(values) & counted)):
        what, remedy = ("inverse depth", INVERSE_LINE) if inverse else ("depth", LINE)
        raise InputError(
            f"{lost} of {int(counted.sum())} pixels of the {what} are not above 0, so that their inverse is infinite and no line "
            f"fits: evaluate with --align {remedy}"
        )
    true = depth[counted].astype(np.float64)
    scale, shift = least_squares(values[counted], 1 / true if alignment == INVERSE_LINE else true)
    line = scale * values + shift
    return _inverted(line) if alignment == INVERSE_LINE else line


def least_squares(values: NDArray[np.float64], truth: NDArray[np.float64]) -> tuple[float, float]:
    """Scale s and shift t with the least Σ (s·x + t - y)².

    Args:
        values, truth: x and y, of one shape, at least one.

    Returns:
        0 and the mean of y where all x are equal; NaN where one is not finite.
    """
    if not np.isfinite(values).all():
        return math.nan, math.nan
    mean, true_mean = float(values.mean()), float(truth.mean())
    centred = values - mean
    square = float((centred**2).sum())
    # Rounding of the mean leaves equal values this far apart.
    if square <= values.size * (1e-15 * abs(mean)) ** 2:
        return 0.0, true_mean
    scale = float((centred * (truth - true_mean)).sum()) / square
    return scale, true_mean - scale * mean


def median_scale(prediction: NDArray[np.floating], depth: NDArray[np.floating]) -> float:
    """median(true) / median(predicted).

    Args:
        prediction, depth: of the pixels that count.

    Returns:
        The factor; NaN if a prediction is NaN or the median is infinite, which no factor mends.

    Raises:
        InputError: the prediction's median is 0 or negative.
    """
    predicted = float(np.median(prediction.astype(np.float64)))
    if not math.isfinite(predicted):
        return math.nan
    if predicted <= 0:
        raise InputError(
            f"the median of the prediction is {predicted:.4g}, which no factor scales to the truth: evaluate with another --align"
        )
    return float(np.median(depth.astype(np.float64))) / predicted


def scale_and_shift(values: NDArray[np.float64], target: NDArray[np.float64], alignment: str) -> tuple[float, float]:
    """S and t of s·x + t that bring values to a target of one shape, by ``median`` (t is 0) or ``scale-shift``; NaN where nothing does."""
    if alignment == LINE:
        return least_squares(values, target)
    try:
        return median_scale(values, target), 0.0
    except InputError:
        return math.nan, 0.0


def _inverted(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / x; what is not above 0 is infinitely far."""
    with np.errstate(divide="ignore"):
        return np.where(values <= 0, np.inf, 1 / values)
