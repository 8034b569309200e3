"""Metres from a tape measure: distances at some pixels of a picture set the scale of its depth, or scale and shift, in closed form.

Of one pixel, metres = s·p with s = d / p; of several, metres = s·p + t by least squares (``align.least_squares``). Of inverse depth q the
same is done to 1 / d, and metres = 1 / (s·q + t). Distances are along the camera's axis, as depth is: measure to the plane through the
thing that is parallel to the picture.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.align import least_squares

__all__ = ["Mark", "Scale", "fit_scale", "parse_mark"]

#: Metres in a unit.
_UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "ft": 0.3048, "in": 0.0254}
_FORM = re.compile(r"\s*(-?\d+)\s*,\s*(-?\d+)\s*=\s*([-+]?\d*\.?\d+)\s*([a-zA-Z]*)\s*")
#: Least difference, relative, between what the network gives at pixels that tell scale and shift apart.
_APART = 1e-3


@dataclass(frozen=True)
class Mark:
    """A distance at a pixel of a picture.

    Attributes:
        x, y: of the pixel, from 0 at the picture's upper left corner, to the right and down.
        metres: there.
    """

    x: int
    y: int
    metres: float


@dataclass(frozen=True)
class Scale:
    """What turns a network's depth into metres.

    Attributes:
        scale, shift: of the depth, or of the inverse depth.
        inverse: which of the two.
    """

    scale: float
    shift: float = 0.0
    inverse: bool = False

    def __call__(self, output: NDArray[np.float32]) -> NDArray[np.float32]:
        """Metres of what a network gives, h×w; 0, which is no depth, where that is not above 0 or infinitely far."""
        values = self.scale * output.astype(np.float64) + self.shift
        with np.errstate(divide="ignore", invalid="ignore"):
            metres = np.where(values > 0, 1 / values if self.inverse else values, np.where(np.isnan(values), np.nan, 0))
        return metres.astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        return {"scale": self.scale, "shift": self.shift, "of": "inverse depth" if self.inverse else "depth"}

    def __str__(self) -> str:
        shift = f" {'-' if self.shift < 0 else '+'} {abs(self.shift):.6g}" if self.shift else ""
        line = f"{self.scale:.6g} · {'inverse depth' if self.inverse else 'depth'}{shift}"
        return f"metres = 1 / ({line})" if self.inverse else f"metres = {line}"


def parse_mark(text: str) -> Mark:
    """Read ``x,y=DISTANCE``, such as ``320,240=2.35m``.

    Raises:
        InputError: another form, or a distance without a unit or not above 0.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InputError(f"--scale-from '{text}': write a pixel and its distance, such as 320,240=2.35m")
    x, y, distance, unit = match.groups()
    if unit not in _UNITS:
        problem = f"'{unit}' is no unit" if unit else f"{distance} has no unit"
        raise InputError(f"--scale-from '{text}': {problem}: write one of {', '.join(_UNITS)} behind it, such as 2.35m")
    metres = float(distance) * _UNITS[unit]
    if not (math.isfinite(metres) and metres > 0):
        raise InputError(f"--scale-from '{text}': give a distance above 0")
    return Mark(int(x), int(y), metres)


def fit_scale(output: NDArray[np.float32], marks: Sequence[Mark], size: tuple[int, int], picture: str, inverse: bool = False) -> Scale:
    """The scale of one mark, the scale and shift of several.

    Args:
        output: what the network gives of the picture, h×w depth of any unit, or inverse depth.
        marks: at least one.
        size: height and width of the picture.
        picture: its name, for messages.
        inverse: whether the output is inverse depth.

    Raises:
        InputError: a mark outside of the picture or where there is no depth; marks that tell nothing; distances that contradict depth.
    """
    values = np.array([_at(output, mark, size, picture) for mark in marks])
    metres = np.array([mark.metres for mark in marks])
    truth = 1 / metres if inverse else metres
    if len(marks) == 1:
        return Scale(float(truth[0] / values[0]), 0.0, inverse)
    if values.max() - values.min() < _APART * values.max():
        raise InputError(f"all pixels of --scale-from are at one depth in '{picture}': give one alone, or some at other depths")
    scale, shift = least_squares(values, truth)
    if scale <= 0:
        raise InputError(
            f"of the pixels of --scale-from in '{picture}' what is farther by the tape is nearer in depth: check x,y and distances"
        )
    return Scale(scale, shift, inverse)


def _at(output: NDArray[np.float32], mark: Mark, size: tuple[int, int], picture: str) -> float:
    """The output at a pixel, bilinearly between the centres of its own pixels."""
    height, width = size
    pixel = f"pixel {mark.x},{mark.y}"
    if not (0 <= mark.x < width and 0 <= mark.y < height):
        raise InputError(
            f"{pixel} of --scale-from lies outside of '{picture}', whose x go from 0 to {width - 1} and y from 0 to {height - 1}"
        )
    places = [
        np.clip((place + 0.5) * side / length - 0.5, 0, side - 1)
        for place, side, length in zip((mark.y, mark.x), output.shape, size, strict=True)
    ]
    low = [min(int(place), side - 2) if side > 1 else 0 for place, side in zip(places, output.shape, strict=True)]
    (top, left), (down, right) = low, [place - index for place, index in zip(places, low, strict=True)]
    corner = output[top : top + 2, left : left + 2].astype(np.float64)
    rows = np.array([1 - down, down])[: corner.shape[0]]
    columns = np.array([1 - right, right])[: corner.shape[1]]
    value = float(rows @ corner @ columns)
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{pixel} of --scale-from has no depth in '{picture}' ({value:.4g}): give another")
    return value
