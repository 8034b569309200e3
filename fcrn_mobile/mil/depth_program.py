"""A program that makes one depth map of one picture: what it takes and gives is checked once, its input is made in one place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.program import Program

__all__ = ["ONE_IMAGE", "ONE_MAP", "DepthProgram", "Shape", "check_features", "depth_map", "is_map", "listed", "written"]

ONE_IMAGE = "a depth model takes one RGB image"
ONE_MAP = "a depth model gives one map of floating-point depth, such as float32 1×1×height×width"
#: Kinds of image that Core ML hands over as colour, or takes as depth.
_COLOURS, _GRAY = ("RGB", "BGR"), "GRAYSCALE_FLOAT16"
#: Names in a message.
_MOST_LISTED = 8

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class DepthProgram(Program):
    """A program of one colour image in and one map of floating-point numbers out.

    Attributes:
        title: names it in messages when it runs.
    """

    title: str = "the model"

    @classmethod
    def load(cls, path: Path | str, arithmetic: Arithmetic = "float32", function: str | None = None) -> Self:
        """As ``Program.load``.

        Raises:
            MilError: see there.
            InputError: other inputs or outputs.
        """
        title = f"'{path}'"
        return replace(cls.of(Program.load(path, arithmetic, function), title), title=title)

    @classmethod
    def of(cls, program: Program, what: str) -> Self:
        """A program as one that makes depth; ``what`` names it where it does not.

        Raises:
            InputError: other inputs or outputs.
        """
        check_features(what, program.inputs, program.outputs)
        return cls(**vars(program))

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of its picture, those by default if they are flexible."""
        height, width = self.inputs[0].shape
        return height, width

    def taking(self, image: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """Its inputs for an image of any size, H×W×3 uint8 RGB, which is stretched to its own."""
        return {self.inputs[0].name: fit(image, self.input_size)}

    def depth(self, outputs: Mapping[str, Any]) -> NDArray[np.float32]:
        """The h×w map among its outputs, metres.

        Raises:
            InputError: it is no map.
        """
        return depth_map(outputs[self.outputs[0].name], self.title)


def check_features(model: str, inputs: Sequence[Feature], outputs: Sequence[Feature]) -> tuple[Feature, Feature]:
    """Input and output of a Core ML model that takes an image.

    Args:
        model: named in messages.
        inputs, outputs: all that it describes; flexible sizes count with their default.

    Raises:
        InputError: anything but one colour image in and one map of floating-point numbers, as array or Float16 image, out.
    """
    if len(inputs) != 1:
        raise InputError(f"{model} takes {listed([feature.name for feature in inputs])}: {ONE_IMAGE}")
    if inputs[0].kind != "image" or inputs[0].dtype not in _COLOURS:
        raise InputError(f"{model} takes {_shown(inputs[0])}: {ONE_IMAGE} (image type, RGB or BGR)")
    if len(outputs) != 1:
        raise InputError(f"{model} gives {listed([feature.name for feature in outputs])}: {ONE_MAP}")
    (output,) = outputs
    floating = output.dtype == _GRAY if output.kind == "image" else output.dtype in ("FLOAT16", "FLOAT32", "DOUBLE")
    open_shape = output.kind == "array" and (not output.shape or output.shapes.enumerated or output.shapes.ranges)
    if not floating or not (open_shape or is_map(output.shape)):
        raise InputError(f"{model} gives {_shown(output)}: {ONE_MAP}, or a Float16 gray image")
    return inputs[0], output


def depth_map(output: Any, model: str = "the model") -> NDArray[np.float32]:
    """A model's result, with or without leading axes of length 1, as h×w float32.

    Raises:
        InputError: it is no map.
    """
    array = np.asarray(output)
    if not np.issubdtype(array.dtype, np.floating) or not is_map(array.shape):
        raise InputError(f"{model} gave {array.dtype.name} {written(array.shape)} when it ran: {ONE_MAP}")
    return array.reshape(array.shape[-2:]).astype(np.float32)


def is_map(shape: Shape) -> bool:
    """Whether two axes of at least 2 are left without the leading ones of length 1."""
    lengths = list(shape)
    while lengths and lengths[0] == 1:
        lengths.pop(0)
    return len(lengths) == 2 and all(length is not None and length >= 2 for length in lengths)


def listed(names: Sequence[str]) -> str:
    """How many tensors there are, and their names."""
    shown = ", ".join(f"'{name}'" for name in names[:_MOST_LISTED]) + (", …" if len(names) > _MOST_LISTED else "")
    return f"{len(names)} tensors ({shown})" if names else "nothing"


def written(shape: Shape) -> str:
    """A shape for people, ? for a length that is open."""
    return "×".join("?" if length is None else str(length) for length in shape) or "scalar"


def _shown(feature: Feature) -> str:
    return f"'{feature.name}', {feature.type_text}"
