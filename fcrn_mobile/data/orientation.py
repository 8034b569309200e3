"""EXIF's orientation: how the rows and columns of a file become an upright picture (Exif 2.32, tag 0x0112)."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SIDEWAYS", "exif_orientation", "turned"]

_TAG = 0x0112
_Scalar = TypeVar("_Scalar", bound=np.generic)
_TURNS: dict[int, Callable[[Any], Any]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}
#: Those that exchange rows and columns.
SIDEWAYS = (5, 6, 7, 8)


def exif_orientation(image: Image.Image) -> int:
    """1 to 8; 1, upright, where a file says nothing or nothing sensible."""
    value = image.getexif().get(_TAG)
    return value if value in _TURNS else 1


def turned(pixels: NDArray[_Scalar], orientation: int) -> NDArray[_Scalar]:
    """H×W or H×W×C as stored → as they are to be shown; sideways they become W×H."""
    if orientation not in _TURNS:
        return pixels
    upright: NDArray[_Scalar] = np.ascontiguousarray(_TURNS[orientation](pixels))
    return upright
