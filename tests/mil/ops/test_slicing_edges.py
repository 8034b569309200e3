"""Indices at and beyond the ends of an axis, omitted bounds and masks, steps backwards."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.slicing import OPERATORS
from tests.mil.ops.defaults import check_defaults

X = torch.arange(5)
YES, NO = torch.tensor([True]), torch.tensor([False])


def vector(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("index", [0, 4, -1, -5])
def test_a_squeezed_axis_is_read_at_any_index_inside_it(index: int) -> None:
    assert OPERATORS["slice_by_index"].run(X, vector(index), vector(0), squeeze_mask=YES).item() == X[index]
    assert OPERATORS["slice_by_index"].run(X, vector(index), vector(0), begin_mask=YES, squeeze_mask=YES).item() == 0


@pytest.mark.parametrize("index", [5, -6])
def test_a_squeezed_axis_has_no_index_outside_it(index: int) -> None:
    with pytest.raises(MilError, match=f"index {index} lies outside axis 1 of length 5"):
        OPERATORS["slice_by_index"].run(X[None], vector(0, index), vector(1, 0), squeeze_mask=torch.tensor([False, True]))


def test_omitted_steps_and_masks_are_ones_and_closed() -> None:
    assert OPERATORS["slice_by_index"].run(X, vector(1), vector(4)).tolist() == [1, 2, 3]
    assert OPERATORS["slice_by_index"].run(X, vector(1), vector(4), vector(2)).tolist() == [1, 3]
    assert OPERATORS["slice_by_index"].run(X, vector(1), vector(4), begin_mask=YES).tolist() == [0, 1, 2, 3]
    assert OPERATORS["slice_by_index"].run(X, vector(1), vector(4), end_mask=YES).tolist() == [1, 2, 3, 4]
    assert OPERATORS["slice_by_index"].run(X, vector(1), vector(4), begin_mask=NO, end_mask=NO, squeeze_mask=NO).tolist() == [1, 2, 3]


def test_backwards_from_and_to_either_end() -> None:
    assert OPERATORS["slice_by_index"].run(X, vector(3), vector(0), vector(-1)).tolist() == [3, 2, 1]
    assert OPERATORS["slice_by_index"].run(X, vector(3), vector(0), vector(-2), end_mask=YES).tolist() == [3, 1]
    assert OPERATORS["slice_by_index"].run(X, vector(3), vector(0), vector(-1), begin_mask=YES).tolist() == [4, 3, 2, 1]
    assert OPERATORS["slice_by_index"].run(X, vector(0), vector(3), vector(-1)).tolist() == []
    two = torch.arange(6).reshape(2, 3)
    assert OPERATORS["slice_by_index"].run(two, vector(0, 2), vector(2, 0), vector(1, -1)).tolist() == [[2, 1], [5, 4]]


def test_a_size_of_minus_one_takes_the_rest_from_either_end() -> None:
    assert OPERATORS["slice_by_size"].run(X, vector(2), vector(-1)).tolist() == [2, 3, 4]
    assert OPERATORS["slice_by_size"].run(X, vector(0), vector(-1)).tolist() == [0, 1, 2, 3, 4]
    assert OPERATORS["slice_by_size"].run(X, vector(-2), vector(-1)).tolist() == [3, 4]
    assert OPERATORS["slice_by_size"].run(X, vector(-3), vector(2)).tolist() == [2, 3]
    assert OPERATORS["slice_by_size"].run(X, vector(1), vector(1)).tolist() == [1]


def test_an_update_replaces_elements_in_the_order_of_the_slice() -> None:
    update = vector(10, 11)
    assert OPERATORS["slice_update"].run(X, update, vector(1), vector(3)).tolist() == [0, 10, 11, 3, 4]
    assert OPERATORS["slice_update"].run(X, update, vector(4), vector(0), vector(-2)).tolist() == [0, 1, 11, 3, 10]
    assert OPERATORS["slice_update"].run(X, update, vector(2), vector(0), vector(-2), end_mask=YES).tolist() == [11, 1, 10, 3, 4]
    assert OPERATORS["slice_update"].run(X, torch.tensor(9), vector(-1), vector(0), squeeze_mask=YES).tolist() == [0, 1, 2, 3, 9]
    two = torch.zeros(2, 3, dtype=torch.int64)
    mask = torch.tensor([True, False])
    assert OPERATORS["slice_update"].run(two, update, vector(1, 1), vector(0, 3), squeeze_mask=mask).tolist() == [[0, 0, 0], [0, 10, 11]]
    assert X.tolist() == [0, 1, 2, 3, 4]


def test_windows_stand_at_every_place_unless_told() -> None:
    assert OPERATORS["sliding_windows"].run(X, torch.tensor(0), torch.tensor(2)).tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
    assert OPERATORS["sliding_windows"].run(X, torch.tensor(-1), torch.tensor(3), torch.tensor(2)).tolist() == [[0, 1, 2], [2, 3, 4]]
    assert OPERATORS["sliding_windows"].run(torch.zeros(4, 3, 2), torch.tensor(0), torch.tensor(3)).shape == (2, 3, 3, 2)


def test_a_reversal_of_no_axes_is_the_whole_and_of_omitted_ones_turns_all() -> None:
    x = torch.arange(4).reshape(2, 2)
    assert OPERATORS["reverse"].run(x, torch.zeros(0)).equal(x)
    assert OPERATORS["reverse"].run(x).tolist() == [[3, 2], [1, 0]]
    assert OPERATORS["reverse"].run(x, vector(0)).tolist() == [[2, 3], [0, 1]]


def test_a_sequence_is_reversed_along_axes_counted_from_either_end() -> None:
    x = torch.arange(6).reshape(2, 3)
    assert OPERATORS["reverse_sequence"].run(x, vector(2, 3), torch.tensor(1), torch.tensor(0)).tolist() == [[1, 0, 2], [5, 4, 3]]
    assert OPERATORS["reverse_sequence"].run(x, vector(2, 3), torch.tensor(-1), torch.tensor(-2)).tolist() == [[1, 0, 2], [5, 4, 3]]
    assert OPERATORS["reverse_sequence"].run(x, vector(0, 1, 2), torch.tensor(0), torch.tensor(1)).tolist() == [[0, 1, 5], [3, 4, 2]]
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_bands_are_whole_unless_told_and_zero_keeps_the_diagonal() -> None:
    x = torch.ones(3, 3, dtype=torch.int32)
    band = OPERATORS["band_part"].run
    assert band(x).equal(x)
    assert band(x, torch.tensor(0), torch.tensor(0)).equal(torch.eye(3, dtype=torch.int32))
    assert band(x, torch.tensor(0)).equal(x.triu())
    assert band(x, upper=torch.tensor(0)).equal(x.tril())
    assert band(x, torch.tensor(1), torch.tensor(0)).tolist() == [[1, 0, 0], [1, 1, 0], [0, 1, 1]]
    assert band(x, torch.tensor(0), torch.tensor(1)).tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert band(x, torch.tensor(0)).dtype == torch.int32


@pytest.mark.parametrize(("begin", "size", "expected"), [(-1, 1, [4]), (-1, -1, [4]), (-5, 2, [0, 1]), (0, 0, []), (3, -1, [3, 4])])
def test_so_many_elements_from_either_end(begin: int, size: int, expected: list[int]) -> None:
    assert OPERATORS["slice_by_size"].run(X, vector(begin), vector(size)).tolist() == expected
