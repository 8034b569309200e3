"""Inputs and outputs of a program, as Core ML declares them: what a caller may hand over and gets back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.shapes import ShapeRule, by
from fcrn_mobile.package.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.Model_pb2 import FeatureDescription

__all__ = ["CHANNELS", "Feature", "Kind"]

#: ``label``: a text or whole number, as classifiers give it; ``number``: a floating-point number; ``scores``: numbers by label.
Kind = Literal["image", "array", "label", "number", "scores"]

_COLORS = {10: "GRAYSCALE", 20: "RGB", 30: "BGR", 40: "GRAYSCALE_FLOAT16"}
_ARRAY_TYPES = {65552: "FLOAT16", 65568: "FLOAT32", 65600: "DOUBLE", 131104: "INT32", 131080: "INT8"}
#: Colours of an image; one where it is none of these.
CHANNELS = {"RGB": 3, "BGR": 3}
_PIL_MODES = {"RGB": "RGB", "BGR": "RGB", "GRAYSCALE": "L", "GRAYSCALE_FLOAT16": "F"}


@dataclass(frozen=True)
class Feature:
    """One input or output.

    Attributes:
        name: as the program calls it.
        kind: ``image`` or ``array``; of models of tables and of a classifier's outputs ``label``, ``number`` or ``scores``.
        dtype: ``RGB``, ``BGR``, ``GRAYSCALE`` or ``GRAYSCALE_FLOAT16`` of an image; ``FLOAT32``… of an array; ``STRING`` or ``INT64`` of a
            label and of the labels of scores; ``DOUBLE`` of a number.
        shapes: which shapes it may have: height × width of an image, the array's own.
        description: the author's words.
        default: value of every element if the input is left out, of a state at first; None if it must be given.
        labels: of the columns of an array, such as a detector's confidence in each class; nothing if they have none.
    """

    name: str
    kind: Kind
    dtype: str
    shapes: ShapeRule
    description: str = ""
    default: float | None = None
    labels: tuple[str | int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The declared default: height × width of an image, the array's shape."""
        return self.shapes.default

    @classmethod
    def from_description(cls, feature: "FeatureDescription") -> "Feature":
        """Read what the specification declares.

        Raises:
            MilError: a sequence, or another kind that this runtime lacks.
        """
        declared = feature.type
        kind = declared.WhichOneof("Type")
        if kind == "imageType":
            color = _COLORS.get(declared.imageType.colorSpace, "unknown")
            return cls(feature.name, "image", color, ShapeRule.of_image(declared.imageType), feature.shortDescription)
        if kind in ("multiArrayType", "stateType"):
            array = declared.multiArrayType if kind == "multiArrayType" else declared.stateType.arrayType
            default = array.WhichOneof("defaultOptionalValue")
            value = float(getattr(array, default)) if default else 0.0 if declared.isOptional or kind == "stateType" else None
            dtype = _ARRAY_TYPES.get(array.dataType, "unknown")
            return cls(feature.name, "array", dtype, ShapeRule.of_array(array), feature.shortDescription, value)
        if kind in ("stringType", "int64Type", "dictionaryType"):
            role: Kind = "scores" if kind == "dictionaryType" else "label"
            key = declared.dictionaryType.WhichOneof("KeyType") if role == "scores" else kind
            return cls(feature.name, role, "STRING" if str(key).startswith("string") else "INT64", ShapeRule(()), feature.shortDescription)
        if kind == "doubleType":
            return cls(feature.name, "number", "DOUBLE", ShapeRule(()), feature.shortDescription)
        raise MilError(f"'{feature.name}' is a {kind}: only images, arrays, numbers, texts and dictionaries are supported")

    @property
    def type_text(self) -> str:
        """Its kind, type and shapes, for people."""
        shapes = f" {self.shapes}" if self.kind in ("image", "array") and self.shape else ""
        return f"{self.dtype} {self.kind}{shapes}"

    def to_tensor(self, value: Any) -> Any:
        """A caller's value as the program takes it.

        Args:
            value: for an image, uint8 H×W×3 RGB (or H×W if gray; floats if Float16), or a PIL image of the matching mode; for an
                array, anything NumPy reads; a number; a text or whole number; a dictionary of numbers.

        Returns:
            1×C×H×W float32 (0..255 for 8-bit images), or the array as float32 or int32; a number as a float64 tensor without axes; a
            label (str or int) and a dictionary as they are.

        Raises:
            MilError: wrong shape or type.
        """
        if self.kind == "image":
            return self._pixels(value)
        if self.kind == "number":
            return torch.tensor(self._number(value), dtype=torch.float64)
        if self.kind == "label":
            return self._label(value)
        if self.kind == "scores":
            if not isinstance(value, Mapping):
                raise MilError(f"input '{self.name}' is {type(value).__name__}: give a dictionary of numbers")
            return {self._label(key): self._number(number) for key, number in value.items()}
        array = np.asarray(value)
        self._check_shape(array.shape, array.shape)
        return self._numbers(array)

    def default_tensor(self) -> Tensor:
        """The value of an input that is left out: its default in its default shape."""
        if self.kind == "number":
            return torch.tensor(self.default, dtype=torch.float64)
        dtype = np.int32 if self.dtype.startswith("INT") else np.float32
        return self.to_tensor(np.full(self.shape, self.default, dtype))

    def to_array(self, value: Any) -> Any:
        """The program's result as a caller gets it.

        Returns:
            H×W (8-bit gray uint8, Float16 gray float32) or H×W×3 uint8 RGB for an image; the whole array (float32, or int32 if declared
            so), of one element if the result has no axes, as Core ML gives it; a number as float; a label (str or int) and scores
            {label: probability}.

        Raises:
            MilError: a result that is none, or that an image cannot hold.
        """
        if not isinstance(value, Tensor):
            if self.kind not in ("label", "scores"):
                raise MilError(f"output '{self.name}' is no {self.kind} but a {type(value).__name__}: export the package again")
            return value
        array: NDArray[Any] = value.numpy()
        if self.kind == "number":
            return float(array)
        if self.kind == "array":
            array = np.atleast_1d(array)
            return array.astype(np.int32) if self.dtype == "INT32" else array.astype(np.float32, copy=False)
        channels = CHANNELS.get(self.dtype, 1)
        if array.ndim < 2 or array.size != channels * array.shape[-1] * array.shape[-2]:
            raise MilError(f"output '{self.name}' has shape {by(array.shape)}, which is no {self.dtype} image: export the package again")
        planes = array.reshape(channels, *array.shape[-2:])
        if self.dtype == "GRAYSCALE_FLOAT16":
            return planes[0].astype(np.float32, copy=False)
        pixels = np.clip(np.rint(np.nan_to_num(planes)), 0, 255).astype(np.uint8)
        if channels == 1:
            return pixels[0]
        return np.ascontiguousarray((pixels[::-1] if self.dtype == "BGR" else pixels).transpose(1, 2, 0))

    def _numbers(self, array: NDArray[Any]) -> Tensor:
        """An array as float32, or as int32 if whole numbers go in: of floats too, as long as they are whole (Core ML converts those)."""
        if self.dtype.startswith("INT"):
            whole = np.issubdtype(array.dtype, np.floating) and bool((np.isfinite(array) & (np.rint(array) == array)).all())
            if not (whole or np.issubdtype(array.dtype, np.integer) or array.dtype == np.bool_):
                raise MilError(f"input '{self.name}' is {array.dtype}, the package takes {self.dtype}: give whole numbers")
            bounds = np.iinfo(self.dtype.lower())
            if array.size and not (bounds.min <= int(array.min()) and int(array.max()) <= bounds.max):
                raise MilError(f"input '{self.name}' has values beyond {self.dtype} ({array.min()} to {array.max()}): scale it first")
            return torch.from_numpy(np.array(array, dtype=np.int32, order="C"))
        if not (np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_) or np.issubdtype(array.dtype, np.complexfloating):
            raise MilError(f"input '{self.name}' is {array.dtype}, the package takes {self.dtype}: give real numbers")
        with np.errstate(over="ignore"):
            rounded = array.astype(np.float16) if self.dtype == "FLOAT16" else array
            return torch.from_numpy(np.array(rounded, dtype=np.float32, order="C"))

    def _number(self, value: Any) -> float:
        array = np.asarray(value)
        if array.size != 1 or not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
            raise MilError(f"input '{self.name}' is {str(value)[:80]!r}: give a number")
        return float(array.reshape(()))

    def _label(self, value: Any) -> str | int:
        if self.dtype == "STRING":
            if not isinstance(value, str):
                raise MilError(f"input '{self.name}' is {str(value)[:80]!r}: give a text")
            return value
        array = np.asarray(value)
        if array.size != 1 or not np.issubdtype(array.dtype, np.integer):
            raise MilError(f"input '{self.name}' is {str(value)[:80]!r}: give a whole number")
        return int(array.reshape(()))

    def _pixels(self, value: Any) -> Tensor:
        """1×C×H×W of an image."""
        mode = getattr(value, "mode", None)
        if isinstance(mode, str) and mode != _PIL_MODES.get(self.dtype):
            raise MilError(f"input '{self.name}' is a '{mode}' image: convert it to '{_PIL_MODES.get(self.dtype)}' first")
        array = np.asarray(value)
        channels = (CHANNELS[self.dtype],) if self.dtype in CHANNELS else ()
        if array.ndim != 2 + len(channels) or array.shape[2:] != channels:
            shape = by((*self.shape, *channels))
            raise MilError(f"input '{self.name}' has shape {by(array.shape)}, the package takes {self.dtype} pixels such as {shape}")
        self._check_shape(array.shape[:2], array.shape)
        if self.dtype == "GRAYSCALE_FLOAT16":
            if not np.issubdtype(array.dtype, np.floating):
                raise MilError(f"input '{self.name}' is {array.dtype}: give floating-point pixels")
            with np.errstate(over="ignore"):
                array = array.astype(np.float16)
        elif array.dtype != np.uint8:
            raise MilError(f"input '{self.name}' is {array.dtype}: give 8-bit pixels (uint8)")
        pixels = torch.from_numpy(np.array(array, dtype=np.float32))
        if not channels:
            return pixels[None, None]  # 1×1×H×W
        if self.dtype == "BGR":
            pixels = pixels.flip(-1)
        return pixels.permute(2, 0, 1)[None]  # 1×3×H×W; the memory stays channels-last, which convolutions like

    def _check_shape(self, actual: tuple[int, ...], shown: tuple[int, ...]) -> None:
        if not self.shapes.allows(actual):
            raise MilError(f"input '{self.name}' has shape {by(shown)}, the package takes {self.shapes}: resize it first")
