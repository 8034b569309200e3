"""Corrections of linear layers: against NumPy by hand, against the 1×1 convolution that they are, and read back from packages."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.proto import Model_pb2
from numpy.typing import NDArray
from torch import Tensor, nn

from fcrn_mobile.conversion.capture import trace
from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.coreml import convert
from fcrn_mobile.conversion.correct import Walk, correct
from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.encoding import Encoding, float_weights, weight_encodings
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.rounding import Moments, choose, patches
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.quantize.grids import Integers
from fcrn_mobile.quiet import quiet_coremltools
from tests.conversion.test_correct import SCHEMES

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(5, 6)).astype(np.float32)
STEP = np.abs(WEIGHT).max(1, keepdims=True) / 3
NEAREST = np.rint(WEIGHT / STEP) * STEP
BIAS = np.arange(5, dtype=np.float32)
#: Rows of six pixels that hang together, over three channels: the linear layer mixes what lies along a row.
IMAGES = [(RANDOM.integers(0, 200, (4, 1, 3)) + RANDOM.integers(0, 50, (4, 6, 3))).astype(np.uint8) for _ in range(3)]


def rows() -> NDArray[np.float64]:
    """Everything that the layer reads, positions×6."""
    return np.stack(IMAGES).transpose(0, 3, 1, 2).reshape(-1, 6).astype(np.float64)


def program(weight: NDArray[np.floating[Any]], bias: bool = True) -> DepthProgram:
    """A linear layer along the rows of a picture."""
    taken, given = Model_pb2.FeatureDescription(name="image"), Model_pb2.FeatureDescription(name="y")
    taken.type.imageType.height, taken.type.imageType.width, taken.type.imageType.colorSpace = 4, 6, 20
    given.type.multiArrayType.dataType = 65568
    arguments: dict[str, Any] = {"x": Reference("image"), "weight": torch.from_numpy(weight).float()}
    if bias:
        arguments["bias"] = torch.from_numpy(BIAS)
    layer = Operation("linear", arguments, (TensorInfo("y", "FLOAT32", (1, 3, 4, 5)),), ("image",))
    return DepthProgram((Feature.from_description(taken),), (Feature.from_description(given),), (layer,), FLOAT32, {})


def found(rounding: bool, bias: bool, has_bias: bool = True) -> dict[str, NDArray[Any]]:
    grid = Integers(torch.from_numpy(STEP), bits=3, symmetric=True)
    encodings, weights = {"y": Encoding(grid, "data", None, np.dtype(np.int8))}, {"y": torch.from_numpy(WEIGHT)}
    (constants,) = Walk(program(WEIGHT, has_bias), program(NEAREST, has_bias), rounding, bias, encodings, weights).run(IMAGES).values()
    return constants


def test_the_bias_takes_back_what_the_weights_shift() -> None:
    constants = found(rounding=False, bias=True)
    shift = (rows() @ (NEAREST - WEIGHT).T).mean(0)
    assert np.abs(shift).max() > 1
    np.testing.assert_allclose(constants["bias"], BIAS - shift, rtol=1e-4)
    assert set(constants) == {"bias"}


@pytest.mark.parametrize("bias", [True, False])
def test_chosen_integers_are_near_the_best_of_all(bias: bool) -> None:
    """Of every row of weights, each combination of the seven integers is tried by NumPy."""
    constants = found(rounding=True, bias=bias)
    chosen = constants["weight.data"].astype(np.float64) * STEP
    read = rows()
    if bias:
        read = read - read.mean(0)
        np.testing.assert_allclose(constants["bias"], BIAS - (rows() @ (chosen - WEIGHT).T).mean(0), rtol=1e-3, atol=1e-3)
    square = read.T @ read / len(read)
    square += 0.01 * np.trace(square) / 6 * np.eye(6)  # staying near the float weights counts a hundredth
    every = np.array(list(itertools.product(range(-3, 4), repeat=6)), np.float64)
    ours, nearest, best = 0.0, 0.0, 0.0
    for row, weight, step, rounded in zip(chosen, WEIGHT, STEP, NEAREST, strict=True):
        losses = [((values - weight) @ square * (values - weight)).sum(-1) for values in (row, rounded, every * step)]
        least = float(losses[2].min())
        assert least <= losses[0] * (1 + 1e-6) and losses[0] <= losses[1] * (1 + 1e-6)
        ours, nearest, best = ours + float(losses[0]), nearest + float(losses[1]), best + least
    assert ours - best < 0.25 * (nearest - best)


def test_it_is_the_convolution_of_one_pixel() -> None:
    pictures = torch.from_numpy(np.stack(IMAGES)).float().permute(0, 2, 3, 1)  # the six pixels of a row as channels
    point = Operation("conv", {"pad_type": "valid"}, (TensorInfo("y", "FLOAT32", ()),))
    moments = Moments.zeros(1, 6)
    moments.add(*[patches(pictures, point, (1, 1))] * 2)
    grid = Integers(torch.from_numpy(STEP).view(5, 1, 1, 1), bits=3, symmetric=True)
    expected = choose(torch.from_numpy(WEIGHT).view(5, 6, 1, 1), grid, moments, centred=False).view(5, 6)
    np.testing.assert_array_equal(found(rounding=True, bias=False)["weight.data"], (expected.numpy() / STEP).round())


def test_without_a_bias_rounding_answers_for_the_mean_as_well() -> None:
    """Nothing else is there to make it good."""
    with_none, uncentred = found(True, True, has_bias=False), found(True, False)
    assert set(with_none) == {"weight.data"}
    np.testing.assert_array_equal(with_none["weight.data"], uncentred["weight.data"])


def test_a_layer_keeps_its_output_on_what_the_corrected_ones_before_it_give() -> None:
    """Of two layers the second is rounded on the inputs that it has now, as if the float one read the same."""
    second = RANDOM.normal(size=(4, 5)).astype(np.float32)
    step = np.abs(second).max(1, keepdims=True) / 3
    programs = []
    for first, then in ((WEIGHT, second), (NEAREST, np.rint(second / step) * step)):
        one = program(first)
        arguments = {"x": Reference("y"), "weight": torch.from_numpy(then).float(), "bias": torch.zeros(4)}
        layer = Operation("linear", arguments, (TensorInfo("z", "FLOAT32", (1, 3, 4, 4)),), ("y",))
        programs.append(DepthProgram(one.inputs, one.outputs, (*one.operations, layer), one.arithmetic, {}))
    grids = {name: Integers(torch.from_numpy(steps), bits=3, symmetric=True) for name, steps in (("y", STEP), ("z", step))}
    encodings = {name: Encoding(grid, "data", None, np.dtype(np.int8)) for name, grid in grids.items()}
    weights = {"y": torch.from_numpy(WEIGHT), "z": torch.from_numpy(second)}
    constants = Walk(*programs, True, False, encodings, weights).run(IMAGES)
    read = torch.from_numpy(rows() @ (constants["y"]["weight.data"] * STEP).T + BIAS).float().T[None]
    moments = Moments.zeros(1, 5)
    moments.add(read, read)
    expected = choose(weights["z"], grids["z"], moments, centred=False)
    np.testing.assert_array_equal(constants["z"]["weight.data"], (expected.numpy() / step).round())


def test_inputs_that_hardly_vary_are_no_reason_to_fail() -> None:
    """As tokens of a transformer have channels that are large and constant: in float32 their variance drowns in rounding errors."""
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(1, 64, 4000, generator=generator) * 1e-3
    read[:, :4] += 3000 * torch.rand(4, 1, generator=generator)
    weight = torch.randn(8, 64, generator=generator)
    moments = Moments.zeros(1, 64)
    moments.add(read, read)
    grid = Integers(weight.abs().amax(1, keepdim=True) / 7, bits=4, symmetric=True)
    chosen = choose(weight, grid, moments, centred=True)
    torch.testing.assert_close(grid.nearest(chosen), chosen)


class Tokens(nn.Module):
    """A picture cut into tokens, mixed by linear layers with and without a bias, and put together again."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.norm = nn.Conv2d(3, 24, 8, 8), nn.LayerNorm(24)
        self.up, self.down, self.head = nn.Linear(24, 48), nn.Linear(48, 24, bias=False), nn.Linear(24, 16)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.cut(x / 64).flatten(2).transpose(1, 2)
        tokens = tokens + self.down(torch.relu(self.up(self.norm(tokens))))
        return self.head(tokens).reshape(1, 3, 4, 4, 4).permute(0, 1, 3, 2, 4).reshape(1, 1, 12, 16)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    torch.manual_seed(0)
    return Tokens().eval()


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 8, 3)).astype(np.uint8)
    return [image.repeat(4, 0).repeat(4, 1) for image in coarse]


