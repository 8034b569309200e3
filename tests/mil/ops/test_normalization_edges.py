"""Defaults, and each part of the formulas by itself."""

import pytest
import torch

from fcrn_mobile.mil.ops.normalization import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.tensor([[[1.0, 3.0], [2.0, 6.0]]])  # one image, two channels of two pixels


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_gamma_and_beta_stand_for_themselves() -> None:
    plain = torch.tensor([[[-1.0, 1.0], [-1.0, 1.0]]])  # (x - mean) / deviation
    gamma, beta = torch.tensor([2.0, 3.0]), torch.tensor([10.0, 20.0])
    zero = torch.tensor(0.0)
    wide = gamma.reshape(1, 2, 1), beta.reshape(1, 2, 1)
    statistics = {"mean": torch.tensor([2.0, 4.0]), "variance": torch.tensor([1.0, 4.0])}
    for kind, extra in (("instance_norm", {}), ("batch_norm", statistics)):
        normalize = OPERATORS[kind].run
        torch.testing.assert_close(normalize(X, **extra, epsilon=zero), plain)
        torch.testing.assert_close(normalize(X, **extra, gamma=gamma, epsilon=zero), plain * wide[0])
        torch.testing.assert_close(normalize(X, **extra, beta=beta, epsilon=zero), plain + wide[1])
        torch.testing.assert_close(normalize(X, **extra, gamma=gamma, beta=beta, epsilon=zero), plain * wide[0] + wide[1])


@pytest.mark.parametrize("axes", [[2], [-1], [1, 2], [2, 1], [0, 2], [1], [0, 1, 2], None])
def test_layers_are_normalized_over_axes_in_any_order(axes: list[int] | None) -> None:
    x = torch.arange(12.0).reshape(2, 3, 2).square()
    over = axes or [0, 1, 2]
    expected = (x - x.mean(over, keepdim=True)) / (x.var(over, keepdim=True, correction=0) + 1e-5).sqrt()
    actual = OPERATORS["layer_norm"].run(x, None if axes is None else torch.tensor(axes))
    torch.testing.assert_close(actual, expected)


def test_gamma_and_beta_of_a_layer_follow_its_axes_in_ascending_order() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2).square()
    gamma = torch.arange(1.0, 5).reshape(2, 2)
    plain = OPERATORS["layer_norm"].run(x, torch.tensor([0, 2]))
    for axes in ([0, 2], [2, 0], [-1, 0]):
        scaled = OPERATORS["layer_norm"].run(x, torch.tensor(axes), gamma, -gamma)
        torch.testing.assert_close(scaled, plain * gamma[:, None] - gamma[:, None])


def test_l2_norm_sums_over_three_axes_of_each_image() -> None:
    x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).expand(2, 2, 1, 1)
    torch.testing.assert_close(OPERATORS["l2_norm"].run(x, torch.tensor(0.0)), x / 5)
    torch.testing.assert_close(OPERATORS["l2_norm"].run(x, torch.tensor(11.0)), x / 6)
