import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from tests.mil.build import check_op, mb, run_op
from tests.mil.ops.arrays import seeds, shapes, values, whole

NUMPY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "max": np.maximum, "min": np.minimum}


def meet(target: np.ndarray, place: tuple, update: np.ndarray, mode: str) -> None:
    """One update at a time, by the words of the documentation."""
    target[place] = update if mode == "update" else NUMPY[mode](target[place], update)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), picked=shapes(1, 2, 4), seed=seeds)
@pytest.mark.parametrize("target", ["iOS15", "iOS17"])
def test_gather_takes_slices_along_an_axis(target, data, shape, picked, seed) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x, indices = values(seed, *shape), whole(seed, 0, shape[axis], *picked)
    check_op("gather", lambda x0, x1: mb.gather(x=x0, indices=x1, axis=axis), [x, indices], np.take(x, indices, axis), target=target)


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_a_scalar_index_drops_its_axis(shape) -> None:
    x, index = values(0, *shape), np.array([3], np.int32)

    def body(x0, x1):
        taken = mb.gather(x=x0, indices=mb.squeeze(x=x1, axes=(0,)), axis=0)
        return mb.expand_dims(x=taken, axes=(0,))

    check_op("gather", body, [x, index], x[3:4])


def test_gather_counts_negative_indices_from_the_end_and_refuses_others() -> None:
    x, indices = values(0, 4, 3), np.array([-1, -4], np.int32)
    check_op("gather", lambda x0, x1: mb.gather(x=x0, indices=x1), [x, indices], x[[3, 0]], target="iOS16")
    with pytest.raises(MilError, match="index 4 lies outside an axis of length 4"):
        run_op(lambda x0, x1: mb.gather(x=x0, indices=x1), x, np.array([4], np.int32), target="iOS16")


@pytest.mark.parametrize("target", ["iOS17", "iOS18"])
def test_from_ios_17_on_negative_indices_lie_outside(target) -> None:
    """Undefined, so NaN here, or an error where the program validates its indices."""
    x, indices = values(0, 4, 3), np.array([2, -1, 4], np.int32)
    expected = np.stack([x[2], np.full(3, np.nan), np.full(3, np.nan)])
    check_op("gather", lambda x0, x1: mb.gather(x=x0, indices=x1), [x, indices], expected, target=target)

    def validated(x0, x1):
        return mb.gather(x=x0, indices=x1, validate_indices=True)

    with pytest.raises(MilError, match="index -1 lies outside an axis of length 4; from iOS 17 on"):
        run_op(validated, x, np.array([2, -1], np.int32), target=target)
    with pytest.raises(MilError, match=r"operator 'gather' .* index 4 lies outside an axis of length 4$"):
        run_op(validated, x, np.array([2, 4], np.int32), target=target)
    check_op("gather", validated, [x, np.array([2, 0], np.int32)], x[[2, 0]], target=target)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), seed=seeds)
def test_gather_shares_batch_axes(data, seed) -> None:
    batch_dims = data.draw(st.integers(1, 2))
    axis = data.draw(st.integers(batch_dims, 3))
    x = values(seed, 2, 3, 4, 5)
    indices = whole(seed, 0, x.shape[axis], *x.shape[:batch_dims], 2)
    expected = np.stack([np.take(x[place], indices[place], axis - batch_dims) for place in np.ndindex(*x.shape[:batch_dims])]).reshape(
        *x.shape[:axis], 2, *x.shape[axis + 1 :]
    )
    check_op("gather", lambda x0, x1: mb.gather(x=x0, indices=x1, axis=axis, batch_dims=batch_dims), [x, indices], expected)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), seed=seeds)
def test_gather_along_axis_equals_take_along_axis(data, shape, seed) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    picked = list(shape)
    picked[axis] = data.draw(st.integers(1, 4))
    x, indices = values(seed, *shape), whole(seed, 0, shape[axis], *picked)
    expected = np.take_along_axis(x, indices, axis)
    check_op("gather_along_axis", lambda x0, x1: mb.gather_along_axis(x=x0, indices=x1, axis=axis), [x, indices], expected)


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shape=shapes(2, 4), lead=shapes(1, 2, 3), seed=seeds)
def test_gather_nd_reads_one_place_per_row(data, shape, lead, seed) -> None:
    depth = data.draw(st.integers(1, len(shape)))
    x = values(seed, *shape)
    indices = np.stack([whole(seed + k, 0, shape[k], *lead) for k in range(depth)], -1)
    expected = x[tuple(np.moveaxis(indices, -1, 0))]
    check_op("gather_nd", lambda x0, x1: mb.gather_nd(x=x0, indices=x1), [x, indices], expected)


