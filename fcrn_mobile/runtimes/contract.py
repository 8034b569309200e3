"""What a runtime takes of a model of tensors: one RGB image in, one map of depth out. Checked when a model is opened.

What a file leaves open until it runs (a shape that depends on the input) is checked on the first result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.depth_program import ONE_IMAGE, ONE_MAP, Shape, is_map, listed, written

__all__ = ["FLOATS", "Port", "check_input", "check_output", "run_failure"]

FLOATS = ("float16", "float32", "float64")


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
        return f"'{self.name}', {self.dtype} {written(self.shape)}"


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
        raise InputError(f"{model} takes {listed([port.name for port in inputs])}: {ONE_IMAGE}")
    (port,) = inputs
    expectation = f"{ONE_IMAGE}, {' or '.join(dtypes)} 1×3×height×width of fixed size"
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
        raise InputError(f"{model} gives {listed([port.name for port in outputs])}: {ONE_MAP}")
    (port,) = outputs
    closed = port.shape is not None and None not in port.shape
    if port.dtype not in FLOATS or (closed and not is_map(port.shape or ())):
        raise InputError(f"{model} gives {port}: {ONE_MAP}")
    return port.name


def run_failure(model: str, error: Exception) -> InputError:
    """What a user is told when a backend fails on a model that it could open."""
    reason = brief(error, 160)
    return InputError(f"{model} fails when it runs ({reason or type(error).__name__}): export or convert it again")
