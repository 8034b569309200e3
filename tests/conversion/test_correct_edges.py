"""The walk along two programs of one convolution that are made by hand, against torch's convolution and the rounding itself."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from coremltools.proto import Model_pb2

from fcrn_mobile.conversion.correct import Walk
from fcrn_mobile.conversion.encoding import Encoding
from fcrn_mobile.conversion.rounding import Moments, choose
from fcrn_mobile.mil.arithmetic import FLOAT32
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.execution import Values
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.operation import Operation, Reference, TensorInfo
from fcrn_mobile.quantize.grids import Integers

GENERATOR = torch.Generator().manual_seed(0)
WEIGHT = torch.randn(4, 3, 1, 2, generator=GENERATOR)
GRID = Integers(WEIGHT.abs().amax((1, 2, 3), keepdim=True) / 3, bits=3, symmetric=True)
BIAS = torch.arange(4.0)
#: Almost gray, and in pairs of columns: what a convolution reads hangs together, so that rounding has something to gain.
RANDOM = np.random.default_rng(0)
IMAGES = [(RANDOM.integers(0, 220, (4, 3, 1)) + RANDOM.integers(0, 30, (4, 3, 3))).astype(np.uint8).repeat(2, 1) for _ in range(3)]
SHAPE = (1, 4, 4, 5)


def program(weight: torch.Tensor) -> DepthProgram:
    """A convolution that does not say how many groups it has, and half of its result."""
    described = Model_pb2.FeatureDescription(name="image")
    described.type.imageType.height, described.type.imageType.width = 4, 6
    described.type.imageType.colorSpace = 20
    arguments = {"x": Reference("image"), "weight": weight, "bias": BIAS}
    conv = Operation("conv", arguments, (TensorInfo("y", "FLOAT32", SHAPE),), ("image",))
    half = Operation("mul", {"x": Reference("y"), "y": torch.tensor(0.5)}, (TensorInfo("z", "FLOAT32", SHAPE),), ("y",))
    result = Model_pb2.FeatureDescription(name="z")
    result.type.multiArrayType.dataType = 65568
    return DepthProgram((Feature.from_description(described),), (Feature.from_description(result),), (conv, half), FLOAT32, {})


def walk(rounding: bool, bias: bool) -> Walk:
    encoding = Encoding(GRID, "data", None, np.dtype(np.int8))
    return Walk(program(WEIGHT), program(GRID.nearest(WEIGHT)), rounding, bias, {"y": encoding}, {"y": WEIGHT})


def pictures() -> torch.Tensor:
    return torch.from_numpy(np.stack(IMAGES)).permute(0, 3, 1, 2).float()


def expected_weight(centred: bool) -> torch.Tensor:
    moments = Moments.zeros(1, 6)
    columns = F.unfold(pictures(), (1, 2)).permute(1, 0, 2).flatten(1)[None]
    moments.add(columns, columns)
    return choose(WEIGHT, GRID, moments, centred)


@pytest.mark.parametrize(("rounding", "bias"), [(True, False), (False, True), (True, True)])
def test_weights_and_biases_are_those_of_the_images_and_nothing_unasked(rounding: bool, bias: bool) -> None:
    made = walk(rounding, bias)
    (found,) = made.run(IMAGES).values()
    weight = expected_weight(centred=bias) if rounding else GRID.nearest(WEIGHT)
    assert set(found) == {key for key, asked in (("weight.data", rounding), ("bias", bias)) if asked}
    if rounding:
        assert not torch.equal(weight, GRID.nearest(WEIGHT))
        np.testing.assert_array_equal(found["weight.data"], (weight / GRID.scale).round().numpy())
    if bias:
        shift = (F.conv2d(pictures(), weight) - F.conv2d(pictures(), WEIGHT)).double().mean((0, 2, 3))
        np.testing.assert_allclose(found["bias"], BIAS.double() - shift, rtol=1e-4)


def test_every_operator_is_counted_and_what_nobody_reads_any_more_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Values] = []
    sound = DepthProgram.start

    def start(self: DepthProgram, inputs: Any) -> Values:
        started.append(sound(self, inputs))
        return started[-1]

    monkeypatch.setattr(DepthProgram, "start", start)
    calls: list[tuple[int, int]] = []
    walk(True, True).run(IMAGES, lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert [set(values) for values in started] == [{"z"}] * 6
