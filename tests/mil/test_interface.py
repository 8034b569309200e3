"""What callers may hand over and get back, through packages that coremltools converted from torch networks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fcrn_mobile.mil import MilError, Program
from tests.mil.build import convert, ct, mb, quiet_coremltools, run_op
from tests.mil.ops.arrays import values

RNG = np.random.default_rng(0)


class Mixed(nn.Module):
    """Three inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: torch.Tensor, gain: torch.Tensor, picks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.conv(image) * gain
        return features.mean((2, 3)), torch.index_select(features, 1, picks)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> tuple[Mixed, Path]:
    torch.manual_seed(0)
    network = Mixed().eval()
    examples = [torch.rand(1, 3, 8, 10), torch.rand(1, 4, 1, 1), torch.tensor([0, 2])]
    inputs = [
        ct.ImageType("image", shape=(1, 3, 8, 10), color_layout=ct.colorlayout.BGR, scale=1 / 127.5, bias=[-1, -1, -1]),
        ct.TensorType("gain", shape=(1, 4, 1, 1)),
        ct.TensorType("picks", shape=(2,), dtype=np.int32),
    ]
    outputs = [ct.TensorType("means"), ct.TensorType("picked")]
    return network, convert(network, examples, tmp_path_factory.mktemp("mixed"), inputs=inputs, outputs=outputs)


def test_an_index_outside_gives_nan_where_core_mls_answer_is_undefined(mixed) -> None:
    _, path = mixed
    pixels = RNG.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    picked = Program.load(path).predict({"image": pixels, "gain": values(0, 1, 4, 1, 1), "picks": np.array([0, 9])})["picked"]
    assert np.isfinite(picked[:, 0]).all()
    assert np.isnan(picked[:, 1]).all()


def test_images_arrays_and_integers_go_in_and_all_outputs_come_out(mixed) -> None:
    network, path = mixed
    program = Program.load(path)
    assert [(f.name, f.kind, f.dtype, f.shape) for f in program.inputs] == [
        ("image", "image", "BGR", (8, 10)),
        ("gain", "array", "FLOAT32", (1, 4, 1, 1)),
        ("picks", "array", "INT32", (2,)),
    ]
    pixels = RNG.integers(0, 256, (8, 10, 3), dtype=np.uint8)
    gain, picks = values(0, 1, 4, 1, 1), np.array([3, 1])
    # Scale and bias of the interface stand in the program: here they are applied by hand.
    bgr = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        expected = network(bgr, torch.from_numpy(gain), torch.from_numpy(picks))
    for image in (pixels, Image.fromarray(pixels)):
        results = program.predict({"image": image, "gain": gain, "picks": picks})
        for name, wanted in zip(("means", "picked"), expected, strict=True):
            np.testing.assert_allclose(results[name], wanted.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": None}, "input 'image' is missing"),
        ({"mask": 1}, "unknown input 'mask'"),
        ({"image": np.zeros((8, 9, 3), np.uint8)}, "8×9×3"),
        ({"image": np.zeros((8, 10), np.uint8)}, "8×10, the package takes BGR pixels such as 8×10×3"),
        ({"image": np.zeros((8, 10, 3), np.float32)}, "float32: give 8-bit pixels"),
        ({"image": Image.new("L", (10, 8))}, "is a 'L' image: convert it to 'RGB'"),
        ({"gain": np.zeros((1, 4), np.float32)}, "1×4, the package takes 1×4×1×1"),
        ({"gain": np.full((1, 4, 1, 1), "a")}, "give real numbers"),
        ({"picks": np.array([0.5, 1])}, "give whole numbers"),
        ({"picks": np.array([0, 2**40])}, "beyond INT32"),
    ],
)
def test_what_does_not_fit_is_named(mixed, changes, message) -> None:
    program = Program.load(mixed[1])
    given = {"image": np.zeros((8, 10, 3), np.uint8), "gain": values(0, 1, 4, 1, 1), "picks": np.array([0, 1])} | changes
    with pytest.raises(MilError, match=message):
        program.predict({name: value for name, value in given.items() if value is not None})


class Halving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return torch.nn.functional.interpolate(y, scale_factor=2.0, mode="nearest").flatten(2)


def halving(folder: Path, feature: Any) -> tuple[nn.Module, Program]:
    """A network of one flexible input, and its package."""
    torch.manual_seed(0)
    network = Halving().eval()
    return network, Program.load(convert(network, [torch.rand(1, 3, 8, 10)], folder, inputs=[feature]))


def flexible(kind: str):
    """Two shapes, or a range per side, around 8×10."""
    if kind == "enumerated":
        return ct.EnumeratedShapes(shapes=[(1, 3, 8, 10), (1, 3, 12, 16)], default=(1, 3, 8, 10))
    return ct.Shape(shape=(1, 3, ct.RangeDim(4, 12, default=8), ct.RangeDim(6, 20, default=10)))


