"""Codes and values of every grid, by hand."""

from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.quantize.grids import Integers, Quantized, Table


def steps(scale: Any, zero: float | None = None) -> Integers:
    return Integers(torch.tensor(scale), None if zero is None else torch.tensor(zero), bits=4, symmetric=True)


@pytest.mark.parametrize(
    ("bits", "signed", "symmetric", "low", "high"),
    [(8, True, False, -128, 127), (8, True, True, -127, 127), (4, True, True, -7, 7), (4, False, False, 0, 15), (8, False, False, 0, 255)],
)
def test_integers_end_where_their_bits_do(bits: int, signed: bool, symmetric: bool, low: int, high: int) -> None:
    grid = Integers(torch.tensor(1.0), bits=bits, signed=signed, symmetric=symmetric)
    assert (grid.low, grid.high, grid.kind) == (low, high, f"int{bits}")
    assert grid.codes(torch.tensor([-1e6, 1e6])).tolist() == [low, high]


def test_the_scale_of_zeros_gives_zeros() -> None:
    grid = steps([0.0, 0.5])
    assert grid.codes(torch.tensor([3.0, 3.0])).tolist() == [0, 6]
    assert grid.nearest(torch.tensor([3.0, 3.0])).tolist() == [0, 3]


def test_halves_go_to_the_even_integer_before_the_zero_point_is_added() -> None:
    assert steps([1.0] * 4).codes(torch.tensor([0.5, 1.5, -0.5, -1.5])).tolist() == [0, 2, 0, -2]
    assert steps([2.0] * 3, zero=1.0).codes(torch.tensor([2.0, -4.0, 20.0])).tolist() == [2, -1, 7]
    assert steps(1.0, zero=1.0).codes(torch.tensor([0.5, 1.5])).tolist() == [1, 3]


def test_values_are_those_of_each_block() -> None:
    scale, zero = torch.tensor([[0.5, 2.0], [1.0, 4.0]]), torch.tensor([[1], [0]])
    codes = torch.tensor([[1, 2, 3, 4], [5, 6, -7, -8]], dtype=torch.int8)
    expected = [[0.0, 0.5, 4.0, 6.0], [5.0, 6.0, -28.0, -32.0]]
    grid = Integers(scale, zero)
    assert Quantized(codes, grid).expanded().tolist() == expected
    assert grid.codes(torch.tensor(expected) + 0.2).tolist() == codes.tolist()


def test_unsigned_codes_do_not_wrap() -> None:
    grid = Integers(torch.tensor(0.5), torch.tensor(3, dtype=torch.uint8), signed=False)
    assert grid.values(torch.tensor([200, 1], dtype=torch.uint8)).tolist() == [98.5, -1.0]


@pytest.mark.parametrize("blocks", [(1, 1), (2, 1), (4, 3), (1, 3), (2, 3, 1, 2)])
def test_indices_are_those_of_the_closest_entry_of_the_tables_of_their_block(blocks: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    shape = (4, 6, 1, 2)[: len(blocks)]
    entries, values = random.normal(size=(*blocks, 4)).astype(np.float32), random.normal(size=shape).astype(np.float32)
    tables = entries.repeat(4 // blocks[0], 0).repeat(6 // blocks[1], 1)
    expected = np.abs(values[..., None] - tables).argmin(-1)
    grid = Table(torch.from_numpy(entries))
    assert grid.kind == "palette2"
    np.testing.assert_array_equal(grid.codes(torch.from_numpy(values)).numpy(), expected)
    np.testing.assert_array_equal(
        grid.nearest(torch.from_numpy(values)).numpy(), np.take_along_axis(tables, expected[..., None], -1)[..., 0]
    )


def test_a_matrix_of_groups_and_its_columns_are_the_same_grid() -> None:
    shape = torch.Size((4, 3, 1, 2))
    scale = torch.arange(1.0, 13).view(4, 3, 1, 1)
    every = scale.expand(shape).reshape(2, 2, 6)
    grid = Integers(scale, -scale, bits=4)
    matrix = grid.matrix(2, shape)
    assert torch.equal(matrix.scale, every) and matrix.zero is not None and torch.equal(matrix.zero, -every)
    column = matrix.column(4)
    assert torch.equal(column.scale, every[..., 4]) and column.zero is not None and torch.equal(column.zero, -every[..., 4])
    assert {(each.low, each.high) for each in (grid, matrix, column)} == {(-8, 7)}
    assert Integers(scale).matrix(2, shape).column(0).zero is None
    entries = torch.arange(8.0).view(4, 1, 1, 1, 2)
    assert torch.equal(Table(entries).matrix(2, shape).entries, entries.view(2, 2, 1, 2))
    assert torch.equal(Table(entries).matrix(2, shape).column(5).entries, entries.view(2, 2, 2))
    one = Table(entries[:1]).matrix(2, torch.Size((2, 3, 1, 1)))
    assert one.nearest(torch.tensor([[[0.2, 0.8]], [[0.4, 9.0]]])).tolist() == [[[0, 1]], [[0, 1]]]
