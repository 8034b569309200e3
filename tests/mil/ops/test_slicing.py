import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, shapes, values, whole


@st.composite
def slices(draw, steps=(1, 2, 3, -1, -2)):
    """A shape, the operator's parameters and the Python slices they mean; no slice is empty."""
    shape = draw(shapes(1, 4, 6))
    begin, end, stride, begin_mask, end_mask, squeeze, parts = [], [], [], [], [], [], []
    for length in shape:
        if draw(st.booleans()) and draw(st.booleans()):
            index = draw(st.integers(-length, length - 1))
            for target, value in ((begin, index), (end, 0), (stride, 1), (begin_mask, False), (end_mask, False), (squeeze, True)):
                target.append(value)
            parts.append(index)
            continue
        step = draw(st.sampled_from(steps))
        low = draw(st.integers(0, length - 1))
        high = draw(st.integers(low, length - 1))
        open_begin, open_end = draw(st.booleans()), draw(st.booleans())
        first, last = (low, high + 1) if step > 0 else (high, low - 1)
        if last < 0 or open_end:
            last, open_end = 0, True
        if draw(st.booleans()):
            first -= length  # counted from the end
        lists = (begin, end, stride, begin_mask, end_mask, squeeze)
        for target, value in zip(lists, (first, last, step, open_begin, open_end, False), strict=True):
            target.append(value)
        parts.append(slice(None if open_begin else first, None if open_end else last, step))
    parameters = {"begin": begin, "end": end, "stride": stride, "begin_mask": begin_mask, "end_mask": end_mask, "squeeze_mask": squeeze}
    return shape, parameters, tuple(parts)


@settings(max_examples=120, deadline=None)
@given(case=slices(), seed=seeds)
def test_slice_by_index_is_numpys_slicing(case, seed) -> None:
    shape, parameters, parts = case
    x = values(seed, *shape)
    expected = np.asarray(x[parts])
    if expected.ndim == 0:
        return  # a program has no scalar outputs
    check_op("slice_by_index", lambda x0: mb.slice_by_index(x=x0, **parameters), [x], expected)


def test_slice_bounds_may_be_computed() -> None:
    x, begin, end = values(0, 5, 6), np.array([1, 0], np.int32), np.array([4, 6], np.int32)
    check_op("slice_by_index", lambda x0, x1, x2: mb.slice_by_index(x=x0, begin=x1, end=x2), [x, begin, end], x[1:4])


@settings(max_examples=40, deadline=None)
@given(case=slices(steps=(1, 2)), seed=seeds)
def test_slice_update_replaces_what_the_slice_shows(case, seed) -> None:
    shape, parameters, parts = case
    x = values(seed, *shape)
    if x[parts].ndim == 0:
        return
    update = values(seed + 1, *x[parts].shape)
    expected = x.copy()
    expected[parts] = update
    check_op("slice_update", lambda x0, x1: mb.slice_update(x=x0, update=x1, **parameters), [x, update], expected, target="iOS18")


def test_slice_by_size_takes_the_rest_where_it_says_minus_one() -> None:
    x = values(0, 5, 6, 7)
    check_op("slice_by_size", lambda x0: mb.slice_by_size(x=x0, begin=(1, 2, 3), size=(3, -1, 2)), [x], x[1:4, 2:, 3:5])
    begin = np.array([0, 4, 0], np.int32)
    check_op("slice_by_size", lambda x0, x1: mb.slice_by_size(x=x0, begin=x1, size=(-1, 2, 7)), [x, begin], x[:, 4:6])


@settings(max_examples=20, deadline=None)
@given(axis=st.integers(-3, 2), size=st.integers(1, 4), stride=st.integers(1, 3), seed=seeds)
def test_sliding_windows_stand_behind_their_axis(axis, size, stride, seed) -> None:
    x = values(seed, 5, 6, 7)
    view = np.lib.stride_tricks.sliding_window_view(x, size, axis)
    expected = np.moveaxis(view, -1, axis % 3 + 1)
    expected = expected[(slice(None),) * (axis % 3) + (slice(None, None, stride),)]
    check_op("sliding_windows", lambda x0: mb.sliding_windows(x=x0, axis=axis, size=size, stride=stride), [x], expected)


def test_reverse_flips_these_axes_or_all() -> None:
    x = values(0, 2, 3, 4)
    check_op("reverse", lambda x0: mb.reverse(x=x0, axes=(0, -1)), [x], x[::-1, :, ::-1])
    check_op("reverse", lambda x0: mb.reverse(x=x0), [x], x[::-1, ::-1, ::-1])


@settings(max_examples=20, deadline=None)
@given(seed=seeds, axes=st.sampled_from([(0, 1), (1, 0), (2, 0), (0, 2), (2, 1)]))
def test_reverse_sequence_flips_the_first_elements_of_each_entry(seed, axes) -> None:
    along, batch = axes
    x = values(seed, 4, 5, 6)
    lengths = whole(seed, 0, x.shape[along] + 1, x.shape[batch])
    expected = x.copy()
    for index, length in enumerate(lengths):
        entry = np.moveaxis(x, (batch, along), (0, 1))[index]
        np.moveaxis(expected, (batch, along), (0, 1))[index][:length] = entry[:length][::-1]

    def body(x0, x1):
        return mb.reverse_sequence(x=x0, lengths=x1, seq_axis=along, batch_axis=batch)

    check_op("reverse_sequence", body, [x, lengths], expected)


@settings(max_examples=30, deadline=None)
@given(seed=seeds, lower=st.integers(-1, 4), upper=st.integers(-1, 4), shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_band_part_keeps_the_diagonals_between(seed, lower, upper, shape) -> None:
    x = values(seed, 2, *shape)
    expected = torch.from_numpy(x)
    expected = torch.triu(expected, -lower) if lower >= 0 else expected
    expected = torch.tril(expected, upper) if upper >= 0 else expected
    check_op("band_part", lambda x0: mb.band_part(x=x0, lower=lower, upper=upper), [x], expected)
