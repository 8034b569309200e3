"""Modes that padding does not know, tensors of no or few axes, of integers, and images whose channels come last in memory."""

import pytest
import torch

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.shape import OPERATORS
from tests.mil.ops.defaults import check_defaults

LAST = torch.arange(24.0).reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


def test_an_unknown_pad_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(MilError, match="pad mode 'wrap' is not one of constant, reflect, replicate"):
        OPERATORS["pad"].run(torch.ones(3), torch.tensor([1, 1]), "wrap")


def test_padding_is_with_zeros_unless_told() -> None:
    assert OPERATORS["pad"].run(torch.ones(1), torch.tensor([1, 2])).tolist() == [0, 1, 0, 0]
    assert OPERATORS["pad"].run(torch.ones(1), torch.tensor([1, 2]), constant_val=7.0).tolist() == [7, 1, 7, 7]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("padded", [1, 2, 3, 4])
@pytest.mark.parametrize(("mode", "line"), [("reflect", [2, 1, 0, 1, 2, 1]), ("replicate", [0, 0, 0, 1, 2, 2])])
def test_edges_of_any_rank_type_and_number_of_axes(dtype: torch.dtype, rank: int, padded: int, mode: str, line: list[int]) -> None:
    if padded > rank:
        return
    x = torch.arange(3**rank).reshape([3] * rank).to(dtype)
    expected = x
    for axis in range(rank - padded, rank):
        expected = expected.index_select(axis, torch.tensor(line))
    actual = OPERATORS["pad"].run(x, torch.tensor([2, 1] * padded), mode)
    assert actual.dtype == dtype
    assert actual.equal(expected)
    # Axes in front that are named without padding change nothing.
    if padded < rank:
        assert OPERATORS["pad"].run(x, torch.tensor([0, 0] + [2, 1] * padded), mode).equal(expected)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
def test_edges_without_padding_are_the_whole(mode: str) -> None:
    x = torch.rand(2, 3)
    assert OPERATORS["pad"].run(x, torch.tensor([0, 0, 0, 0]), mode).equal(x)
    assert OPERATORS["pad"].run(x, torch.zeros(0), mode).equal(x)


def test_a_crop_of_nothing_is_the_whole() -> None:
    x = torch.arange(12.0).reshape(1, 3, 4)
    assert OPERATORS["crop"].run(x, torch.tensor([0, 0]), torch.tensor([0, 0])).equal(x)
    assert OPERATORS["crop"].run(x, torch.tensor([1, 1]), torch.tensor([2, 1])).tolist() == [[[6.0]]]


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_interleaved_tensors_alternate_along_any_axis(axis: int) -> None:
    x, y = torch.arange(6).reshape(2, 3), torch.arange(6).reshape(2, 3) + 10
    expected = torch.cat([part.narrow(axis, i, 1) for i in range(x.shape[axis]) for part in (x, y)], axis)
    assert OPERATORS["concat"].run((x, y), torch.tensor(axis), True).equal(expected)
    assert OPERATORS["concat"].run((x, y), torch.tensor(axis)).equal(torch.cat((x, y), axis))


def test_a_new_axis_counts_in_the_result() -> None:
    x = torch.rand(2, 3)
    assert OPERATORS["expand_dims"].run(x, torch.tensor([-1])).shape == (2, 3, 1)
    assert OPERATORS["expand_dims"].run(x, torch.tensor([-1, 0])).shape == (1, 2, 3, 1)
    assert OPERATORS["expand_dims"].run(x, torch.tensor([3, 1])).shape == (2, 1, 3, 1)


@pytest.mark.parametrize(("axis", "shape"), [(0, (1, 24)), (1, (2, 12)), (2, (6, 4)), (3, (24, 1)), (-1, (6, 4)), (-3, (1, 24))])
def test_two_axes_around_any_place(axis: int, shape: tuple[int, int]) -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    assert OPERATORS["flatten2d"].run(x, torch.tensor(axis)).equal(x.reshape(shape))
    assert OPERATORS["flatten2d"].run(x).shape == (2, 12)


def test_a_reshape_keeps_lengths_named_zero_where_they_stand() -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    assert OPERATORS["reshape"].run(x, torch.tensor([0, 0, 2, 2])).shape == (2, 3, 2, 2)
    assert OPERATORS["reshape"].run(x, torch.tensor([6, -1])).shape == (6, 4)


def test_lengths_of_references_stop_at_their_ends_unless_open() -> None:
    x, reference = torch.arange(6), torch.rand(2, 3, 1)
    begin, end = torch.tensor(0), torch.tensor(2)
    assert OPERATORS["reshape_like"].run(x, (reference,), (begin,), (end,), (False,)).shape == (2, 3)
    assert OPERATORS["reshape_like"].run(x, (reference,), (begin,), (end,), (True,)).shape == (2, 3, 1)
    one = (torch.tensor(1),)
    assert OPERATORS["reshape_like"].run(x, (reference, reference), (begin, *one), (*one, *one), (False, True)).shape == (2, 3, 1)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, 4, -1, -3, -5])
@pytest.mark.parametrize("count", [1, 3])
def test_images_with_channels_last_are_stacked_along_any_axis(axis: int, count: int) -> None:
    parts = tuple(LAST + 100 * i for i in range(count))
    assert OPERATORS["stack"].run(parts, torch.tensor(axis)).equal(torch.stack(parts, axis))
    mixed = (*parts, LAST.contiguous() - 1)
    assert OPERATORS["stack"].run(mixed, torch.tensor(axis)).equal(torch.stack(mixed, axis))


def test_stacked_channels_lie_innermost_only_if_all_images_have_them_last() -> None:
    def moves(parts: tuple[torch.Tensor, ...], axis: int) -> bool:
        stacked = OPERATORS["stack"].run(parts, torch.tensor(axis))
        merged = stacked.flatten(1, 2)
        return merged.data_ptr() != stacked.data_ptr()

    assert not moves((LAST, LAST + 1), 2)
    assert OPERATORS["stack"].run((LAST, LAST.contiguous()), torch.tensor(2)).is_contiguous()
    assert OPERATORS["stack"].run((LAST, LAST), torch.tensor(1)).stride() == torch.stack((LAST, LAST), 1).stride()


def test_parts_of_a_split_are_equal_or_as_long_as_told() -> None:
    x = torch.arange(6)
    assert [part.tolist() for part in OPERATORS["split"].run(x, torch.tensor(0), torch.tensor(3))] == [[0, 1], [2, 3], [4, 5]]
    parts = OPERATORS["split"].run(x, torch.tensor(-1), None, torch.tensor([1, 5]))
    assert [part.tolist() for part in parts] == [[0], [1, 2, 3, 4, 5]]
    # With both, the lengths decide.
    assert len(OPERATORS["split"].run(x, torch.tensor(0), torch.tensor(3), torch.tensor([1, 5]))) == 2


@pytest.mark.parametrize(("axis", "expected"), [(0, (1, 24)), (1, (2, 12)), (2, (6, 4)), (-1, (6, 4)), (-2, (2, 12)), (-3, (1, 24))])
def test_axes_before_and_behind_one_are_merged(axis: int, expected: tuple[int, int]) -> None:
    assert OPERATORS["flatten2d"].run(torch.zeros(2, 3, 4), torch.tensor(axis)).shape == expected
