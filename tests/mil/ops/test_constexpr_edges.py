"""Compressed constants that no builder writes: blocks that do not divide, tables without an axis, lengths of one."""

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.constexpr import OPERATORS


def test_only_single_precision_is_a_cast() -> None:
    assert OPERATORS["constexpr_cast"].run(torch.tensor([1.5]), "fp32").dtype == torch.float32
    with pytest.raises(MilError, match="constexpr_cast to 'fp16' is not defined: only fp32 is"):
        OPERATORS["constexpr_cast"].run(torch.tensor([1.5]), "fp16")


def test_scales_that_do_not_divide_an_axis_are_refused() -> None:
    scale = OPERATORS["constexpr_blockwise_shift_scale"].run
    with pytest.raises(MilError, match="2 scales do not divide an axis of length 3"):
        scale(torch.ones(1, 3), torch.ones(1, 2))
    with pytest.raises(MilError, match="4 scales do not divide an axis of length 6"):
        scale(torch.ones(6, 1), torch.ones(6, 1), torch.ones(4, 1))
    assert scale(torch.tensor([[1, 2, 3, 4]]), torch.tensor([[2.0, 10.0]]), torch.tensor([[1, 0]])).tolist() == [[0, 2, 30, 40]]
    assert scale(torch.tensor([[1], [2]]), torch.tensor([[3.0]])).tolist() == [[3], [6]]


def test_tables_that_do_not_divide_an_axis_or_name_none_are_refused() -> None:
    dense = OPERATORS["constexpr_lut_to_dense"].run
    with pytest.raises(MilError, match="2 look-up tables do not divide an axis of length 3"):
        dense(torch.zeros(1, 3, dtype=torch.uint8), torch.ones(1, 2, 2, 1))
    with pytest.raises(MilError, match="a look-up table of vectors names no vector_axis"):
        dense(torch.zeros(1, 2, dtype=torch.uint8), torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(("axis", "expected"), [(0, [[3, 1], [4, 2]]), (1, [[3, 4, 1, 2]]), (-1, [[3, 4, 1, 2]]), (-2, [[3, 1], [4, 2]])])
def test_vectors_lie_along_their_axis_counted_from_either_end(axis: int, expected: list[list[float]]) -> None:
    indices, lut = torch.tensor([[1, 0]], dtype=torch.uint8), torch.tensor([[1.0, 2], [3, 4]]).reshape(1, 1, 2, 2)
    assert OPERATORS["constexpr_lut_to_dense"].run(indices, lut, vector_axis=torch.tensor(axis)).tolist() == expected
    kept, values = OPERATORS["constexpr_lut_to_sparse"].run(torch.ones(1, 2), indices.reshape(-1), lut, torch.tensor(axis))
    assert kept.shape == torch.tensor(expected).shape
    assert values.tolist() == [value for row in expected for value in row]


def test_a_table_per_block_of_both_axes() -> None:
    indices = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0]], dtype=torch.uint8)
    lut = torch.arange(8.0).reshape(2, 2, 2, 1)  # rows × halves of columns × entries
    expected = [[0, 1, 2, 3], [5, 4, 7, 6]]
    assert OPERATORS["constexpr_lut_to_dense"].run(indices, lut).tolist() == expected
    # An axis of the table's own entries that is not needed is ignored.
    assert OPERATORS["constexpr_lut_to_dense"].run(indices, lut, vector_axis=torch.tensor(0)).tolist() == expected
    mask, values = OPERATORS["constexpr_lut_to_sparse"].run(torch.ones(2, 4), indices.reshape(-1), lut, torch.tensor(0))
    assert mask.shape == (2, 4)
    assert values.tolist() == [0, 1, 2, 3, 5, 4, 7, 6]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
def test_packed_indices_are_read_from_the_lowest_bit_and_padding_is_left_out(bits: int) -> None:
    numbers = np.arange(6) * 37 % 2**bits
    stream = np.concatenate([(numbers[:, None] >> np.arange(bits)) & 1]).ravel()
    packed = torch.from_numpy(np.packbits(stream.astype(np.uint8), bitorder="little"))
    table = torch.arange(2.0**bits) * 0.5
    actual = OPERATORS["constexpr_lut_to_dense"].run(packed, table, torch.tensor([2, 3]))
    assert actual.tolist() == (numbers * 0.5).reshape(2, 3).tolist()


def test_a_packed_mask_has_a_bit_per_element() -> None:
    mask = torch.tensor([0b10000101, 0b10], dtype=torch.uint8)
    dense = OPERATORS["constexpr_sparse_to_dense"].run(torch.tensor([1.0, 2, 3, 4]), mask, torch.tensor([2, 5]))
    assert dense.tolist() == [[1, 0, 2, 0, 0], [0, 0, 3, 0, 4]]
    assert OPERATORS["constexpr_sparse_to_dense"].run(torch.tensor([7], dtype=torch.int8), torch.tensor([[0, 1]])).dtype == torch.int8


def test_affine_scales_lie_along_their_axis() -> None:
    q, zero, scale = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8), torch.tensor([0, 4], dtype=torch.uint8), torch.tensor([1.0, 10.0])
    affine = OPERATORS["constexpr_affine_dequantize"].run
    assert affine(q, zero, scale, torch.tensor(0)).tolist() == [[1, 2], [-10, 0]]
    assert affine(q, zero, scale, torch.tensor(-1)).tolist() == [[1, -20], [3, 0]]
    assert affine(q, torch.tensor(2), torch.tensor(0.5), torch.tensor(0)).tolist() == [[-0.5, 0], [0.5, 1]]