@pytest.mark.parametrize("kind", ["enumerated", "range"])
def test_flexible_shapes_are_resolved_at_every_predict(kind, tmp_path) -> None:
    network, program = halving(tmp_path, ct.TensorType("x", shape=flexible(kind)))
    (feature,) = program.inputs
    assert feature.shape == (1, 3, 8, 10)
    for size in ((8, 10), (12, 16)) if kind == "enumerated" else ((4, 20), (8, 10), (12, 6)):
        x = values(sum(size), 1, 3, *size)
        with torch.no_grad():
            expected = network(torch.from_numpy(x)).numpy()
        (actual,) = program.predict({"x": x}).values()
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    described = "1×3×8×10 or 1×3×12×16" if kind == "enumerated" else r"1×3×4\.\.12×6\.\.20"
    with pytest.raises(MilError, match=described):
        program.predict({"x": values(0, 1, 3, 14, 10)})


@pytest.mark.parametrize("kind", ["enumerated", "range"])
def test_flexible_images_take_their_sizes(kind, tmp_path) -> None:
    network, program = halving(tmp_path, ct.ImageType("x", shape=flexible(kind)))
    pixels = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].float()).numpy()
    (actual,) = program.predict({"x": pixels}).values()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=2e-3)
    with pytest.raises(MilError, match="7×5×3"):
        program.predict({"x": np.zeros((7, 5, 3), np.uint8)})


def test_an_input_with_a_default_may_be_left_out(tmp_path) -> None:
    class Scale(nn.Module):
        def forward(self, x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
            return x * gain

    inputs = [ct.TensorType("x", shape=(3,)), ct.TensorType("gain", shape=(3,), default_value=np.full(3, 2.5, np.float32))]
    path = convert(Scale(), [torch.rand(3), torch.rand(3)], tmp_path, inputs=inputs)
    program = Program.load(path)
    x = values(0, 3)
    (default,) = program.predict({"x": x}).values()
    np.testing.assert_allclose(default, x * 2.5, rtol=1e-6)
    (given,) = program.predict({"x": x, "gain": x}).values()
    np.testing.assert_allclose(given, x * x, rtol=1e-6)


def test_a_function_of_several_is_chosen_by_name(tmp_path) -> None:
    paths = {}
    for name, factor in (("double", 2.0), ("treble", 3.0)):
        network = nn.Conv2d(1, 1, 1, bias=False)
        network.weight.data.fill_(factor)
        x = ct.TensorType("x", shape=(1, 1, 2, 2))
        paths[name] = convert(network, [torch.rand(1, 1, 2, 2)], tmp_path, name, inputs=[x], minimum_deployment_target=ct.target.iOS18)
    with quiet_coremltools():
        both = ct.utils.MultiFunctionDescriptor()
        for name, path in paths.items():
            both.add_function(str(path), src_function_name="main", target_function_name=name)
        both.default_function_name = "treble"
        ct.utils.save_multifunction(both, str(tmp_path / "both.mlpackage"))
    x = values(0, 1, 1, 2, 2)
    for name, factor in ((None, 3), ("double", 2), ("treble", 3)):
        program = Program.load(tmp_path / "both.mlpackage", function=name)
        (actual,) = program.predict({"x": x}).values()
        np.testing.assert_allclose(actual, x * factor, rtol=1e-6)
        assert program.function == (name or "treble")
    with pytest.raises(MilError, match=r"no function 'half'.*'double', 'treble'"):
        Program.load(tmp_path / "both.mlpackage", function="half")


@pytest.mark.parametrize("layout", ["RGB", "BGR", "GRAYSCALE", "GRAYSCALE_FLOAT16"])
def test_images_go_through_unchanged_in_every_layout(layout, tmp_path) -> None:
    channels = 3 if layout in ("RGB", "BGR") else 1
    target = {"minimum_deployment_target": ct.target.iOS16, "compute_precision": ct.precision.FLOAT16}

    class Same(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 1.0 + 0.0

    color = getattr(ct.colorlayout, layout)
    inputs = [ct.ImageType("x", shape=(1, channels, 4, 6), color_layout=color)]
    outputs = [ct.ImageType("y", color_layout=color)]
    path = convert(Same(), [torch.rand(1, channels, 4, 6)], tmp_path, inputs=inputs, outputs=outputs, **target)
    program = Program.load(path, "float16")
    if layout == "GRAYSCALE_FLOAT16":
        pixels = values(0, 4, 6)
        expected = pixels.astype(np.float16).astype(np.float32)
        picture = Image.fromarray(pixels)
    else:
        pixels = RNG.integers(0, 256, (4, 6, 3) if channels == 3 else (4, 6), dtype=np.uint8)
        expected, picture = pixels, Image.fromarray(pixels)
    for value in (pixels, picture):
        result = program.predict({"x": value})["y"]
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


def test_an_output_may_be_an_input_or_a_constant(tmp_path) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, torch.tensor([1.0, 2.0])

    program = Program.load(convert(Odd(), [torch.rand(3)], tmp_path, inputs=[ct.TensorType("x", shape=(3,))]))
    x = values(0, 3)
    first, second = program.predict({"x": x}).values()
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, [1, 2])


def test_one_tensor_under_two_outputs_and_a_result_without_axes() -> None:
    x = values(0, 5)

    def body(x0):
        y = mb.relu(x=x0)
        return y, y, mb.reduce_sum(x=x0, axes=[0], keep_dims=False)

    program, results = run_op(body, x)
    assert [feature.shape for feature in program.outputs] == [(5,), ()]
    np.testing.assert_array_equal(results[0], np.maximum(x, 0))
    np.testing.assert_allclose(results[1], [x.sum()], rtol=1e-5)
