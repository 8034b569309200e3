"""Corrections of a compressed package: by hand where it can be, and read back from what the package stores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.conversion.calibration import measuring_images
from fcrn_mobile.conversion.capture import trace
from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.coreml import convert
from fcrn_mobile.conversion.correct import Walk, correct
from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.encoding import float_weights, weight_encodings, with_constants
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.conversion.weights import read_weights
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.quiet import quiet_coremltools

SIZE = (24, 32)
BIAS, ROUNDING = Correct(rounding=False, bias=True), Correct(rounding=True, bias=False)


class Small(nn.Module):
    """A strided convolution, a depthwise one and a pointwise one, over pixels 0..255."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.depthwise(F.relu(self.stem(x / 64))))
        return self.pointwise(x)


@pytest.fixture(scope="module")
def network() -> Small:
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Smooth, so that neighbouring pixels agree as those of photos do."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (6, 6, 8, 3)).astype(np.uint8)
    return [image.repeat(4, 0).repeat(4, 1) for image in coarse]


def recipe(precision: str, **options: Any) -> Recipe:
    return make_recipe({"precision": precision, "min_elements": 0, "output": "array", **options}, "test")


SCHEMES = {
    "int8": recipe("int8"),
    "int8 per tensor": recipe("int8", granularity="per_tensor"),
    "int8 asymmetric": recipe("int8", mode="asymmetric"),
    "int4": recipe("int4", granularity="per_channel"),
    "int4 blocks": recipe("int4", block_size=8, otherwise="int8"),
    "palette4": recipe("palette4"),
    "palette3 groups": recipe("palette3", granularity="per_grouped_channel", group_size=4),
}


@pytest.fixture(scope="module")
def pair(network: Small) -> Callable[[Recipe], tuple[Any, Any]]:
    """The network as a model, before and after compression."""
    floats: dict[str, Any] = {}

    def make(chosen: Recipe) -> tuple[Any, Any]:
        with quiet_coremltools():
            if chosen.target not in floats:
                floats[chosen.target] = convert(trace(network, SIZE), SIZE, chosen)
            return floats[chosen.target], compress(floats[chosen.target], chosen)

    return make


def corrected(pair: tuple[Any, Any], settings: Correct, images: list[np.ndarray]) -> Any:
    with quiet_coremltools():
        return correct(*pair, settings, images)


def program(model: Any, folder: Path) -> DepthProgram:
    with quiet_coremltools():
        model.save(str(folder / "model.mlpackage"))
    return DepthProgram(**vars(Program.load(folder / "model.mlpackage")))


def convs(model: Any, folder: Path) -> list[dict[str, Any]]:
    """Arguments of the stored convolutions, expanded by the runtime."""
    return [operation.arguments for operation in program(model, folder).operations if operation.kind == "conv"]


