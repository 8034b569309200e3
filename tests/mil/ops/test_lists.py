"""Lists of tensors against what coremltools documents of them, and against Python's own lists."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.lists import list_gather, list_length, list_read, list_scatter, list_write, make_list
from tests.mil.build import check_op, mb

SCALAR = torch.tensor


def test_a_list_is_zero_where_nobody_wrote_and_grows_with_what_is_written_behind_it() -> None:
    """The example of coremltools' own test."""
    a, b = np.float32([1, 3]), np.float32([2, 4])

    def body(x0: Any, x1: Any) -> Any:
        ls = mb.make_list(init_length=2, elem_shape=(2,))
        before = mb.list_read(ls=ls, index=0)
        ls = mb.list_write(ls=mb.list_write(ls=ls, index=0, value=x0), index=4, value=x1)
        ls = mb.list_scatter(ls=ls, indices=[2, 1], value=np.float32([[-1, -2], [-4, -5]]))
        return (
            before,
            mb.list_read(ls=ls, index=0),
            mb.list_gather(ls=ls, indices=[4, 2, 3]),
            mb.expand_dims(x=mb.list_length(ls=ls), axes=[0]),
        )

    expected = [np.zeros(2, np.float32), a, np.float32([[2, 4], [-1, -2], [0, 0]]), np.int32([5])]
    for kind in ("make_list", "list_read", "list_write", "list_scatter", "list_gather", "list_length"):
        check_op(kind, body, [a, b], expected)


def test_a_list_that_was_read_stays_as_it_was_when_another_is_written_from_it() -> None:
    def body(x0: Any) -> Any:
        first = mb.list_write(ls=mb.make_list(init_length=1, elem_shape=(2,)), index=0, value=x0)
        second = mb.list_write(ls=first, index=0, value=mb.mul(x=x0, y=np.float32(2)))
        return mb.list_read(ls=first, index=0), mb.list_read(ls=second, index=0)

    x = np.float32([1, 2])
    check_op("list_write", body, [x], [x, 2 * x])


def test_scalars_integers_and_shapes_that_are_open() -> None:
    def body(x0: Any) -> Any:
        numbers = mb.make_list(init_length=2, elem_shape=(), dtype="int32")
        numbers = mb.list_scatter(ls=numbers, indices=[1], value=np.int32([7]))
        rows = mb.make_list(init_length=1, elem_shape=("rows", 2))
        rows = mb.list_write(ls=rows, index=1, value=x0)
        return mb.list_gather(ls=numbers, indices=[1, 0]), mb.list_gather(ls=rows, indices=[1, 0])

    x = np.float32([[1, 2], [3, 4], [5, 6]])
    check_op("make_list", body, [x], [np.int32([7, 0]), np.stack([x, np.zeros_like(x)])])


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(0, 4),
    dynamic=st.booleans(),
    writes=st.lists(st.tuples(st.integers(-1, 6), st.integers(-9, 9)), max_size=6),
    read=st.integers(-1, 7),
)
def test_any_writes_and_reads_are_those_of_a_python_list(length: int, dynamic: bool, writes: list[tuple[int, int]], read: int) -> None:
    theirs = [0] * length
    ours = make_list((), SCALAR(length), dynamic, "int32")
    for index, number in writes:
        element = torch.tensor(number, dtype=torch.int32)
        if index < 0 or (index >= len(theirs) and not dynamic):
            with pytest.raises(MilError, match=f"element {index} cannot be written: the list has {len(theirs)}"):
                list_write(ours, SCALAR(index), element)
            continue
        theirs += [0] * (index + 1 - len(theirs))
        theirs[index] = number
        ours = list_write(ours, SCALAR(index), element)
    assert int(list_length(ours)) == len(theirs)
    assert list_gather(ours, torch.arange(len(theirs))).tolist() == theirs
    if 0 <= read < len(theirs):
        assert int(list_read(ours, SCALAR(read))) == theirs[read]
    else:
        with pytest.raises(MilError, match=f"there is no element {read}: the list has {len(theirs)}"):
            list_read(ours, SCALAR(read))


def test_a_list_has_one_element_unless_told_and_open_lengths_are_one_until_something_is_written() -> None:
    ls = make_list(("rows", SCALAR(3)))
    assert int(list_length(ls)) == 1
    assert torch.equal(list_read(ls, SCALAR(0)), torch.zeros(1, 3))
    assert torch.equal(list_read(make_list((SCALAR(-1), SCALAR(2))), SCALAR(0)), torch.zeros(1, 2))
    with pytest.raises(MilError, match="a list of 1 elements -2 cannot be made"):
        make_list((SCALAR(-2),))


def test_what_does_not_fit_a_list_is_refused() -> None:
    ls = make_list((SCALAR(2),))
    for value in (torch.zeros(3), torch.zeros(()), torch.zeros(1, 2), torch.zeros(2, dtype=torch.int32)):
        with pytest.raises(MilError, match=r"an element is .*, the list holds torch\.float32 2"):
            list_write(ls, SCALAR(0), value)
    with pytest.raises(MilError, match="values 3×2 do not fit 2 indices"):
        list_scatter(ls, SCALAR([0, 1]), torch.zeros(3, 2))
    with pytest.raises(MilError, match=r"values .* do not fit 1 indices"):
        list_scatter(ls, SCALAR([0]), torch.tensor(1.0))
    with pytest.raises(MilError, match=r"the limit is \d+ elements"):
        list_write(ls, SCALAR(2**30), torch.zeros(2))
    with pytest.raises(MilError, match="a list of -1 elements 2 cannot be made"):
        make_list((SCALAR(2),), SCALAR(-1))
    with pytest.raises(MilError, match=r"the limit is \d+ elements"):
        make_list((SCALAR(2**20),), SCALAR(2**20))
    with pytest.raises(MilError, match="the data type 'fp64' is not supported"):
        make_list((), dtype="fp64")
    with pytest.raises(MilError, match="reads a list where there is none"):
        list_length(torch.zeros(2))
    with pytest.raises(MilError, match=r"the limit is \d+ elements"):
        list_gather(make_list((SCALAR(2**20),)), torch.zeros(2**11, dtype=torch.int64))
