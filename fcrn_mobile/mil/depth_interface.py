"""How a picture goes into a model and depth comes out, whatever runs it: checked once when the model is opened, done in one place.

What a file leaves open until it runs (a shape that depends on the input) is checked on the first result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.framing import Frame
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule

__all__ = ["ZERO_TO_ONE", "DepthInterface", "PictureInput", "Port", "Shape", "depth_map"]

#: What arrays take where nobody says it and the kind of file has a custom: RGB in 0..1, as ONNX models of this project.
ZERO_TO_ONE = DepthContract(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

_ONE_IMAGE = "a depth model takes one RGB image"
_ONE_MAP = "a depth model gives one map of floating-point depth, such as float32 1×1×height×width"
_FLOATS = ("float16", "float32", "float64")
_FILLED = ("float32", "float16")
#: Kinds of image that Core ML hands over as colour, or takes as depth.
_COLOURS, _GRAY = ("RGB", "BGR"), "GRAYSCALE_FLOAT16"
#: Keys of a model config, as a message shows them.
_DEPTH, _LAST, _SIZES, _OUTPUT = 'depth = "…"', 'layout = "channels-last"', "sizes = [[height, width]]", 'output = "NAME"'
#: Names in a message.
_MOST_LISTED = 8

#: Lengths of axes, None for one that the model leaves open.
Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Port:
    """An input or output as a model declares it.

    Attributes:
        name: of the tensor.
        dtype: NumPy's name of its type, ``RGB``… of an image, or the backend's own where NumPy has none (``string``).
        shape: that it has if the caller has no wish, height × width of an image; None altogether if even the number of axes is open.
        kind: ``array``, ``image``, or anything else.
        shapes: which others it may have; None: none, but for lengths that are open in ``shape``.
        text: type and shape for people; empty: from the others.
    """

    name: str
    dtype: str
    shape: Shape | None
    kind: str = "array"
    shapes: ShapeRule | None = None
    text: str = ""

    @classmethod
    def of(cls, feature: Feature) -> Self:
        """As Core ML describes it."""
        dtype = {"DOUBLE": "float64"}.get(feature.dtype, feature.dtype.lower()) if feature.kind == "array" else feature.dtype
        open_shape = feature.kind == "array" and not feature.shape
        return cls(feature.name, dtype, None if open_shape else feature.shape, feature.kind, feature.shapes, feature.type_text)

    def __str__(self) -> str:
        shape = "of any shape" if self.shape is None else _written(self.shape)
        return f"'{self.name}', {self.text or f'{self.dtype} {shape}'}"

    @property
    def is_flexible(self) -> bool:
        """Whether ``shapes`` has others than ``shape``."""
        return self.shapes is not None and bool(self.shapes.enumerated or self.shapes.ranges)

    def takes(self, shape: tuple[int, ...]) -> bool:
        """Whether it may have a shape."""
        if self.shapes is not None:
            return self.shapes.allows(shape)
        own = self.shape or ()
        return len(own) == len(shape) and all(length in (None, side) for length, side in zip(own, shape, strict=True))


@dataclass(frozen=True)
class PictureInput:
    """The input of a model that takes one picture.

    Attributes:
        contract: that the model was opened under, complete: ``mean`` and ``std`` of an array, ``channels`` of an image.
        port: as the model declares it.
        size: height and width of the picture that it gets.
    """

    contract: DepthContract
    port: Port
    size: tuple[int, int]

    @classmethod
    def of(
        cls, model: str, inputs: Sequence[Port], contract: DepthContract | None = None, custom: DepthContract | None = None
    ) -> "PictureInput":
        """The input of a model; see ``DepthInterface.of``."""
        if len(inputs) != 1:
            raise InputError(f"{model} takes {_listed(inputs)}: {_ONE_IMAGE}")
        (port,) = inputs
        if port.kind == "image":
            _check_image(model, port, contract)
            complete = replace(contract or DepthContract(), channels="BGR" if port.dtype == "BGR" else "RGB")
        else:
            complete = _array_contract(model, port, contract, custom)
        return cls(complete, port, _size(model, port, complete, contract is not None))

    def fill(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """What the input gets for a picture.

        Args:
            image: H×W×3 uint8 RGB of any size.

        Returns:
            height×width×3 uint8 RGB for an image, whose order of channels is Core ML's business; for an array, normalised values in its
            shape and type.
        """
        pixels = self.frame(image).fill(image)
        if self.port.kind == "image":
            return pixels
        if self.contract.channels == "BGR":
            pixels = pixels[..., ::-1]
        axis = 0 if self.contract.layout == "channels-first" else 2
        planes = np.stack([np.take(values, pixels[..., channel]) for channel, values in enumerate(self._values)], axis)
        return planes[np.newaxis] if len(self.port.shape or ()) == 4 else planes

    def frame(self, image: NDArray[np.uint8]) -> Frame:
        """Where a picture lies in what the model sees."""
        return Frame((image.shape[0], image.shape[1]), self.size, self.contract.framing)

    @cached_property
    def _values(self) -> NDArray[Any]:
        """3×256: what each channel gets for a pixel of 0..255, rounded once."""
        mean, std = (np.asarray(values)[:, np.newaxis] for values in (self.contract.mean, self.contract.std))
        return ((np.arange(256) / 255 - mean) / std).astype(self.port.dtype)


@dataclass(frozen=True)
class DepthInterface:
    """A model of one picture in and one depth map out.

    Attributes:
        model: names it in messages.
        taking: its input.
        output: the one of its outputs that is depth.
    """

    model: str
    taking: PictureInput
    output: Port

    @classmethod
    def of(
        cls,
        model: str,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        contract: DepthContract | None = None,
        custom: DepthContract | None = None,
    ) -> Self:
        """The interface of a model.

        Args:
            model: names it in messages.
            inputs, outputs: all that it declares.
            contract: what its metadata or a model config say; None where nobody says anything.
            custom: what its kind of file takes as a custom; None where there is none, so that arrays need a contract.

        Raises:
            InputError: anything but one picture in and one map of floating-point numbers out, or what contradicts the contract; names what
                there is, and the keys of a model config that would say what is open.
        """
        taking = PictureInput.of(model, inputs, contract, custom)
        return cls(model, taking, _output(model, outputs, taking.contract.output))

    @property
    def contract(self) -> DepthContract:
        """That the model was opened under."""
        return self.taking.contract

    @property
    def input(self) -> Port:
        """Where the picture goes."""
        return self.taking.port

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture that the model gets."""
        return self.taking.size

    def picture(self, image: NDArray[np.uint8]) -> NDArray[Any]:
        """What the input gets for a picture; see ``PictureInput.fill``."""
        return self.taking.fill(image)

    def depth(self, output: Any, image: NDArray[np.uint8] | None = None) -> NDArray[np.float32]:
        """A result as a depth map of the picture, h×w float32 in the contract's units.

        Args:
            output: what the model gave.
            image: the picture; None: the map is of what the model saw, with all that framing added.

        Raises:
            InputError: it is no map.
        """
        depth = depth_map(output, self.model)
        return depth if image is None else self.taking.frame(image).restore(depth)


