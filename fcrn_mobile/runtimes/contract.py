"""What a runtime takes from a model, and what it gives to one: one RGB image in, one map of depth out. Checked when a model is opened.

What a file leaves open until it runs (a shape that depends on the input) is checked on the first result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.interface import Feature

FLOATS = ("float16", "float32", "float64")
#: Kinds of image that Core ML hands over as colour, or takes as depth.
_COLOURS, _GRAY = ("RGB", "BGR"), "GRAYSCALE_FLOAT16"
_ONE_IMAGE = "a depth model takes one RGB image"
_ONE_MAP = "a depth model gives one map of floating-point depth, such as float32 1×1×height×width"

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Port:
    """An input or output as a model declares it.

    Attributes:
        name: of the tensor.
        dtype: NumPy's name of its type, or the backend's own where NumPy has none (``string``).
        shape: None for lengths that the model leaves open; None altogether if even their number is open.
    """

    name: str
    dtype: str
    shape: Shape | None

    def __str__(self) -> str:
        if self.shape is None:
            return f"'{self.name}', {self.dtype} of any shape"
        return f"'{self.name}', {self.dtype} {_by(self.shape)}"


def check_input(model: str, inputs: Sequence[Port], dtypes: Sequence[str] = ("float32",)) -> tuple[str, tuple[int, int]]:
    """The input of a model that takes a tensor.

    Args:
        model: named in messages.
        inputs: all that it declares.
        dtypes: that the backend fills.

    Returns:
        Its name, and the height and width of its image.

    Raises:
        InputError: anything but one 1×3×height×width tensor of fixed size and of one of these types.
    """
    if len(inputs) != 1:
        raise InputError(f"{model} takes {_listed(inputs)}: {_ONE_IMAGE}")
    (port,) = inputs
    expectation = f"{_ONE_IMAGE}, {' or '.join(dtypes)} 1×3×height×width of fixed size"
    if port.dtype not in dtypes or port.shape is None or len(port.shape) != 4:
        raise InputError(f"{model} takes {port}: {expectation}")
    batch, channels, height, width = port.shape
    if width == 3 and channels != 3:
        raise InputError(f"{model} takes {port}, its channels last: {expectation}")
    if batch not in (None, 1) or channels not in (None, 3) or 0 in (height, width):
        raise InputError(f"{model} takes {port}: {expectation}")
    if batch is None or channels is None or height is None or width is None:
        remedy = "fix what is open (?) first (.onnx: python -m onnxruntime.tools.make_dynamic_shape_fixed)"
        raise InputError(f"{model} takes {port}: {expectation}; {remedy}")
    return port.name, (height, width)


def check_output(model: str, outputs: Sequence[Port]) -> str:
    """The output of a model that gives a tensor; open lengths are left to ``depth_map``.

    Returns:
        Its name.

    Raises:
        InputError: anything but one map of floating-point numbers.
    """
    if len(outputs) != 1:
        raise InputError(f"{model} gives {_listed(outputs)}: {_ONE_MAP}")
    (port,) = outputs
    closed = port.shape is not None and None not in port.shape
    if port.dtype not in FLOATS or (closed and not _is_map(port.shape or ())):
        raise InputError(f"{model} gives {port}: {_ONE_MAP}")
    return port.name


def check_features(model: str, inputs: Sequence[Feature], outputs: Sequence[Feature]) -> tuple[Feature, Feature]:
    """Input and output of a Core ML model that takes an image.

    Args:
        model: named in messages.
        inputs, outputs: all that it describes; flexible sizes count with their default.

    Raises:
        InputError: anything but one colour image in and one map of floating-point numbers, as array or Float16 image, out.
    """
    if len(inputs) != 1:
        raise InputError(f"{model} takes {_listed(inputs)}: {_ONE_IMAGE}")
    if inputs[0].kind != "image" or inputs[0].dtype not in _COLOURS:
        raise InputError(f"{model} takes {_shown(inputs[0])}: {_ONE_IMAGE} (image type, RGB or BGR)")
    if len(outputs) != 1:
        raise InputError(f"{model} gives {_listed(outputs)}: {_ONE_MAP}")
    (output,) = outputs
    floating = output.dtype == _GRAY if output.kind == "image" else output.dtype in ("FLOAT16", "FLOAT32", "DOUBLE")
    open_shape = output.kind == "array" and (not output.shape or output.shapes.enumerated or output.shapes.ranges)
    if not floating or not (open_shape or _is_map(output.shape)):
        raise InputError(f"{model} gives {_shown(output)}: {_ONE_MAP}, or a Float16 gray image")
    return inputs[0], output


def depth_map(output: Any, model: str = "the model") -> NDArray[np.float32]:
    """A model's result, with or without leading axes of length 1, as h×w float32.

    Raises:
        InputError: it is no map.
    """
    array = np.asarray(output)
    if not np.issubdtype(array.dtype, np.floating) or not _is_map(array.shape):
        raise InputError(f"{model} gave {array.dtype.name} {_by(array.shape)} when it ran: {_ONE_MAP}")
    return array.reshape(array.shape[-2:]).astype(np.float32)


def run_failure(model: str, error: Exception) -> InputError:
    """What a user is told when a backend fails on a model that it could open."""
    reason = " ".join(str(error).split())[:160]
    return InputError(f"{model} fails when it runs ({reason or type(error).__name__}): export or convert it again")


def _is_map(shape: Shape) -> bool:
    """Whether two axes of at least 2 are left without the leading ones of length 1."""
    lengths = list(shape)
    while lengths and lengths[0] == 1:
        lengths.pop(0)
    return len(lengths) == 2 and all(length is not None and length >= 2 for length in lengths)


def _listed(ports: Sequence[Port] | Sequence[Feature]) -> str:
    names = ", ".join(f"'{port.name}'" for port in ports[:8]) + (", …" if len(ports) > 8 else "")
    return f"{len(ports)} tensors ({names})" if ports else "nothing"


def _shown(feature: Feature) -> str:
    shape = f" {feature.shapes}" if feature.kind in ("image", "array") and feature.shape else ""
    return f"'{feature.name}', {feature.dtype} {feature.kind}{shape}"


def _by(shape: Shape) -> str:
    return "×".join("?" if length is None else str(length) for length in shape) or "scalar"