@pytest.fixture(scope="module")
def pair(tokens: Tokens) -> Callable[[Recipe], tuple[Any, Any]]:
    floats: dict[str, Any] = {}

    def make(chosen: Recipe) -> tuple[Any, Any]:
        with quiet_coremltools():
            if chosen.target not in floats:
                floats[chosen.target] = convert(trace(tokens, (24, 32)), (24, 32), chosen)
            return floats[chosen.target], compress(floats[chosen.target], chosen)

    return make


def saved(model: Any, path: Path) -> Program:
    with quiet_coremltools():
        model.save(str(path))
    return Program.load(path)


@pytest.mark.parametrize("name", SCHEMES)
def test_packages_store_other_codes_on_the_same_grid_and_come_closer(
    name: str, pair: Callable[[Recipe], tuple[Any, Any]], tokens: Tokens, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    model, naive = pair(SCHEMES[name])
    before = weight_encodings(naive)
    linear = [key for key, weight in float_weights(model).items() if weight.dim() == 2]
    assert len(linear) == 3 and set(linear) < set(before)
    with quiet_coremltools():
        made = correct(model, naive, Correct(), images)
    assert {key: str(encoding.grid) for key, encoding in weight_encodings(made).items()} == {k: str(e.grid) for k, e in before.items()}
    ours, theirs = saved(made, tmp_path / "made.mlpackage"), saved(naive, tmp_path / "naive.mlpackage")
    stored = {operation.name: operation.arguments for operation in ours.operations}
    plain = {operation.name: operation.arguments for operation in theirs.operations}
    for key in linear:
        weight = stored[key]["weight"]
        torch.testing.assert_close(before[key].grid.nearest(weight), weight, rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(stored[key]["weight"], plain[key]["weight"]) for key in linear)
    with torch.no_grad():
        expected = [tokens(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0, 0].numpy() for image in images]
    errors = [
        np.mean([np.square(next(iter(p.predict({"image": image}).values())) - e).mean() for image, e in zip(images, expected, strict=True)])
        for p in (ours, theirs)
    ]
    assert errors[0] < 0.7 * errors[1]


def test_scales_are_fitted_without_images(pair: Callable[[Recipe], tuple[Any, Any]], tmp_path: Path) -> None:
    model, naive = pair(SCHEMES["int4"])
    with quiet_coremltools():
        made = correct(model, naive, Correct(scale=True), [])
    programs = [saved(each, tmp_path / f"{number}.mlpackage") for number, each in enumerate((model, made, naive))]
    weights = [{o.name: o.arguments["weight"] for o in p.operations if o.kind == "linear"} for p in programs]
    for key, weight in weights[0].items():
        ours, theirs = (float((each[key] - weight).square().sum()) for each in weights[1:])
        assert ours < theirs
