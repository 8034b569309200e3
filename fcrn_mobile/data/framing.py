"""How a picture of any size becomes one of a model's size, and where the model's depth lies in the picture again."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.depth_contract import Framing

__all__ = ["Frame"]

#: Sides in pixels: height, width.
_Size = tuple[int, int]


@dataclass(frozen=True)
class Frame:
    """A picture's place in a model's.

    Attributes:
        picture: height and width of the picture.
        model: height and width that the model takes.
        framing: ``stretch``, ``crop`` (its middle, in the model's aspect) or ``letterbox`` (all of it, between black bars).
    """

    picture: _Size
    model: _Size
    framing: Framing = "stretch"

    @property
    def seen_width(self) -> float:
        """Width in the picture's pixels of what the model sees, bars included: a focal length in these widths is the one that counts.

        Metres hold for a horizontal focal length in widths of the picture (``cameras.focal_ratio``). Neither resizing nor stretching
        changes that, cropping and bars do. Exact, where ``fill`` takes whole pixels.
        """
        height, width = self.picture
        of_its_height = height * self.model[1] / self.model[0]
        return {"stretch": width, "crop": min(width, of_its_height), "letterbox": max(width, of_its_height)}[self.framing]

    def fill(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture H×W×3 as the model sees it."""
        if self.framing == "crop":
            (top, bottom), (left, right) = self._middle
            return fit(np.ascontiguousarray(image[top:bottom, left:right]), self.model)
        if self.framing == "letterbox":
            (top, bottom), (left, right) = self._inside
            result = np.zeros((*self.model, 3), np.uint8)
            result[top:bottom, left:right] = fit(image, (bottom - top, right - left))
            return result
        return fit(image, self.model)

    def restore(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """A depth map of what the model saw → that of the picture: without bars; NaN where the model saw nothing."""
        if self.framing == "crop":
            sides = [
                _scaled(side, length, self._middle[axis]) for axis, (side, length) in enumerate(zip(depth.shape, self.picture, strict=True))
            ]
            result = np.full([whole for whole, _ in sides], np.nan, np.float32)
            (top, left) = (start for _, start in sides)
            result[top : top + depth.shape[0], left : left + depth.shape[1]] = depth
            return result
        if self.framing == "letterbox":
            rows, columns = (
                _part(side, length, inside) for side, length, inside in zip(depth.shape, self.model, self._inside, strict=True)
            )
            return depth[rows, columns]
        return depth

    @property
    def _middle(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of the picture that a crop keeps."""
        scale = min(side / length for side, length in zip(self.picture, self.model, strict=True))
        sides = [min(max(round(length * scale), 1), side) for side, length in zip(self.picture, self.model, strict=True)]
        rows, columns = (((side - part) // 2, (side - part) // 2 + part) for side, part in zip(self.picture, sides, strict=True))
        return rows, columns

    @property
    def _inside(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of the model's picture that show something between the bars."""
        return Frame(self.model, self.picture)._middle


def _scaled(side: int, length: int, middle: tuple[int, int]) -> tuple[int, int]:
    """Pixels of the whole picture where its middle has ``side``, and the first of the middle."""
    start, end = middle
    whole = max(round(side * length / (end - start)), side)
    return whole, min(round(whole * start / length), whole - side)


def _part(side: int, length: int, inside: tuple[int, int]) -> slice:
    """Of ``side`` pixels over ``length``, those that lie wholly inside; at least one."""
    start, end = inside
    first = min(-(-start * side // length), side - 1)
    return slice(first, max(end * side // length, first + 1))
