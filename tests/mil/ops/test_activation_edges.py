"""Defaults, and activations where their two pieces meet."""

import pytest
import torch

from fcrn_mobile.mil.ops.activation import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize(
    ("kind", "constants", "expected"),
    [
        ("clamped_relu", {"alpha": 0.5, "beta": 1.0}, [-1, -0.25, 0, 0.5, 1]),
        ("leaky_relu", {"alpha": 0.5}, [-1, -0.25, 0, 0.5, 2]),
        ("linear_activation", {"alpha": 2.0, "beta": 1.0}, [-3, 0, 1, 2, 5]),
        ("sigmoid_hard", {"alpha": 1.0, "beta": 0.5}, [0, 0, 0.5, 1, 1]),
        ("thresholded_relu", {"alpha": 0.5}, [0, 0, 0, 0.5, 2]),
        ("relu6", {}, [0, 0, 0, 0.5, 2]),
    ],
)
def test_pieces_of_straight_lines(kind: str, constants: dict[str, float], expected: list[float]) -> None:
    assert OPERATORS[kind].run(X, **{name: torch.tensor(value) for name, value in constants.items()}).tolist() == expected


@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_constants_of_each_channel_reach_every_pixel_of_it(rank: int) -> None:
    x = torch.ones(2, 3, *[2] * (rank - 2))
    alpha, beta = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 1.0, -1.0])
    expected = alpha * torch.log1p(beta.exp())
    actual = OPERATORS["softplus_parametric"].run(x, alpha, beta).movedim(1, -1)
    torch.testing.assert_close(actual, expected.expand(actual.shape))
    slopes = OPERATORS["prelu"].run(-x, alpha).movedim(1, -1)
    torch.testing.assert_close(slopes, -alpha.expand(slopes.shape))
