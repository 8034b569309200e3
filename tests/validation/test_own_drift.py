"""Outlier channels at their thresholds, constants that changed, and the drift of one operator alone."""

import math

import numpy as np
import pytest
import torch

from fcrn_mobile.validation.own_drift import Outlier, changed_constants, find_outlier, own_drifts
from tests.validation.programs import depth_program, grey, pictures, quantized, step


def channels(peak: float, loud: float = 0.0, quiet: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Five output channels of ones, the fourth with a peak; what compression takes of the loud one and of the others."""
    weight = torch.ones(5, 3, 1, 1)
    weight[3] = peak
    lost = torch.full_like(weight, quiet)
    lost[3] = peak * loud
    return weight, weight + lost


@pytest.mark.parametrize(("peak", "expected"), [(16.0, True), (15.99, False), (100.0, True), (-16.0, True)])
def test_an_outlier_peaks_sixteen_times_higher(peak: float, expected: bool) -> None:
    found = find_outlier(*channels(peak))
    assert (found == Outlier(3, 5, "output", pytest.approx(abs(peak)))) == expected
    assert (found is not None) == expected


@pytest.mark.parametrize(("loud", "expected"), [(0.0, True), (0.0249, True), (0.0251, False), (0.1, False)])
def test_the_others_lose_sixteen_times_more_of_their_energy(loud: float, expected: bool) -> None:
    """They lose 0.1² = 0.01 of it; a sixteenth is 0.025²."""
    assert (find_outlier(*channels(20.0, loud)) is not None) == expected


def test_dead_channels_do_not_count() -> None:
    weight, compressed = channels(20.0)
    weight, compressed = (torch.cat([each, torch.zeros(7, 3, 1, 1)]) for each in (weight, compressed))
    found = find_outlier(weight, compressed)
    assert found is not None
    assert (found.channel, found.channels, found.ratio) == (3, 12, 20.0)
    alone = torch.zeros(4, 1, 1, 1)
    alone[2] = 100
    assert find_outlier(alone, alone + 0.1) is None
    assert find_outlier(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)) is None
    row = torch.tensor([1.0, 1.0, 1.0, 100.0])
    assert find_outlier(row, row + 0.1) is None  # no channels
    assert find_outlier(row[:, None], row[:, None] + torch.tensor([[0.1]] * 3 + [[0.0]])) == Outlier(3, 4, "output", 100.0)


def test_the_larger_ratio_of_both_axes_counts() -> None:
    weight = torch.ones(5, 7, 1, 1)
    weight[3] *= 20
    weight[:, 6] *= 30
    compressed = weight + torch.where(weight > 1, 0.0, 0.1)
    found = find_outlier(weight, compressed)
    assert found is not None
    assert (found.axis, found.channel, found.channels) == ("input", 6, 7)
    turned = find_outlier(weight, compressed, transposed=True)
    assert turned is not None
    assert (turned.axis, turned.channel) == ("output", 6)


def test_changed_constants_are_floats_of_equal_shape_and_other_values() -> None:
    ours = step("conv", "y", "image", weight=torch.ones(2, 2), bias=torch.ones(2), strides=torch.tensor([1, 1]), pad_type="valid")
    theirs = step(
        "conv",
        "y",
        "image",
        weight=torch.ones(2, 2) * 2,
        bias=torch.ones(2),
        strides=torch.tensor([2, 2]),
        pad_type="same",
        more=torch.ones(2),
    )
    assert list(changed_constants(ours, theirs)) == ["weight"]
    assert changed_constants(ours, step("conv", "y", "image", weight=torch.ones(2, 3))) == {}
    assert changed_constants(ours, ours) == {}


def test_each_operator_alone() -> None:
    ours = depth_program(grey(), step("mul", "m", "grey", y=torch.tensor(2.0)), step("add", "y", "m", y=torch.tensor(1.0)))
    theirs = depth_program(grey(0.505), step("mul", "m", "grey", y=torch.tensor(2.2)), step("add", "y", "m", y=torch.tensor(1.0)))
    calls: list[tuple[int, int]] = []
    found = own_drifts(ours, theirs, {0: 0, 1: 1, 2: 2}, pictures(10, 20), lambda done, total: calls.append((done, total)))
    assert calls == [(1, 2), (2, 2)]
    assert set(found) == {0, 1}
    assert found[0].drift == pytest.approx((0.3 / 31 + 0.6 / 61) / 2, rel=1e-4)
    assert found[1].drift == pytest.approx((3 / 31 + 6 / 61) / 2, rel=1e-4)
    assert found[0].weight_snr_db == pytest.approx(40, abs=1e-3)
    assert found[1].weight_snr_db == pytest.approx(20, abs=1e-3)
    assert found[0].activations is found[1].activations is None


def test_a_quantized_input_is_measured_apart_from_the_weights() -> None:
    ours = depth_program(grey(), step("mul", "y", "grey", y=torch.tensor(2.0)))
    down, up = quantized("q", 4.0, "grey")
    both = depth_program(grey(), down, up, step("mul", "y", "q_up", y=torch.tensor(2.2)))
    found = own_drifts(ours, both, {0: 0, 3: 1}, pictures(10))
    assert set(found) == {3}
    assert found[3].activations == pytest.approx(1 / 15)  # 15 becomes 16
    assert found[3].drift == pytest.approx((16 * 2.2 - 30) / 30, rel=1e-5)
    only = depth_program(grey(), down, up, step("mul", "y", "q_up", y=torch.tensor(2.0)))
    found = own_drifts(ours, only, {0: 0, 3: 1}, pictures(10))
    assert found[3].activations == found[3].drift == pytest.approx(1 / 15)
    assert found[3].weight_snr_db == math.inf
    assert found[3].outlier is None


def test_another_kind_has_no_own_drift() -> None:
    ours, theirs = depth_program(grey()), depth_program(step("linear", "grey", "image", weight=torch.full((1, 3, 1, 1), 0.6)))
    assert own_drifts(ours, theirs, {0: 0}, pictures(10)) == {}
    assert np.isfinite(own_drifts(ours, depth_program(grey(0.6)), {0: 0}, pictures(10))[0].drift)
