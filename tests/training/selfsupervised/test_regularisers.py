import math

import numpy as np
import pytest
import torch

from fcrn_mobile.training.selfsupervised.regularisers import (
    edge_aware_smoothness,
    explainability_regulariser,
    left_right_consistency,
    normalised,
    second_order_smoothness,
)


def test_second_order_smoothness_equals_its_four_finite_differences() -> None:
    values = np.random.default_rng(0).random((4, 5))
    along = np.abs(values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2]).mean()
    down = np.abs(values[2:] - 2 * values[1:-1] + values[:-2]).mean()
    across = np.abs(values[1:, 1:] - values[1:, :-1] - values[:-1, 1:] + values[:-1, :-1]).mean()
    expected = along + down + 2 * across
    assert second_order_smoothness(torch.from_numpy(values)[None, None]).item() == pytest.approx(expected)


def test_a_slanted_plane_is_perfectly_smooth_in_second_order() -> None:
    plane = 0.3 * torch.arange(6.0, dtype=torch.float64) + 0.1 * torch.arange(5.0, dtype=torch.float64).unsqueeze(1)
    assert second_order_smoothness(plane[None, None]).item() < 1e-12
    assert edge_aware_smoothness(plane[None, None], torch.zeros(1, 3, 5, 6, dtype=torch.float64)).item() == pytest.approx(0.4)


def test_edge_aware_smoothness_equals_its_formula() -> None:
    rng = np.random.default_rng(1)
    d, image = rng.random((3, 4)), rng.random((3, 3, 4))
    expected = 0.0
    for axis in (0, 1):
        edges = np.abs(np.diff(image, axis=axis + 1)).mean(axis=0)
        expected += (np.abs(np.diff(d, axis=axis)) * np.exp(-edges)).mean()
    assert edge_aware_smoothness(torch.from_numpy(d)[None, None], torch.from_numpy(image)[None]).item() == pytest.approx(expected)


def test_a_jump_costs_less_where_the_picture_has_an_edge() -> None:
    jump = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)[None, None]
    assert edge_aware_smoothness(jump, jump.expand(1, 3, 2, 4)) < edge_aware_smoothness(jump, torch.zeros(1, 3, 2, 4))


def test_a_scene_of_any_size_is_equally_smooth() -> None:
    values = torch.rand(2, 1, 5, 5, dtype=torch.float64) + 0.1
    smooth = second_order_smoothness(normalised(values)).item()
    assert second_order_smoothness(normalised(values * 0.01)).item() == pytest.approx(smooth)


def test_the_explainability_regulariser_is_minus_the_logarithm_of_the_mask() -> None:
    masks = [0.9, 0.5, 0.1]
    logits = torch.tensor([math.log(e / (1 - e)) for e in masks])
    assert explainability_regulariser(logits).item() == pytest.approx(-sum(math.log(e) for e in masks) / 3, rel=1e-5)


def test_disparities_that_agree_are_consistent() -> None:
    same = torch.full((1, 1, 3, 8), 0.25)
    assert left_right_consistency(same, same).item() == 0


def test_left_right_consistency_equals_its_formula_where_disparities_are_whole_pixels() -> None:
    # Width 8: disparities of 1 and 2 pixels. d_l(u) meets d_r(u - 1) = d_r; d_r(u) meets d_l(u + 2) = d_l.
    left, right = torch.full((1, 1, 2, 8), 1 / 8), torch.full((1, 1, 2, 8), 2 / 8)
    assert left_right_consistency(left, right).item() == pytest.approx(2 / 8)
    left = (torch.arange(8.0) / 80).expand(1, 1, 2, 8)  # 0, 0.1, …, 0.7 pixels
    right = torch.zeros(1, 1, 2, 8)
    # d_r = 0 everywhere: |d_l - 0| from the left, |0 - d_l(u)| from the right.
    assert left_right_consistency(left, right).item() == pytest.approx(2 * 3.5 / 80)


def test_gradients_of_the_regularisers_are_the_numerical_ones() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = ((torch.rand(1, 1, 4, 5, dtype=torch.float64, generator=generator) * 0.2 + 0.05).requires_grad_() for _ in range(2))
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda x: second_order_smoothness(normalised(x)), (a,))
    assert torch.autograd.gradcheck(lambda x: edge_aware_smoothness(x, image), (a,))
    assert torch.autograd.gradcheck(left_right_consistency, (a, b))
    assert torch.autograd.gradcheck(explainability_regulariser, (a,))
