"""What a function costs whose inputs may have several sizes: its open shapes take the lengths that a run at one of them gives them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.check import CheckedFunction
from fcrn_mobile.mil.costs import uncounted
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

__all__ = ["Sized", "check_size", "sized"]

#: An array whose last axis is at most so long, and whose third last is not, has its channels there.
_MOST_CHANNELS = 4


@dataclass(frozen=True)
class Sized:
    """A function at one size of its inputs.

    Attributes:
        checked: with the shapes that it has there; those stay open that no run here tells.
        sizes: name and size of every input that may have others, as text; empty where shapes do not depend on them.
    """

    checked: CheckedFunction
    sizes: tuple[str, ...] = ()


def sized(source: Source, checked: CheckedFunction, size: tuple[int, int] | None = None) -> Sized:
    """A function with the shapes that it has at a size of its pictures; open ones come from one run on zeros.

    Args:
        source: the model.
        checked: its function, which is not changed.
        size: height and width, see ``check_size``; None: the inputs' default sizes.

    Raises:
        MilError: the model does not run here at ``size``; without one, its open shapes stay open.
    """
    inputs = {description.name: Feature.from_description(description) for description in checked.inputs}
    flexible = [name for name, feature in inputs.items() if feature.shapes.several]
    if not flexible or not uncounted(checked.proto, checked.block):
        return Sized(checked)
    if size:
        inputs |= {name: _at(inputs[name], size) for name in flexible}
    try:
        shapes = _shapes(_Run.of(source, tuple(inputs.values())))
    except MilError:
        if size:
            raise
        return Sized(checked)
    proto, block = type(checked.proto)(), type(checked.block)()
    proto.CopyFrom(checked.proto)
    block.CopyFrom(checked.block)
    for value in (*proto.inputs, *(output for operation in every_operation(block) for output in operation.outputs)):
        _close(value, shapes)
    return Sized(replace(checked, proto=proto, block=block), tuple(f"{name} {by(inputs[name].shape)}" for name in flexible))


def check_size(where: str, inputs: Sequence[Feature], size: tuple[int, int] | None) -> None:
    """Refuse a size that no picture or map among a model's inputs may have.

    Raises:
        MilError: as said; names what there is.
    """
    if size is None:
        return
    maps = [feature for feature in inputs if _is_map(feature)]
    if not any(feature.shapes.allows(_shape(feature, size)) for feature in maps):
        taken = ", ".join(f"{feature.name} {feature.shapes}" for feature in maps) or "no picture"
        raise MilError(f"'{where}' takes {taken}, not the {by(size)} of --size: use one of its sizes")


def _is_map(feature: Feature) -> bool:
    return feature.kind in ("image", "array") and len(feature.shape) > 1


def _shape(feature: Feature, size: tuple[int, int]) -> Shape:
    """An input's shape with another height and width: of an image these are all, of an array the last axes or those before its channels."""
    shape = feature.shape
    channels_last = len(shape) > 2 and shape[-1] <= _MOST_CHANNELS < shape[-3]
    return (*shape[:-3], *size, shape[-1]) if channels_last else (*shape[:-2], *size)


def _at(feature: Feature, size: tuple[int, int]) -> Feature:
    """The input with a height and width as its default ones; as it is where it is no picture, or does not take them."""
    if not _is_map(feature) or not feature.shapes.allows(shape := _shape(feature, size)):
        return feature
    return replace(feature, shapes=replace(feature.shapes, default=shape))


@dataclass(frozen=True)
class _Run:
    """What is run: told apart by the specification's digest, function and sizes, since a command asks for the same more than once."""

    digest: str
    function: str | None
    inputs: tuple[Feature, ...]
    source: Source = field(compare=False)

    @classmethod
    def of(cls, source: Source, inputs: tuple[Feature, ...]) -> Self:
        return cls(sha256(source.model.SerializeToString(deterministic=True)).hexdigest(), source.function, inputs, source)


@lru_cache(maxsize=4)
def _shapes(run: _Run) -> dict[str, Shape]:
    """Shapes of all tensors of a run, by name.

    Raises:
        MilError: the model does not run here, or not on zeros.
    """
    program = Program(**vars(read_parts(run.source)), arithmetic=FLOAT32, metadata={})
    zeros = {feature.name: _zeros(feature) for feature in run.inputs if feature.default is None}
    values = program.start(zeros, program.make_state())
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
        return np.zeros(feature.shape)
    raise MilError(f"input '{feature.name}' is a {feature.kind}: it has no size")


def _close(value: "NamedValueType", shapes: Mapping[str, Shape]) -> None:
    """Let a tensor have the lengths that it had in a run, if it leaves some open."""
    tensor, shape = value.type.tensorType, shapes.get(value.name)
    if shape is not None and -1 in shape_of(value.type):
        tensor.rank = len(shape)
        del tensor.dimensions[:]
        for length in shape:
            tensor.dimensions.add().constant.size = length
