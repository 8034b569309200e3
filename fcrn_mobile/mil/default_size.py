"""What a function costs whose inputs may have several sizes: its open shapes take the lengths that a run at the default ones gives them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.check import CheckedFunction
from fcrn_mobile.mil.declared import Shape
from fcrn_mobile.mil.interface import CHANNELS, Feature
from fcrn_mobile.mil.models import read_parts
from fcrn_mobile.mil.parts import Source
from fcrn_mobile.mil.program import Program
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import shape_of
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.reading import every_operation

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import NamedValueType

__all__ = ["at_default_size", "default_sizes"]


def default_sizes(checked: CheckedFunction) -> list[str]:
    """Name and default size of every input that may have others, as text."""
    features = map(Feature.from_description, checked.inputs)
    return [f"{feature.name} {by(feature.shape)}" for feature in features if feature.shapes.several]


def at_default_size(source: Source, checked: CheckedFunction) -> CheckedFunction:
    """A function with the shapes that it has at its inputs' default sizes; they come from one run on zeros.

    Args:
        source: the model.
        checked: its function.

    Returns:
        A copy; the function itself where it does not run here, and shapes stay open that no run tells.
    """
    try:
        shapes = _shapes(source)
    except MilError:
        return checked
    proto, block = type(checked.proto)(), type(checked.block)()
    proto.CopyFrom(checked.proto)
    block.CopyFrom(checked.block)
    for value in (*proto.inputs, *(output for operation in every_operation(block) for output in operation.outputs)):
        _close(value, shapes)
    return replace(checked, proto=proto, block=block)


def _shapes(source: Source) -> dict[str, Shape]:
    """Shapes of all tensors of a run, by name.

    Raises:
        MilError: the model does not run here, or not on zeros.
    """
    program = Program(**vars(read_parts(source)), arithmetic=FLOAT32, metadata={})
    values = program.start({feature.name: _zeros(feature) for feature in program.inputs if feature.default is None}, program.make_state())
    shapes = {name: tuple(value.shape) for name, value in values.items() if isinstance(value, Tensor)}
    for operation in program.every_step(values):
        results = ((info.name, values[info.name]) for info in operation.outputs)
        shapes.update((name, tuple(value.shape)) for name, value in results if isinstance(value, Tensor))
    return shapes


def _zeros(feature: Feature) -> NDArray[Any]:
    """An input of its default size."""
    if feature.kind == "image":
        dtype: Any = np.float16 if feature.dtype == "GRAYSCALE_FLOAT16" else np.uint8
        return np.zeros((*feature.shape, *((CHANNELS[feature.dtype],) if feature.dtype in CHANNELS else ())), dtype)
    if feature.kind == "array":
        return np.zeros(feature.shape, np.int32 if feature.dtype.startswith("INT") else np.float32)
    raise MilError(f"input '{feature.name}' is a {feature.kind}: it has no size")


def _close(value: "NamedValueType", shapes: Mapping[str, Shape]) -> None:
    """Let a tensor have the lengths that it had in a run, if it leaves some open."""
    tensor, shape = value.type.tensorType, shapes.get(value.name)
    if shape is not None and -1 in shape_of(value.type):
        tensor.rank = len(shape)
        del tensor.dimensions[:]
        for length in shape:
            tensor.dimensions.add().constant.size = length
