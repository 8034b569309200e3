"""Inputs and outputs of a program, as Core ML declares them: what a caller may hand over and gets back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import FeatureDescription

Kind = Literal["image", "array"]

_COLORS = {10: "GRAYSCALE", 20: "RGB", 30: "BGR", 40: "GRAYSCALE_FLOAT16"}
_ARRAY_TYPES = {65552: "FLOAT16", 65568: "FLOAT32", 65600: "DOUBLE", 131104: "INT32", 131080: "INT8"}


@dataclass(frozen=True)
class Feature:
    """One input or output.

    Attributes:
        name: as the program calls it.
        kind: ``image`` or ``array``.
        dtype: ``RGB``, ``BGR``, ``GRAYSCALE`` or ``GRAYSCALE_FLOAT16`` of an image; ``FLOAT32``… of an array.
        shape: height × width of an image; the array's shape.
        description: the author's words.
    """

    name: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...]
    description: str

    @classmethod
    def from_description(cls, feature: "FeatureDescription") -> "Feature":
        """Read what the specification declares."""
        kind = feature.type.WhichOneof("Type")
        if kind == "imageType":
            image = feature.type.imageType
            return cls(
                feature.name, "image", _COLORS.get(image.colorSpace, "unknown"), (image.height, image.width), feature.shortDescription
            )
        if kind == "multiArrayType":
            array = feature.type.multiArrayType
            dtype = _ARRAY_TYPES.get(array.dataType, "unknown")
            return cls(feature.name, "array", dtype, tuple(array.shape), feature.shortDescription)
        raise MilError(f"'{feature.name}' is a {kind}: only images and arrays are supported")

    def to_tensor(self, value: Any) -> Tensor:
        """A caller's value as the program takes it.

        Args:
            value: for an image, uint8 H×W×3 RGB (or H×W if gray), or a PIL image; for an array, anything NumPy reads.

        Returns:
            1×C×H×W float32 (0..255 for 8-bit images), or the array as float32 or int32.

        Raises:
            MilError: wrong shape or type.
        """
        array = np.asarray(value)
        expected = self._expected_shape()
        if array.shape != expected:
            raise MilError(f"input '{self.name}' has shape {_by(array.shape)}, the package takes {_by(expected)}: resize it first")
        if self.kind == "image":
            if self.dtype != "GRAYSCALE_FLOAT16" and array.dtype != np.uint8:
                raise MilError(f"input '{self.name}' is {array.dtype}: give 8-bit pixels (uint8)")
            pixels = torch.from_numpy(np.array(array, dtype=np.float32))
            if pixels.dim() == 2:
                return pixels[None, None]  # 1×1×H×W
            channels = pixels.permute(2, 0, 1)
            return (channels.flip(0) if self.dtype == "BGR" else channels)[None].contiguous()  # 1×3×H×W
        return torch.from_numpy(np.array(array, dtype=np.int32 if self.dtype.startswith("INT") else np.float32))

    def to_array(self, value: Tensor) -> NDArray[Any]:
        """The program's tensor as a caller gets it: H×W (or H×W×3 uint8) for an image, the whole array otherwise."""
        array: NDArray[Any] = value.numpy()
        if self.kind == "array":
            return array
        if self.dtype in ("RGB", "BGR"):
            channels = array[0][::-1] if self.dtype == "BGR" else array[0]
            return np.clip(np.rint(channels.transpose(1, 2, 0)), 0, 255).astype(np.uint8)
        plane: NDArray[Any] = array.reshape(array.shape[-2:])
        return plane if self.dtype == "GRAYSCALE_FLOAT16" else np.clip(np.rint(plane), 0, 255).astype(np.uint8)

    def _expected_shape(self) -> tuple[int, ...]:
        return (*self.shape, 3) if self.kind == "image" and self.dtype in ("RGB", "BGR") else self.shape


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "()"
