"""Whether a stereo pair is rectified: how far rows of the two pictures are apart, measured by matching blocks."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MOST_OFF", "vertical_disparity"]

#: Pictures are matched at this width; disparities up to the share of it are tried, to either side for pairs that were swapped.
_WIDTH = 320
_REACH = 0.3
#: Rows up and down that are tried, in pixels at that width.
_ROWS = 10
#: Half the side of a block.
_HALF = 6
#: Blocks that are tried; how similar a match must be (normalised cross-correlation), and how many are needed for a verdict.
_BLOCKS = 60
_SIMILAR = 0.9
_NEEDED = 8
#: The largest vertical disparity of a pair that counts as rectified, in % of the height.
MOST_OFF = 0.4


def vertical_disparity(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> float | None:
    """The median over matched blocks of the absolute difference of rows, in % of the height.

    Args:
        left, right: H×W×3 uint8, equal in size.

    Returns:
        None where fewer than eight blocks have a clear match, in dark or plain pictures.
    """
    a, b = _gray(left), _gray(right)
    offsets = [offset for row, column in _textured(a) if (offset := _row_offset(a, b, row, column)) is not None]
    if len(offsets) < _NEEDED:
        return None
    return float(np.median(np.abs(offsets))) / a.shape[0] * 100


def _gray(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    height = max(round(image.shape[0] * _WIDTH / image.shape[1]), 4 * (_ROWS + _HALF))
    return np.asarray(Image.fromarray(image).convert("L").resize((_WIDTH, height), Image.Resampling.BOX), dtype=np.float64)


def _textured(image: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Centres of the blocks with the strongest change from row to row, on a coarse grid; edges along rows tell the row."""
    margin = _HALF + _ROWS
    strength = np.abs(np.diff(image, axis=0, prepend=image[:1]))
    places = [
        (float(strength[r - _HALF : r + _HALF + 1, c - _HALF : c + _HALF + 1].mean()), r, c)
        for r in range(margin, image.shape[0] - margin, _HALF)
        for c in range(margin, image.shape[1] - margin, _HALF)
    ]
    return [(r, c) for _, r, c in sorted(places, reverse=True)[:_BLOCKS]]


def _row_offset(left: NDArray[np.float64], right: NDArray[np.float64], row: int, column: int) -> float | None:
    """Rows from a block of the left picture to its best match in the right one, to fractions; None without a clear match."""
    reach = round(_REACH * _WIDTH)
    first = max(column - reach, _HALF)
    last = min(column + reach, _WIDTH - 1 - _HALF)
    block = left[row - _HALF : row + _HALF + 1, column - _HALF : column + _HALF + 1]
    around = right[row - _ROWS - _HALF : row + _ROWS + _HALF + 1, first - _HALF : last + _HALF + 1]
    scores = _correlation(sliding_window_view(around, block.shape), block)  # rows tried × columns tried
    best, at = np.unravel_index(int(scores.argmax()), scores.shape)
    if scores[best, at] < _SIMILAR or best in (0, scores.shape[0] - 1):
        return None
    # The peak of a parabola through the best row and its neighbours.
    above, here, below = scores[best - 1 : best + 2, at]
    bend = above - 2 * here + below
    return float(best - _ROWS + (0.5 * (above - below) / bend if bend < 0 else 0.0))


def _correlation(windows: NDArray[np.float64], block: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised cross-correlation of every window …×h×w with a block h×w."""
    block = block - block.mean()
    count = block.size
    mean = windows.mean(axis=(-1, -2))
    spread = np.sqrt(np.maximum((windows**2).mean(axis=(-1, -2)) - mean**2, 1e-6) * count)
    product = np.einsum("ijkl,kl->ij", windows, block)
    result: NDArray[np.float64] = product / (spread * max(float(np.linalg.norm(block)), 1e-6))
    return result