def test_gather_nd_shares_batch_axes() -> None:
    x, indices = values(0, 2, 4, 5), whole(1, 0, 4, 2, 3, 1)
    expected = np.stack([x[b][indices[b, :, 0]] for b in range(2)])
    check_op("gather_nd", lambda x0, x1: mb.gather_nd(x=x0, indices=x1, batch_dims=1), [x, indices], expected, target="iOS16")


@pytest.mark.parametrize("mode", ["update", *NUMPY])
@settings(max_examples=15, deadline=None)
@given(data=st.data(), shape=shapes(1, 3), seed=seeds)
def test_scatter_lets_slices_meet_updates(mode, data, shape, seed) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, 4))
    indices = whole(seed, 0, shape[axis], count)
    if mode == "update":
        indices = np.unique(indices)  # which of two updates of one place wins is not defined
    base, updates = values(seed, *shape), None
    moved = list(np.moveaxis(base, axis, 0).shape)
    moved[0] = len(indices)
    updates = np.moveaxis(values(seed + 1, *moved), 0, axis) + 4
    expected = base.copy()
    for i, index in enumerate(indices):
        meet(np.moveaxis(expected, axis, 0), (index,), np.moveaxis(updates, axis, 0)[i], mode)

    def body(x0, x1, x2):
        return mb.scatter(data=x0, indices=x1, updates=x2, axis=axis, mode=mode)

    check_op("scatter", body, [base, indices, np.ascontiguousarray(updates)], expected, 1e-4)


@pytest.mark.parametrize("mode", ["update", *NUMPY])
@settings(max_examples=15, deadline=None)
@given(axis=st.integers(-2, 1), count=st.integers(1, 4), seed=seeds)
def test_scatter_along_axis_lets_elements_meet_updates(mode, axis, count, seed) -> None:
    base = values(seed, 4, 4)
    picked = [4, 4]
    picked[axis] = count
    indices = np.argsort(np.random.default_rng(seed).random((4, 4)), axis).astype(np.int32)
    indices = np.take(indices, range(count), axis)  # no place twice along the axis
    updates = values(seed + 1, *picked) + 4
    expected = base.copy()
    for place in np.ndindex(*picked):
        there = list(place)
        there[axis] = indices[place]
        meet(expected, tuple(there), updates[place], mode)

    def body(x0, x1, x2):
        return mb.scatter_along_axis(data=x0, indices=x1, updates=x2, axis=axis, mode=mode)

    check_op("scatter_along_axis", body, [base, indices, updates], expected, 1e-4)


@pytest.mark.parametrize("mode", ["update", *NUMPY])
@settings(max_examples=15, deadline=None)
@given(depth=st.integers(1, 3), count=st.integers(1, 4), seed=seeds)
def test_scatter_nd_lets_places_meet_updates(mode, depth, count, seed) -> None:
    base = values(seed, 3, 4, 5)
    indices = np.stack([whole(seed + k, 0, base.shape[k], count) for k in range(depth)], -1)
    if mode == "update":
        indices = np.unique(indices, axis=0)
    updates = values(seed + 9, len(indices), *base.shape[depth:]) + 4
    expected = base.copy()
    for i, index in enumerate(indices):
        meet(expected, tuple(index), updates[i], mode)
    check_op(
        "scatter_nd", lambda x0, x1, x2: mb.scatter_nd(data=x0, indices=x1, updates=x2, mode=mode), [base, indices, updates], expected, 1e-4
    )


@settings(max_examples=20, deadline=None)
@given(axis=st.integers(-3, 2), seed=seeds)
def test_one_hot_marks_the_index_on_a_new_axis(axis, seed) -> None:
    indices = whole(seed, -1, 6, 2, 3)  # -1 and 5 lie outside: nothing is marked
    expected = np.moveaxis(np.where(indices[..., None] == np.arange(5), np.float32(2), np.float32(-1)), -1, axis)
    arguments = {"one_hot_vector_size": 5, "axis": axis, "on_value": np.float32(2), "off_value": np.float32(-1)}
    check_op("one_hot", lambda x0: mb.one_hot(indices=x0, **arguments), [indices], expected)
    default = (indices[..., None] == np.arange(5)).astype(np.int32)
    check_op("one_hot", lambda x0: mb.one_hot(indices=x0, one_hot_vector_size=5), [indices], default)


@settings(max_examples=10, deadline=None)
@given(shape=shapes(1, 4), seed=seeds)
def test_non_zero_lists_indices_row_by_row(shape, seed) -> None:
    x = values(seed, *shape) * whole(seed, 0, 2, *shape).astype(np.float32)
    check_op("non_zero", lambda x0: mb.non_zero(x=x0), [x], np.argwhere(x).astype(np.int32))
