"""Models of other makers that open once a contract says what they take and give: arrays, other layouts, several outputs, open sizes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import ZERO_TO_ONE, DepthInterface, Port
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes import open_runtime
from tests.mil.build import ct, mb, save_program
from tests.mil.damage import specification
from tests.runtimes.wrong_models import depth_of, save_image_package

SIZE = (8, 12)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
#: What the models weigh the channels of their input with, in its order.
WEIGHTS = np.array([0.5, 2.0, -1.0], np.float32)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CONFIG = f"depth = 'inverse'\nmean = {list(MEAN)}\nstd = {list(STD)}\n"


def expected(image: np.ndarray, channels: str = "RGB") -> np.ndarray:
    """The weighted sum of the normalised channels, in double precision by torch."""
    pixels = torch.from_numpy((image if channels == "RGB" else image[..., ::-1]).copy()).double() / 255
    normalised = (pixels - torch.tensor(MEAN, dtype=torch.float64)) / torch.tensor(STD, dtype=torch.float64)
    return (normalised * torch.from_numpy(WEIGHTS).double()).sum(-1).numpy()


def save_weighing(path: Path, **changes: Any) -> Path:
    """An .onnx that weighs the channels of x, in a layout, type and shape, and gives depth as y and what it weighed as z."""
    last = changes.get("last", False)
    dtype = changes.get("dtype", np.float32)
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    height, width = changes.get("size", SIZE)
    shape = changes.get("shape", (1, height, width, 3) if last else (1, 3, height, width))
    axis = -1 if last else -3
    weights = WEIGHTS.reshape((3,) if last else (3, 1, 1)).astype(dtype)
    nodes = [
        helper.make_node("Mul", ["x", "w"], ["z"]),
        helper.make_node("ReduceSum", ["z", "axis"], ["y"], keepdims=changes.get("keepdims", 1)),
    ]
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in (("z", "y") if changes.get("both") else ("y",))]
    constants = [onnx.numpy_helper.from_array(value, name) for name, value in (("w", weights), ("axis", np.array([axis])))]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", kind, shape)], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("changes", "config"),
    [
        ({}, ""),
        ({}, "channels = 'BGR'\n"),
        ({"last": True}, "layout = 'channels-last'\n"),
        ({"last": True, "dtype": np.float16}, "layout = 'channels-last'\nchannels = 'BGR'\n"),
        ({"dtype": np.float16}, ""),
        ({"keepdims": 0}, ""),
        ({"shape": (3, *SIZE), "keepdims": 0}, ""),
        ({"both": True}, "output = 'y'\n"),
        ({"shape": ("n", 3, "h", "w")}, "sizes = [[8, 12], [16, 24]]\n"),
        ({"shape": ("n", *SIZE, 3), "last": True}, "layout = 'channels-last'\n"),
    ],
    ids=str,
)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_onnx_model_gives_what_its_contract_says(changes: dict[str, Any], config: str, backend: str, tmp_path: Path) -> None:
    path = save_weighing(tmp_path / "m.onnx", **changes)
    path.with_suffix(".toml").write_text(CONFIG + config)
    runtime = open_runtime(str(path), backend)
    assert (runtime.contract.depth, runtime.input_size) == ("inverse", SIZE)
    half = changes.get("dtype") == np.float16
    np.testing.assert_allclose(
        runtime.predict(IMAGE), expected(IMAGE, runtime.contract.channels), rtol=2e-2 if half else 1e-4, atol=3e-2 if half else 1e-5
    )


class _Mean(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1, keepdim=True)


def _weighing(axis: int) -> Callable[[Any], Any]:
    weights = WEIGHTS if axis == 3 else WEIGHTS.reshape(3, 1, 1)

    def body(x0: Any) -> Any:
        return mb.reduce_sum(x=mb.mul(x=x0, y=weights), axes=[axis], keep_dims=True, name="depth")

    return body


@pytest.mark.parametrize(("layout", "shape"), [("channels-first", (1, 3, *SIZE)), ("channels-last", (1, *SIZE, 3))])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_a_package_with_an_array_gives_what_its_contract_says(layout: str, shape: tuple[int, ...], channels: str, tmp_path: Path) -> None:
    """Arrays in and out, coremltools' own custom. Of the channels-last one depth is 1×h×w×1."""
    package = save_program(tmp_path, _weighing(shape.index(3)), [np.zeros(shape, np.float32)])
    package.with_suffix(".toml").write_text(CONFIG + f"layout = '{layout}'\nchannels = '{channels}'\n")
    runtime = open_runtime(str(package), "mil", "float32")
    np.testing.assert_allclose(runtime.predict(IMAGE), expected(IMAGE, channels), rtol=1e-4, atol=1e-5)
    larger = np.repeat(np.repeat(IMAGE, 2, 0), 2, 1)
    assert runtime.predict(larger).shape == SIZE


def test_one_of_several_outputs_of_a_package_is_depth(tmp_path: Path) -> None:
    package = save_image_package(tmp_path, lambda x0: (mb.relu(x=x0, name="colours"), depth_of(x0)))
    with pytest.raises(InputError, match=r"gives 2 tensors .*output = \"NAME\""):
        open_runtime(str(package))
    config = tmp_path / "own.toml"
    config.write_text('depth = "scale"\noutput = "depth"\n')
    runtime = open_runtime(str(package), model_config=config)
    assert runtime.contract == DepthContract("scale", output="depth")
    np.testing.assert_allclose(runtime.predict(IMAGE), IMAGE.astype(float).mean(-1), rtol=2e-3)