def depth_map(output: Any, model: str = "the model") -> NDArray[np.float32]:
    """A model's result as h×w float32: N×1×h×w, N×h×w, h×w or h×w×1 with N = 1.

    Raises:
        InputError: it is no map.
    """
    array = np.asarray(output)
    shape = _map_shape(array.shape)
    if not np.issubdtype(array.dtype, np.floating) or shape is None:
        raise InputError(f"{model} gave {array.dtype.name} {_written(array.shape)} when it ran: {_ONE_MAP}")
    return array.reshape([length for length in shape if length]).astype(np.float32)


def _map_shape(shape: Shape) -> Shape | None:
    """The two axes that are left without those of length 1 before and behind them; None where others are left, or one of length 0."""
    lengths = list(shape)
    while lengths and lengths[0] == 1:
        lengths.pop(0)
    while lengths and lengths[-1] == 1:
        lengths.pop()
    return tuple(lengths) if len(lengths) == 2 and 0 not in lengths else None


def _check_image(model: str, port: Port, contract: DepthContract | None) -> None:
    if port.dtype not in _COLOURS:
        raise InputError(f"{model} takes {port}: {_ONE_IMAGE} (image type, RGB or BGR)")
    if contract and contract.mean is not None:
        raise InputError(
            f"{model} takes {port}, which needs no mean and std: the model normalises inside, remove them from its model config"
        )


