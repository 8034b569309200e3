"""Types of results, omitted arguments and the smallest sizes of reductions."""

import math

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.reduction import OPERATORS
from tests.mil.ops.defaults import check_defaults

WHOLE = torch.tensor([[3, 4], [-5, 12]], dtype=torch.int32)


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
def test_results_keep_the_type_and_positions_are_int32(kind: str, dtype: torch.dtype) -> None:
    expected = torch.int32 if "arg" in kind else dtype
    assert OPERATORS[kind].run(WHOLE.to(dtype)).dtype == expected


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("reduce_l1_norm", [7, 17]),
        ("reduce_l2_norm", [5, 13]),
        ("reduce_log_sum", [1, 1]),
        ("reduce_log_sum_exp", [4, 12]),
        ("reduce_max", [4, 12]),
        ("reduce_mean", [3, 3]),
        ("reduce_min", [3, -5]),
        ("reduce_prod", [12, -60]),
        ("reduce_sum", [7, 7]),
        ("reduce_sum_square", [25, 169]),
    ],
)
def test_rows_of_integers(kind: str, row: list[int]) -> None:
    for axis in (1, -1):
        assert OPERATORS[kind].run(WHOLE, torch.tensor([axis])).tolist() == row
        assert OPERATORS[kind].run(WHOLE, torch.tensor([axis]), True).tolist() == [[value] for value in row]
    assert OPERATORS[kind].run(WHOLE, torch.tensor([1, 0]), True).shape == (1, 1)
    assert OPERATORS[kind].run(WHOLE.float(), torch.tensor([0, -1]), True).shape == (1, 1)


def test_products_over_several_axes_in_any_order() -> None:
    x = torch.arange(1, 25).reshape(2, 3, 4)
    for axes in ([0, 2], [2, 0], [-1, 0], [-3, -1]):
        expected = [math.prod(x[:, row].flatten().tolist()) for row in range(3)]
        assert OPERATORS["reduce_prod"].run(x, torch.tensor(axes)).tolist() == expected


def test_a_mean_of_integers_is_cut_towards_zero() -> None:
    x = torch.tensor([[-7, 0], [7, 0], [-1, -1], [3, 0]], dtype=torch.int32)
    assert OPERATORS["reduce_mean"].run(x, torch.tensor([1])).tolist() == [-3, 3, -1, 1]
    assert OPERATORS["reduce_mean"].run(x).item() == 0


@pytest.mark.parametrize("kind", ["reduce_argmax", "reduce_argmin"])
def test_positions_of_any_spelling_and_of_nothing(kind: str) -> None:
    x = torch.tensor([[1.0, 1.0, 0.0, 0.0]])
    first = 0 if kind == "reduce_argmax" else 2
    for name in ("int32", "INT32", "uint16", "UINT16"):
        assert OPERATORS[kind].run(x, output_dtype=name).tolist() == [first]
    assert OPERATORS[kind].run(x, torch.tensor(0), True).tolist() == [[0, 0, 0, 0]]
    with pytest.raises(MilError, match="position of an extreme of nothing is not defined: a tensor of shape 2×0"):
        OPERATORS[kind].run(torch.zeros(2, 0))
    assert OPERATORS[kind].run(torch.zeros(0, 2)).shape == (0,)


@pytest.mark.parametrize(("kind", "name"), [("reduce_max", "maximum"), ("reduce_min", "minimum")])
def test_the_refusal_names_the_reduction_and_its_axes(kind: str, name: str) -> None:
    with pytest.raises(MilError, match=rf"the {name} of nothing is not defined: a tensor of shape 0×3 is reduced along axes \[0, 1\]"):
        OPERATORS[kind].run(torch.zeros(0, 3))
    assert OPERATORS[kind].run(torch.zeros(0, 3), torch.tensor([1])).shape == (0,)


@pytest.mark.parametrize(
    ("exclusive", "reverse", "expected"),
    [(False, False, [1, 3, 6]), (True, False, [0, 1, 3]), (False, True, [6, 5, 3]), (True, True, [5, 3, 0])],
)
def test_running_sums_of_both_ends(exclusive: bool, reverse: bool, expected: list[int]) -> None:
    line = torch.tensor([1, 2, 3], dtype=torch.int32)
    for axis, shape in ((0, (3,)), (0, (3, 1)), (1, (1, 3)), (-1, (1, 1, 3)), (1, (1, 3, 1)), (-3, (3, 1, 1))):
        out = OPERATORS["cumsum"].run(line.reshape(shape), torch.tensor(axis), exclusive, reverse)
        assert out.shape == shape
        assert out.flatten().tolist() == expected
    assert OPERATORS["cumsum"].run(line[:1], exclusive=True).tolist() == [0]


def test_a_mean_of_all_integers_is_cut_towards_zero() -> None:
    assert OPERATORS["reduce_mean"].run(torch.tensor([3, 5, 8], dtype=torch.int32)).item() == 5
    assert OPERATORS["reduce_mean"].run(torch.tensor([-3, -5, -8], dtype=torch.int32)).item() == -5