def test_a_flexible_picture_comes_in_the_contracts_size(tmp_path: Path) -> None:
    with quiet_coremltools():
        traced = torch.jit.trace(_Mean(), torch.zeros(1, 3, *SIZE))
        shapes = ct.EnumeratedShapes([(1, 3, *SIZE), (1, 3, 16, 24)], default=(1, 3, *SIZE))
        model = ct.convert(traced, inputs=[ct.ImageType("image", shape=shapes)], outputs=[ct.TensorType("depth")])
        package = tmp_path / "m.mlpackage"
        model.save(str(package))
    config = package.with_suffix(".toml")
    assert open_runtime(str(package)).input_size == SIZE
    config.write_text('depth = "metres"\nsizes = [[16, 24]]')
    runtime = open_runtime(str(package))
    assert (runtime.input_size, runtime.predict(IMAGE).shape) == ((16, 24), (16, 24))
    config.write_text('depth = "metres"\nsizes = [[16, 16]]')
    with pytest.raises(InputError, match="not the 16×16 of sizes"):
        open_runtime(str(package))


def test_what_a_file_says_itself_counts_before_a_file_beside_it(tmp_path: Path) -> None:
    """A recipe may lie beside a package of the same name."""
    package = save_image_package(tmp_path, depth_of)

    def described(model: Any) -> None:
        model.description.metadata.userDefined["fcrn_mobile.output_units"] = "up to scale"

    specification(described)(package)
    package.with_suffix(".toml").write_text('name = "a recipe"\nprecision = "int8"\n')
    assert open_runtime(str(package)).contract.depth == "scale"
    config = tmp_path / "own.toml"
    config.write_text("focal_length = 500\nfocal_width = 640\n")
    contract = open_runtime(str(package), model_config=config).contract
    assert (contract.depth, contract.camera) == ("scale", (500, 640))


@pytest.mark.parametrize(
    ("port", "contract", "words"),
    [
        (Port("x", "RGB", SIZE, "image"), DepthContract(sizes=((16, 24), (24, 16))), "not the 16×24 or 24×16 of sizes in its contract or"),
        (Port("x", "RGB", SIZE, "image"), DepthContract().at((16, 24)), "not the 16×24 of .* or of --size: correct sizes or --size"),
        (Port("x", "float32", (1, 3, 8, None)), replace(ZERO_TO_ONE, sizes=((16, 24),)), "not the 16×24 of .*: correct sizes or --size"),
        (Port("x", "RGB", SIZE, "image"), DepthContract(multiple=7), "whose sides are no multiples of 7: correct multiple in"),
    ],
    ids=str,
)
def test_a_size_that_the_file_does_not_take_is_named_with_who_may_have_said_it(port: Port, contract: DepthContract, words: str) -> None:
    with pytest.raises(InputError, match=rf"the model takes 'x', .*{words}"):
        DepthInterface.of("the model", [port], [Port("y", "float32", None)], contract)


def test_a_checkpoint_takes_a_model_config_too(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text("sizes = [[64, 96]]\n")
    plain, other = open_runtime("builtin"), open_runtime("builtin", model_config=config)
    assert (plain.contract.depth, other.contract.sizes) == ("metres", ((64, 96),))
    assert other.input_size == (64, 96)
    assert other.predict(IMAGE).shape != plain.predict(IMAGE).shape


def test_without_a_contract_onnx_takes_rgb_in_0_to_1_as_before(tmp_path: Path) -> None:
    runtime = open_runtime(str(save_weighing(tmp_path / "m.onnx")))
    assert runtime.contract == DepthContract("metres", mean=(0, 0, 0), std=(1, 1, 1))
    np.testing.assert_allclose(runtime.predict(IMAGE), (IMAGE / 255 * WEIGHTS).sum(-1), rtol=1e-4, atol=1e-6)


@given(
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(0.01, 5)] * 3),
    st.sampled_from(["RGB", "BGR"]),
    st.sampled_from(["channels-first", "channels-last"]),
    st.sampled_from(["float32", "float16"]),
)
@settings(deadline=None)
def test_pixels_are_normalised_once_and_rounded_once(
    mean: tuple[float, float, float], std: tuple[float, float, float], channels: Any, layout: Any, dtype: str
) -> None:
    contract = DepthContract("metres", channels=channels, layout=layout, mean=mean, std=std)
    shape = (1, 3, *SIZE) if layout == "channels-first" else (1, *SIZE, 3)
    interface = DepthInterface.of("it", [Port("x", dtype, shape)], [Port("y", "float32", None)], contract)
    picture = interface.picture(IMAGE)
    pixels = IMAGE.astype(np.float64)[..., :: -1 if channels == "BGR" else 1]
    exact = ((pixels / 255 - mean) / std)[np.newaxis]
    assert (picture.dtype.name, picture.shape) == (dtype, shape)
    np.testing.assert_array_equal(picture, (exact.transpose(0, 3, 1, 2) if layout == "channels-first" else exact).astype(dtype))
