"""Types of mixed products, omitted arguments and masks of few axes."""

import torch

from fcrn_mobile.mil.ops.linear import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.tensor([[1.0, 2.0]])


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_a_product_of_mixed_types_is_of_the_left_ones() -> None:
    weight = torch.tensor([[0.75, 0.5]])
    whole = X.int()
    out = OPERATORS["linear"].run(whole, weight, torch.tensor([0.5]))
    assert (out.dtype, out.tolist()) == (torch.int32, [[2]])  # 2.25
    out = OPERATORS["linear"].run(whole, weight)
    assert (out.dtype, out.tolist()) == (torch.int32, [[1]])  # 1.75
    out = OPERATORS["linear"].run(X, weight.double(), torch.tensor([1]))
    assert (out.dtype, out.tolist()) == (torch.float32, [[2.75]])
    out = OPERATORS["linear"].run(X, weight, torch.tensor([1]))
    assert (out.dtype, out.tolist()) == (torch.float32, [[2.75]])
    # Float64 holds what float32 does not.
    out = OPERATORS["linear"].run(torch.tensor([[2**24 + 1]], dtype=torch.int32), torch.tensor([[1.0]]))
    assert out.tolist() == [[2**24 + 1]]


def test_matrices_are_turned_only_if_told_and_vectors_never() -> None:
    y = torch.tensor([[1.0, 0.0], [5.0, 1.0]])
    matmul = OPERATORS["matmul"].run
    assert matmul(X, y).tolist() == [[11.0, 2.0]]
    assert matmul(X, y, transpose_y=True).tolist() == [[1.0, 7.0]]
    assert matmul(y, y, transpose_x=True).tolist() == [[26.0, 5.0], [5.0, 1.0]]
    assert matmul(X[0], y, transpose_x=True).tolist() == [11.0, 2.0]
    assert matmul(y, X[0], transpose_y=True).tolist() == [1.0, 7.0]


def test_a_mask_of_one_axis_hides_sources_from_all() -> None:
    query, key = torch.rand(1, 2, 4), torch.rand(1, 3, 4)
    value = torch.arange(3.0).reshape(1, 3, 1)
    only = OPERATORS["scaled_dot_product_attention"].run(query, key, value, torch.tensor([False, True, False]))
    torch.testing.assert_close(only, torch.ones(1, 2, 1))
    only = OPERATORS["scaled_dot_product_attention"].run(query, key, value, torch.tensor([-torch.inf, -torch.inf, 0.0]))
    torch.testing.assert_close(only, torch.full((1, 2, 1), 2.0))
    rows = torch.tensor([[False, False, False], [True, False, False]])
    for mask in (rows, torch.zeros(2, 3).masked_fill(~rows, -torch.inf)):
        hidden = OPERATORS["scaled_dot_product_attention"].run(query, key, value, mask)
        assert hidden[0, 0].isnan().all()
        assert hidden[0, 1].tolist() == [0.0]
