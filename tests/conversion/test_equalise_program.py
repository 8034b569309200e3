"""Equalisation of programs of any maker: the same function to the last digit, with channels of like ranges."""

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcrn_mobile.conversion import equalise_program as equalise_module
from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.equalise_program import equalise_program, program_links
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.conversion.weights import read_weights
from fcrn_mobile.mil import Program
from tests.mil.build import mb

SIZE = (16, 24)
PER_TENSOR = make_recipe({"precision": "int8", "granularity": "per_tensor", "min_elements": 0}, "test")


class Crooked(nn.Module):
    """Maps of every kind: through ReLU, ReLU6, a depthwise convolution, a sum, a concatenation, pools and pads; and some that stay."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.point, self.again = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.joint, self.gated, self.last = nn.Conv2d(16, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 1, 1)
        for conv in (self.first, self.deep, self.point, self.again, self.joint):
            conv.weight.data *= torch.logspace(-1.5, 1.5, 8).view(-1, 1, 1, 1)  # ranges up to 1000 times apart

    def forward(self, x: Tensor) -> Tensor:
        a = nn.functional.relu6(self.first(x))
        b = nn.functional.relu6(self.deep(a))
        c = self.point(b)
        d = torch.relu(self.again(c) + c)
        e = torch.cat([nn.functional.max_pool2d(d, 2), nn.functional.avg_pool2d(b, 2)], 1)
        f = nn.functional.leaky_relu(self.joint(nn.functional.pad(e, (1, 1, 1, 1))), 0.1)
        return self.last(torch.sigmoid(self.gated(nn.functional.interpolate(f, scale_factor=2.0))))


def model_of(network: nn.Module, precision: Any = ct.precision.FLOAT32, results: tuple[str, ...] = ("y",)) -> "ct.models.MLModel":
    traced = torch.jit.trace(network.eval(), torch.rand(1, 3, *SIZE))
    inputs, target = [ct.TensorType("x", shape=(1, 3, *SIZE))], ct.target.iOS16
    return ct.convert(
        traced,
        inputs=inputs,
        outputs=[ct.TensorType(name) for name in results],
        minimum_deployment_target=target,
        compute_precision=precision,
        skip_model_load=True,
    )


@pytest.fixture(scope="module")
def crooked() -> "ct.models.MLModel":
    return model_of(Crooked())


def spread(values: np.ndarray, axis: int) -> float:
    """How far the largest magnitudes of channels lie apart."""
    peaks = np.abs(np.moveaxis(values, axis, 0)).reshape(values.shape[axis], -1).max(1)
    return float(peaks.max() / peaks.min())


def test_the_function_stays_and_the_ranges_meet(crooked: "ct.models.MLModel", tmp_path: Path) -> None:
    equal = equalise_program(crooked, PER_TENSOR)
    for name, model in (("before", crooked), ("after", equal)):
        model.save(str(tmp_path / f"{name}.mlpackage"))
    before, after = (Program.load(tmp_path / f"{name}.mlpackage") for name in ("before", "after"))
    for seed in range(3):
        # Large values, so that ReLU6 cuts many.
        x = np.random.default_rng(seed).normal(0, 5, (1, 3, *SIZE)).astype(np.float32)
        np.testing.assert_array_equal(after.predict({"x": x})["y"], before.predict({"x": x})["y"])
    weights = {model: {weight.name: weight.values for weight in read_weights(model)[0]} for model in (crooked, equal)}
    assert set(weights[equal]) - {"relu6_0_bound"} >= set(weights[crooked])  # a recipe finds every weight under its name
    for name, axis in (("first_weight", 0), ("deep_weight", 0), ("again_weight", 1)):
        assert spread(weights[equal][name], axis) < spread(weights[crooked][name], axis) / 2 or axis == 1
        assert not np.array_equal(weights[equal][name], weights[crooked][name])
        ratios = weights[equal][name] / weights[crooked][name]
        assert np.array_equal(np.log2(np.abs(ratios)), np.round(np.log2(np.abs(ratios))))
    ratio = weights[equal]["gated_weight"] / weights[crooked]["gated_weight"]  # a sigmoid reads what it gives
    assert np.array_equal(ratio, np.broadcast_to(ratio[:1], ratio.shape))


class Hidden(nn.Module):
    """Channels whose sizes differ a thousandfold between two convolutions, and in no result."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.giver, self.reader = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)
        sizes = torch.logspace(-1.5, 1.5, 8)
        self.giver.weight.data *= sizes.view(-1, 1, 1, 1)
        self.giver.bias.data *= sizes
        self.reader.weight.data /= sizes.view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(torch.relu(self.giver(x)))