def _array_contract(model: str, port: Port, contract: DepthContract | None, custom: DepthContract | None) -> DepthContract:
    """The contract with mean and std, of an array that fits it."""
    terms = contract or custom
    if terms is None:
        kind = f"{_ONE_IMAGE} (image type, RGB or BGR)"
        raise InputError(f"{model} takes {port}: {kind}; {_keys(_DEPTH, 'mean = 0', 'std = 1 (RGB in 0..1)')}")
    dtypes = _FILLED if contract else _FILLED[:1]
    expectation = f"{_ONE_IMAGE}, {' or '.join(dtypes)} 1×3×height×width of fixed size"
    shape = port.shape or ()
    if port.dtype not in _FILLED or len(shape) not in (3, 4):
        raise InputError(f"{model} takes {port}: {expectation}")
    if contract is None and (port.dtype not in dtypes or len(shape) == 3):
        raise InputError(f"{model} takes {port}: {expectation}; {_keys(_DEPTH, 'mean', 'std')}")
    first, last = shape[-3] in (3, None), shape[-1] in (3, None)
    if terms.layout == "channels-first" and not first and shape[-1] == 3:
        raise InputError(f"{model} takes {port}, its channels last: {expectation}; {_keys(_DEPTH, _LAST, 'mean', 'std')}")
    batch, three = (shape[0] if len(shape) == 4 else 1), (first if terms.layout == "channels-first" else last)
    if batch not in (None, 1) or not three:
        raise InputError(f"{model} takes {port}: {expectation}" + ("" if contract is None else f", {terms.layout} as its contract says"))
    if terms.mean is None and custom is None:
        raise InputError(f"{model} takes {port}, and its contract does not say which values: {_keys('mean', 'std')}")
    return terms if terms.mean is not None or custom is None else replace(terms, mean=custom.mean, std=custom.std)


def _size(model: str, port: Port, contract: DepthContract, has_contract: bool) -> tuple[int, int]:
    """Height and width of the picture: the file's own, or the contract's first where the file takes several."""
    shape = port.shape or ()
    axes = (0, 1) if port.kind == "image" else (-2, -1) if contract.layout == "channels-first" else (-3, -2)
    height, width = (shape[axis] for axis in axes)
    if not has_contract and None in shape:
        remedy = "fix what is open (?) first (.onnx: python -m onnxruntime.tools.make_dynamic_shape_fixed)"
        expectation = f"{_ONE_IMAGE}, float32 1×3×height×width of fixed size"
        raise InputError(f"{model} takes {port}: {expectation}; {remedy}, or {_keys(_DEPTH, _SIZES)}")
    if contract.sizes and (port.is_flexible or height is None or width is None):
        size = contract.sizes[0]
        lengths = [length or 1 for length in shape]
        for axis, side in zip(axes, size, strict=True):
            lengths[axis] = side
        if not port.takes(tuple(lengths)):
            raise InputError(_other_sizes(model, port, [size]))
        return size
    if height is None or width is None:
        raise InputError(f"{model} takes {port}, whose size is open: {_keys(_SIZES)}")
    if 0 in (height, width):
        raise InputError(f"{model} takes {port}: {_ONE_IMAGE}")
    if contract.sizes and (height, width) not in contract.sizes:
        raise InputError(_other_sizes(model, port, contract.sizes))
    if not contract.allows((height, width)):
        raise InputError(f"{model} takes {port}, whose sides are no multiples of {contract.multiple}: correct multiple in its contract")
    return height, width


def _other_sizes(model: str, port: Port, sizes: Sequence[tuple[int, int]]) -> str:
    """That the file takes none of a contract's sizes, which may be the one of ``--size``."""
    shapes = " or ".join(map(_written, sizes[:_MOST_LISTED]))
    return f"{model} takes {port}, not the {shapes} of sizes in its contract or of --size: correct sizes or --size"


def _output(model: str, outputs: Sequence[Port], name: str | None) -> Port:
    """The output that is depth; open lengths are left to ``depth_map``."""
    if name is not None and name not in [port.name for port in outputs]:
        raise InputError(f"{model} gives {_listed(outputs)}, no output '{name}' as its contract says: correct output")
    if name is None and len(outputs) != 1:
        raise InputError(f"{model} gives {_listed(outputs)}: {_ONE_MAP}; {_keys(_DEPTH, _OUTPUT)}")
    port = next(port for port in outputs if name in (None, port.name))
    floating = port.dtype == _GRAY if port.kind == "image" else port.dtype in _FLOATS
    is_open = port.shape is None or None in port.shape or port.is_flexible
    if not floating or not (is_open or _map_shape(port.shape or ())):
        raise InputError(f"{model} gives {port}: {_ONE_MAP}" + (", or a Float16 gray image" if port.text else ""))
    return port


def _keys(*keys: str) -> str:
    """Where to say what is open."""
    return f"say {', '.join(keys)} in NAME.toml beside the file or with --model-config FILE"


def _listed(ports: Sequence[Port]) -> str:
    """How many tensors there are, and which."""
    shown = "; ".join(map(str, ports[:_MOST_LISTED])) + ("; …" if len(ports) > _MOST_LISTED else "")
    return f"{len(ports)} tensors ({shown})" if ports else "nothing"


def _written(shape: Shape) -> str:
    """A shape for people, ? for a length that is open."""
    return "×".join("?" if length is None else str(length) for length in shape) or "scalar"
