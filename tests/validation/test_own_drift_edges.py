"""Operators and axes that say nothing are passed over; those behind them count all the same."""

from dataclasses import replace

import pytest
import torch

from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.operation import Operation
from fcrn_mobile.validation.own_drift import Outlier, find_outlier, own_drifts
from tests.validation.programs import depth_program, grey, pictures, quantized, step


def damaged(weight: torch.Tensor, axis: int, channel: int) -> torch.Tensor:
    """The weight after a compression that takes 0.1 from all but one channel."""
    lost = torch.full_like(weight, 0.1)
    lost.select(axis, channel).zero_()
    return weight + lost


def test_one_output_channel_has_no_outlier_among_its_inputs_hidden() -> None:
    weight = torch.ones(1, 5, 1, 1)
    weight[:, 2] = 20
    assert find_outlier(weight, damaged(weight, 1, 2)) == Outlier(2, 5, "input", 20.0)
    assert find_outlier(weight, damaged(weight, 1, 2), transposed=True) == Outlier(2, 5, "output", 20.0)
    turned = weight.transpose(0, 1).contiguous()
    assert find_outlier(turned, damaged(turned, 0, 2)) == Outlier(2, 5, "output", 20.0)


def test_one_live_output_channel_has_none_either() -> None:
    weight = torch.zeros(4, 5, 1, 1)
    weight[1] = 1
    weight[1, 3] = 50
    assert find_outlier(weight, damaged(weight, 1, 3)) == Outlier(3, 5, "input", 50.0)


def test_of_two_channels_the_one_that_lost_less_is_the_median() -> None:
    two, three = torch.ones(2, 1), torch.ones(3, 1)
    two[0] = three[0] = 40
    assert find_outlier(two, damaged(two, 0, 0)) is None
    assert find_outlier(three, damaged(three, 0, 0)) == Outlier(0, 3, "output", 40.0)


@pytest.mark.parametrize(("kind", "side"), [("conv", "output"), ("conv_transpose", "input")])
def test_the_side_of_a_channel_is_that_of_its_convolution(kind: str, side: str) -> None:
    """The first axis of a transposed convolution's weight is its inputs."""
    weight = torch.ones(3, 3, 1, 1)
    weight[0] = 40
    shape = (1, 3, 4, 6)

    def program(kernel: torch.Tensor) -> DepthProgram:
        layer = step(kind, "y", "image", weight=kernel, pad_type="valid", shape=shape)
        return depth_program(layer, step("conv", "depth", "y", weight=torch.ones(1, 3, 1, 1), pad_type="valid"))

    found = own_drifts(program(weight), program(damaged(weight, 0, 0)), {0: 0, 1: 1}, pictures(10))
    assert found[0].outlier == Outlier(0, 3, side, 40.0)


def test_a_quantized_input_keeps_the_shape_that_is_declared() -> None:
    rows = step("reshape", "rows", "grey", shape=(4, 6))
    rows = replace(rows, arguments=rows.arguments | {"shape": torch.tensor([4, 6])})
    down, up = (replace(each, outputs=(replace(each.outputs[0], shape=(4, 6)),)) for each in quantized("q", 4.0, "rows"))

    def program(*between: Operation, read: str) -> DepthProgram:
        return depth_program(grey(), rows, *between, step("mul", "y", read, y=torch.tensor(2.0), shape=(4, 6)))

    found = own_drifts(program(read="rows"), program(down, up, read="q_up"), {0: 0, 1: 1, 4: 2}, pictures(10))
    assert found[4].drift == pytest.approx(1 / 15)  # 15 becomes 16


def test_an_operator_of_another_kind_does_not_end_the_walk() -> None:
    ours = depth_program(grey(), step("mul", "m", "grey", y=torch.tensor(2.0)), step("add", "y", "m", y=torch.tensor(1.0)))
    theirs = depth_program(grey(), step("add", "m", "grey", y=torch.tensor(2.0)), step("add", "y", "m", y=torch.tensor(1.5)))
    assert set(own_drifts(ours, theirs, {0: 0, 1: 1, 2: 2}, pictures(10))) == {2}


def test_a_weight_of_nothing_and_a_vector_have_no_outlier() -> None:
    for weight in (torch.zeros(4, 5, 1, 1), torch.tensor([1.0, 1, 1, 1, 90])):
        assert find_outlier(weight, weight + 0.1) is None