def inputs(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 64


def outputs(model: Any, images: list[np.ndarray], folder: Path) -> np.ndarray:
    made = program(model, folder)
    return np.stack([next(iter(made.predict({"image": image}).values())) for image in images])


def test_bias_correction_removes_the_mean_shift_of_a_layer(
    network: Small, pair: Callable[[Recipe], tuple[Any, Any]], images: list[np.ndarray], tmp_path: Path
) -> None:
    made = corrected(pair(SCHEMES["int4"]), BIAS, images)
    stem = convs(made, tmp_path)[0]

    def mean(weight: Tensor, bias: Tensor) -> Tensor:
        return F.conv2d(inputs(images), weight, bias, 2, 1).mean((0, 2, 3))

    naive = convs(pair(SCHEMES["int4"])[1], tmp_path)[0]
    expected = mean(network.stem.weight, network.stem.bias)
    assert (mean(naive["weight"], naive["bias"]) - expected).abs().max() > 0.02
    torch.testing.assert_close(mean(stem["weight"], stem["bias"]), expected, atol=3e-3, rtol=0)
    assert torch.equal(stem["weight"], naive["weight"])


def test_later_layers_are_corrected_for_what_the_corrected_ones_before_give(
    network: Small, pair: Callable[[Recipe], tuple[Any, Any]], images: list[np.ndarray], tmp_path: Path
) -> None:
    made = corrected(pair(SCHEMES["int4"]), BIAS, images)
    with torch.no_grad():
        expected = network(inputs(images) * 64).mean((0, 2, 3))
    ours, naive = (outputs(m, images, tmp_path).mean((0, 1, 3, 4)) for m in (made, pair(SCHEMES["int4"])[1]))
    assert np.abs(naive - expected.numpy()).max() > 0.01
    np.testing.assert_allclose(ours, expected.numpy(), atol=1e-3)


@pytest.mark.parametrize("name", SCHEMES)
def test_the_package_stores_the_chosen_values_and_comes_closer(
    name: str, pair: Callable[[Recipe], tuple[Any, Any]], images: list[np.ndarray], tmp_path: Path
) -> None:
    model, naive = pair(SCHEMES[name])
    walk = Walk(program(model, tmp_path), program(naive, tmp_path), True, True, weight_encodings(naive), float_weights(model))
    constants = walk.run(images)
    with quiet_coremltools():
        made = with_constants(naive, constants)
    chosen = [operation.arguments["weight"] for operation in walk.candidate.operations if operation.kind == "conv"]
    stored = [arguments["weight"] for arguments in convs(made, tmp_path)]
    assert len(stored) == 3
    for ours, theirs in zip(stored, chosen, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    assert [weight.stored for weight in read_weights(made)[0]] == [weight.stored for weight in read_weights(naive)[0]]
    for before, after in zip(weight_encodings(naive).values(), weight_encodings(made).values(), strict=True):
        assert str(before.grid) == str(after.grid)  # the scales and tables are the same
    expected = outputs(model, images, tmp_path)
    error, error_naive = (np.square(outputs(m, images, tmp_path) - expected).mean() for m in (made, naive))
    assert error < 0.7 * error_naive


def test_stored_integers_are_whole_and_in_range(pair: Callable[[Recipe], tuple[Any, Any]], images: list[np.ndarray]) -> None:
    made = corrected(pair(SCHEMES["int4"]), Correct(scale=True), images)
    with quiet_coremltools():
        import coremltools as ct

        specification = made.get_spec()
        program = ct.converters.mil.frontend.milproto.load.load(specification, specification.specificationVersion, made.weights_dir)
    data = [op.data.val for op in program.functions["main"].operations if op.op_type == "constexpr_blockwise_shift_scale"]
    assert len(data) == 3
    for integers in data:
        assert integers.dtype.metadata is not None  # what makes them four bits for coremltools
        assert -7 <= integers.min() < 0 < integers.max() <= 7


def test_fitted_scales_need_no_images(pair: Callable[[Recipe], tuple[Any, Any]], network: Small, tmp_path: Path) -> None:
    naive = pair(SCHEMES["int4"])
    made = corrected(naive, Correct(scale=True), [])
    ours, theirs = (
        sum(float((c["weight"] - w).square().sum()) for c, w in zip(convs(m, tmp_path), weights(network), strict=True))
        for m in (made, naive[1])
    )
    assert ours < 0.97 * theirs


def weights(network: Small) -> list[Tensor]:
    return [network.stem.weight.detach(), network.depthwise.weight.detach(), network.pointwise.weight.detach()]


def test_without_images_nothing_else_is_corrected(pair: Callable[[Recipe], tuple[Any, Any]]) -> None:
    model, naive = pair(SCHEMES["int8"])
    assert correct(model, naive, Correct(equalise=True), []) is naive


def test_sparse_weights_keep_their_values(pair: Callable[[Recipe], tuple[Any, Any]], images: list[np.ndarray], tmp_path: Path) -> None:
    naive = pair(recipe("sparse50"))
    made = corrected(naive, Correct(), images)
    before, after = convs(naive[1], tmp_path), convs(made, tmp_path)
    assert all(torch.equal(a["weight"], b["weight"]) for a, b in zip(before, after, strict=True))
    assert not all(torch.equal(a["bias"], b["bias"]) for a, b in zip(before, after, strict=True))


def test_corrections_that_look_at_no_image_load_none() -> None:
    blind = {"equalise": True, "rounding": False, "bias": False}
    for settings in ({}, {"correct": {"equalise": True}}, {"correct": blind, "calibration": {"data": "nowhere:x"}}):
        assert measuring_images(recipe("int8", **settings)) is None


def test_images_are_those_of_the_calibration() -> None:
    found = measuring_images(recipe("int8", correct={"bias": True}, calibration={"data": "sample", "images": 3, "seed": 1}))
    assert found is not None and len(found.images) == 3


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"precision": "fp16", "correct": {}}, "nothing to correct"),
        ({"precision": "int8", "correct": {"bias": 1}}, "correct.bias"),
        ({"precision": "int8", "correct": {"round": True}}, "correct.round"),
        ({"precision": "int8", "correct": True}, r"\[correct\]"),
        ({"precision": "int8", "calibration": {"images": 3}}, r"\[correct\]"),
    ],
)
def test_a_bad_table_names_its_key(values: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        make_recipe(values, "test")


def test_the_metadata_give_the_same_recipe_back() -> None:
    chosen = recipe("int8", correct={"equalise": True, "bias": False}, calibration={"data": "sample", "images": 3})
    assert make_recipe(chosen.to_json(), "metadata") == chosen