def test_eight_bits_lose_less(tmp_path: Path) -> None:
    x = np.random.default_rng(9).normal(0, 1, (1, 3, *SIZE)).astype(np.float32)
    with torch.no_grad():
        expected = Hidden().eval()(torch.from_numpy(x)).numpy()
    hidden, errors = model_of(Hidden()), []
    for name, model in (("plain", hidden), ("equal", equalise_program(hidden, PER_TENSOR))):
        compress(model, PER_TENSOR).save(str(tmp_path / f"{name}.mlpackage"))
        errors.append(np.abs(Program.load(tmp_path / f"{name}.mlpackage").predict({"x": x})["y"] - expected).mean())
    assert errors[1] < 0.2 * errors[0]


class Stubborn(nn.Module):
    """Nothing here lets a factor pass: a shared weight, groups, a shuffle, a product, an output."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.a, self.b, self.c, self.d = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1, groups=2), nn.Conv2d(8, 8, 1), nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x)))
        x = self.c(torch.relu(self.c(x)))
        x = nn.functional.pixel_shuffle(self.c(x * x), 2)
        return self.d(x)


def test_what_factors_cannot_pass_keeps_its_maps() -> None:
    assert program_links(model_of(Stubborn()))[0] == []


class Rounded(nn.Module):
    """Whole numbers between two convolutions: a factor before them is none after them."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.a, self.b, self.whole = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 4, 1), whole

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        return self.b(x.to(torch.int32).float() if self.whole else x)


@pytest.mark.parametrize(("whole", "links"), [(False, 1), (True, 0)])
def test_a_cast_to_whole_numbers_lets_no_factor_pass(whole: bool, links: int) -> None:
    assert len(program_links(model_of(Rounded(whole)))[0]) == links


class Tapped(Hidden):
    """Gives the map between its convolutions as well."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        inner = torch.relu(self.giver(x))
        return inner, self.reader(inner)


def test_a_result_that_is_read_inside_too_stays() -> None:
    assert len(program_links(model_of(Hidden()))[0]) == 1
    assert program_links(model_of(Tapped(), results=("inner", "y")))[0] == []


def built(monkeypatch: pytest.MonkeyPatch, depthwise: bool, computed_bias: bool = False) -> list[Any]:
    """Links of two convolutions, built as they are: the second's bias may be computed."""
    weight = np.ones((4, 1 if depthwise else 4, 1, 1), np.float32)

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 4, 6))], opset_version=ct.target.iOS16)
    def program(x: Any) -> Any:
        y = mb.conv(x=x, weight=np.ones((4, 3, 1, 1), np.float32))
        one = np.ones(4, np.float32)
        bias = mb.add(x=one, y=one) if computed_bias else one
        return mb.conv(x=y, weight=weight, bias=bias, groups=4 if depthwise else 1)

    (function,) = program.functions.values()
    monkeypatch.setattr(equalise_module, "operations", lambda model: list(function.operations))
    return program_links(program)[0]


@pytest.mark.parametrize("depthwise", [False, True])
def test_a_reader_of_one_channel_is_said_to_be_one(depthwise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    (link,) = built(monkeypatch, depthwise)
    (giver,), (reader,) = link.givers, link.readers
    assert (giver.single, reader.single) == (False, depthwise)
    assert (giver.size, reader.size) == (12, 4 if depthwise else 16)
    assert reader.rows.shape[0] == giver.rows.shape[0] == 4
    assert reader.bias is None


def test_a_bias_that_is_computed_keeps_its_map(monkeypatch: pytest.MonkeyPatch) -> None:
    assert built(monkeypatch, False, computed_bias=True) == []
