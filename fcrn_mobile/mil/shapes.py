"""Which shapes an input may have: one, some, or a range per axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coremltools.proto.FeatureTypes_pb2 import ArrayFeatureType, ImageFeatureType, SizeRange

__all__ = ["ShapeRule", "by"]

#: Core ML has no tensors of higher rank than 6; damaged packages do.
_MOST_SHOWN = 8


@dataclass(frozen=True)
class ShapeRule:
    """Shapes that Core ML accepts for a feature.

    Attributes:
        default: what an unsized caller should use.
        enumerated: the only shapes allowed, if not empty.
        ranges: smallest and largest length per axis (None = no upper end), if not empty.
    """

    default: tuple[int, ...]
    enumerated: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()

    @classmethod
    def of_image(cls, image: "ImageFeatureType") -> "ShapeRule":
        """Height × width of an image type."""
        flexibility = image.WhichOneof("SizeFlexibility")
        default = (int(image.height), int(image.width))
        if flexibility == "enumeratedSizes":
            return cls(default, tuple((int(size.height), int(size.width)) for size in image.enumeratedSizes.sizes))
        if flexibility == "imageSizeRange":
            sides = (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange)
            return cls(default, ranges=tuple(_range(side) for side in sides))
        return cls(default)

    @classmethod
    def of_array(cls, array: "ArrayFeatureType") -> "ShapeRule":
        """Shape of a multi-array type."""
        flexibility = array.WhichOneof("ShapeFlexibility")
        default = tuple(int(length) for length in array.shape)
        if flexibility == "enumeratedShapes":
            shapes = tuple(tuple(int(length) for length in shape.shape) for shape in array.enumeratedShapes.shapes)
            return cls(default or shapes[0], shapes)
        if flexibility == "shapeRange":
            ranges = tuple(_range(axis) for axis in array.shapeRange.sizeRanges)
            return cls(default or tuple(low for low, _ in ranges), ranges=ranges)
        return cls(default)

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.enumerated) > 1 or any(low != high for low, high in self.ranges)

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether a value may have this shape; any may if none is declared."""
        if self.enumerated:
            return shape in self.enumerated or shape == self.default
        if self.ranges:
            return len(shape) == len(self.ranges) and all(
                low <= length and (high is None or length <= high) for length, (low, high) in zip(shape, self.ranges, strict=True)
            )
        return shape == self.default or not self.default

    def __str__(self) -> str:
        if self.enumerated:
            return " or ".join(by(shape) for shape in self.enumerated)
        if self.ranges:
            return "×".join(str(low) if low == high else f"{low}..{high or ''}" for low, high in self.ranges)
        return by(self.default)


def by(shape: Sequence[int] | None) -> str:
    """A shape as people write it: 1×3×224×320; of a nonsensical one, the first lengths."""
    if shape is None:
        return "any shape"
    return "×".join(map(str, shape[:_MOST_SHOWN])) + ("×…" if len(shape) > _MOST_SHOWN else "") or "()"


def _range(side: "SizeRange") -> tuple[int, int | None]:
    return int(side.lowerBound), int(side.upperBound) if side.upperBound >= 0 else None
