"""Defaults, and types of results."""

import pytest
import torch

from fcrn_mobile.mil.ops.unary import OPERATORS
from tests.mil.ops.defaults import check_defaults


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("kind", ["abs", "exp2", "sign", "square"])
def test_integers_stay_integers(kind: str) -> None:
    x = torch.tensor([-2, 0, 3], dtype=torch.int32)
    out = OPERATORS[kind].run(x)
    assert out.dtype == torch.int32
    assert out.tolist() == {"abs": [2, 0, 3], "exp2": [0, 1, 8], "sign": [-1, 0, 1], "square": [4, 0, 9]}[kind]
    assert OPERATORS[kind].run(x.float()).dtype == torch.float32


def test_the_sign_of_no_number_is_none() -> None:
    signs = OPERATORS["sign"].run(torch.tensor([torch.nan, -0.5, 0.0, torch.inf]))
    assert signs[0].isnan()
    assert signs[1:].tolist() == [-1, 0, 1]


def test_bounds_are_kept_themselves() -> None:
    x = torch.tensor([-2.0, -1.0, 0.5, 2.0, 3.0])
    assert OPERATORS["clip"].run(x, torch.tensor(-1.0), torch.tensor(2.0)).tolist() == [-1, -1, 0.5, 2, 2]
    assert OPERATORS["threshold"].run(x, torch.tensor(0.5)).tolist() == [0.5, 0.5, 0.5, 2, 3]
