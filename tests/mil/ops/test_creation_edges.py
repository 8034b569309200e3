"""Ranges that end where they start, values by default, and types."""

import pytest
import torch

from fcrn_mobile.mil.ops.creation import OPERATORS
from tests.mil.ops.defaults import check_defaults


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [(0, 3, 1, [0, 1, 2]), (2, 2, 1, []), (3, 0, 1, []), (0, 5, 2, [0, 2, 4]), (5, 0, -2, [5, 3, 1]), (0, 4, 3, [0, 3]), (1, 1, -1, [])],
)
@pytest.mark.parametrize("dtype", [torch.int32, torch.float32])
def test_a_range_stops_before_its_end(start: int, end: int, step: int, expected: list[int], dtype: torch.dtype) -> None:
    numbers = OPERATORS["range_1d"].run(*(torch.tensor(value, dtype=dtype) for value in (start, end, step)))
    assert numbers.dtype == dtype
    assert numbers.tolist() == expected


def test_a_tensor_is_filled_with_zeros_unless_told_and_may_be_written() -> None:
    zeros = OPERATORS["fill"].run(torch.tensor([2, 1]))
    assert zeros.tolist() == [[0.0], [0.0]]
    zeros[0, 0] = 1
    assert zeros.tolist() == [[1.0], [0.0]]
    assert OPERATORS["fill_like"].run(torch.rand(1, 2)).tolist() == [[0.0, 0.0]]
    assert OPERATORS["fill"].run(torch.tensor([1]), True).dtype == torch.bool
    assert OPERATORS["fill"].run(torch.tensor([2]), torch.tensor([3])).tolist() == [3, 3]


def test_lengths_are_int32() -> None:
    lengths = OPERATORS["shape"].run(torch.rand(2, 0, 3))
    assert lengths.dtype == torch.int32
    assert lengths.tolist() == [2, 0, 3]
