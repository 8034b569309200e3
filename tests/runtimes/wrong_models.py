"""Models of other makers that are no depth models: each wrong in one way, and the words that have to name it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.mil.build import mb, save_program
from tests.mil.damage import specification

FLOAT, IMAGE = TensorProto.FLOAT, (1, 3, 8, 12)
Length = int | str | None


@dataclass(frozen=True)
class Wrong:
    """Input type and shape, the operators from x to y, what y is declared as, and words of the refusal."""

    words: tuple[str, ...]
    dtype: int = FLOAT
    shape: tuple[Length, ...] = IMAGE
    nodes: tuple[tuple[str, tuple[str, ...], tuple[str, ...], dict[str, Any]], ...] = (("Relu", ("x",), ("y",), {}),)
    output: int = FLOAT
    output_shape: tuple[Length, ...] | None = (1, 1, 8, 12)
    constants: tuple[tuple[str, np.ndarray], ...] = ()
    more_inputs: tuple[str, ...] = ()
    more_outputs: tuple[str, ...] = ()


def _mean(**attributes: Any) -> tuple[Any, ...]:
    return (("ReduceMean", ("x",), ("y",), attributes),)


def _cast(dtype: int) -> tuple[Any, ...]:
    return (("ReduceMean", ("x",), ("m",), {"axes": [1]}), ("Cast", ("m",), ("y",), {"to": dtype}))


ONNX: dict[str, Wrong] = {
    "float16 input": Wrong(("takes 'x', float16 1×3×8×12", "float32 1×3×height×width"), TensorProto.FLOAT16, output=TensorProto.FLOAT16),
    "double input": Wrong(("takes 'x', float64",), TensorProto.DOUBLE, output=TensorProto.DOUBLE, output_shape=IMAGE),
    "uint8 input": Wrong(("takes 'x', uint8",), TensorProto.UINT8, nodes=(("Cast", ("x",), ("y",), {"to": FLOAT}),), output_shape=IMAGE),
    "one channel": Wrong(("takes 'x', float32 1×1×8×12",), shape=(1, 1, 8, 12)),
    "four channels": Wrong(("takes 'x', float32 1×4×8×12",), shape=(1, 4, 8, 12), output_shape=(1, 4, 8, 12)),
    "channels last": Wrong(("float32 1×8×12×3, its channels last",), shape=(1, 8, 12, 3), output_shape=(1, 8, 12, 3)),
    "no batch": Wrong(("takes 'x', float32 3×8×12",), shape=(3, 8, 12), output_shape=(3, 8, 12)),
    "batch of two": Wrong(("takes 'x', float32 2×3×8×12",), shape=(2, 3, 8, 12), output_shape=(2, 3, 8, 12)),
    "open size": Wrong(("1×3×?×?", "make_dynamic_shape_fixed"), shape=(1, 3, "height", None), output_shape=(1, 3, None, None)),
    "open batch": Wrong(("?×3×8×12", "make_dynamic_shape_fixed"), shape=("n", 3, 8, 12), output_shape=("n", 3, 8, 12)),
    "two inputs": Wrong(
        ("takes 2 tensors ('x', float32 1×3×8×12; 'z', float32 1×3×8×12)",),
        nodes=(("Add", ("x", "z"), ("y",), {}),),
        more_inputs=("z",),
        output_shape=IMAGE,
    ),
    "two outputs": Wrong(
        ("gives 2 tensors ('y', float32 1×1×8×12; 'x2', float32 1×3×8×12)", 'output = "NAME"'),
        nodes=(*_mean(axes=[1]), ("Relu", ("x",), ("x2",), {})),
        more_outputs=("x2",),
    ),
    "vector": Wrong(("gives 'y', float32 1×3",), nodes=_mean(axes=[2, 3], keepdims=0), output_shape=(1, 3)),
    "column": Wrong(("gives 'y', float32 1×1×8×1",), nodes=_mean(axes=[1, 3]), output_shape=(1, 1, 8, 1)),
    "row": Wrong(("gives 'y', float32 1×1×1×12",), nodes=_mean(axes=[1, 2]), output_shape=(1, 1, 1, 12)),
    "three channels out": Wrong(("gives 'y', float32 1×3×8×12",), output_shape=IMAGE),
    "channels last out": Wrong(
        ("gives 'y', float32 1×8×12×3",), nodes=(("Transpose", ("x",), ("y",), {"perm": [0, 2, 3, 1]}),), output_shape=(1, 8, 12, 3)
    ),
    "21 channels out": Wrong(
        ("gives 'y', float32 1×21×8×12",),
        nodes=(("Concat", ("x",) * 7, ("y",), {"axis": 1}),),
        output_shape=(1, 21, 8, 12),
    ),
    "batch out": Wrong(
        ("gives 'y', float32 3×1×8×12",),
        nodes=(("Reshape", ("x", "shape"), ("y",), {}),),
        constants=(("shape", np.array([3, 1, 8, 12])),),
        output_shape=(3, 1, 8, 12),
    ),
    "scalar out": Wrong(("float32 scalar",), nodes=_mean(keepdims=0), output_shape=()),
    "whole numbers out": Wrong(("gives 'y', int32 1×1×8×12",), nodes=_cast(TensorProto.INT32), output=TensorProto.INT32),
    "text out": Wrong(("gives 'y', string 1×1×8×12",), nodes=_cast(TensorProto.STRING), output=TensorProto.STRING),
    "open output, a list": Wrong(
        ("gave float32 4×0 when it ran",),
        nodes=(("Sub", ("x", "x"), ("z",), {}), ("NonZero", ("z",), ("n",), {}), ("Cast", ("n",), ("y",), {"to": FLOAT})),
        output_shape=(4, None),
    ),
    "fails when it runs": Wrong(
        ("fails when it runs",),
        nodes=(
            ("ReduceMean", ("x",), ("m",), {"axes": [1]}),
            ("ReduceMean", ("x",), ("mean",), {"keepdims": 0}),
            ("Cast", ("mean",), ("whole",), {"to": TensorProto.INT64}),
            ("Add", ("whole", "five"), ("index",), {}),
            ("Gather", ("m", "index"), ("y",), {}),  # beyond the one image that there is
        ),
        constants=(("five", np.array([5])),),
    ),
}
#: For text OpenVINO has no operators, and beyond the end of a tensor it reads zeros.
NOT_OPENVINO = ("text out", "fails when it runs")


def save_onnx(path: Path, wrong: Wrong) -> Path:
    info = helper.make_tensor_value_info
    nodes = [helper.make_node(kind, inputs, outputs, **attributes) for kind, inputs, outputs, attributes in wrong.nodes]
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in wrong.constants]
    inputs = [info(name, wrong.dtype, wrong.shape) for name in ("x", *wrong.more_inputs)]
    outputs = [info("y", wrong.output, wrong.output_shape), *(info(name, FLOAT, IMAGE) for name in wrong.more_outputs)]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


def depth_of(x0: Any) -> Any:
    """One plane, the mean of the channels."""
    return mb.reduce_mean(x=x0, axes=[1], keep_dims=True, name="depth")


def save_image_package(folder: Path, body: Callable[[Any], Any], color: str = "RGB", output: str = "", channels: int = 3) -> Path:
    """A package that takes an image of 8×12 and gives what ``body`` makes of it, as an array or as an image of a colour."""
    package = save_program(folder, body, [np.zeros((1, channels, 8, 12), np.float32)])

    def described(model: Any) -> None:
        _make_image(model.description.input[0], color)
        if output:
            _make_image(model.description.output[0], output)

    specification(described)(package)
    return package


def _make_image(feature: Any, color: str) -> None:
    image = feature.type.imageType
    image.height, image.width = 8, 12
    image.colorSpace = image.ColorSpace.Value(color)


def _vector(x0: Any) -> Any:
    return mb.reduce_mean(x=x0, axes=[2, 3], keep_dims=False, name="scores")


#: Case → the package in a folder, and words of the refusal.
PACKAGES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "array input": (
        lambda folder: save_program(folder, depth_of, [np.zeros(IMAGE, np.float32)]),
        ("takes 'x0', FLOAT32 array 1×3×8×12", "RGB or BGR", "mean = 0, std = 1"),
    ),
    "gray input": (lambda folder: save_image_package(folder, depth_of, "GRAYSCALE", channels=1), ("takes 'x0', GRAYSCALE image 8×12",)),
    "two inputs": (
        lambda folder: save_program(folder, lambda x0, x1: mb.add(x=x0, y=x1), [np.zeros(IMAGE, np.float32)] * 2),
        ("takes 2 tensors ('x0', FLOAT32 array 1×3×8×12; 'x1', FLOAT32 array",),
    ),
    "two outputs": (
        lambda folder: save_image_package(folder, lambda x0: (depth_of(x0), mb.relu(x=x0, name="colours"))),
        ("gives 2 tensors ('depth', FLOAT32 array 1×1×8×12; 'colours', FLOAT32 array 1×3×8×12)", 'output = "NAME"'),
    ),
    "vector": (lambda folder: save_image_package(folder, _vector), ("gives 'scores', FLOAT32 array 1×3",)),
    "three channels": (
        lambda folder: save_image_package(folder, lambda x0: mb.relu(x=x0, name="y")),
        ("gives 'y', FLOAT32 array 1×3×8×12",),
    ),
    "scalar": (
        lambda folder: save_image_package(folder, lambda x0: mb.reduce_mean(x=x0, axes=[0, 1, 2, 3], keep_dims=False, name="y")),
        ("gave float32 1 when it ran",),
    ),
    "whole numbers": (
        lambda folder: save_image_package(folder, lambda x0: mb.cast(x=depth_of(x0), dtype="int32", name="y")),
        ("gives 'y', INT32 array 1×1×8×12",),
    ),
    "8-bit picture": (lambda folder: save_image_package(folder, depth_of, output="GRAYSCALE"), ("gives 'depth', GRAYSCALE image 8×12",)),
    "colour picture": (
        lambda folder: save_image_package(folder, lambda x0: mb.relu(x=x0, name="y"), output="RGB"),
        ("gives 'y', RGB image 8×12",),
    ),
}
