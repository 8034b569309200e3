import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil.ops.shape import OPERATORS
from tests.mil.build import check_op, mb, run_op
from tests.mil.ops.arrays import seeds, shapes, values, whole


@settings(max_examples=30, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), count=st.integers(1, 3), seed=seeds, integer=st.booleans())
def test_concat_and_stack_join_along_any_axis(data, shape, count, seed, integer) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    make = (lambda i: whole(seed + i, -9, 9, *shape)) if integer else (lambda i: values(seed + i, *shape))
    parts = [make(i) for i in range(count)]
    check_op("concat", lambda *x: mb.concat(values=x, axis=axis), parts, np.concatenate(parts, axis))
    check_op("stack", lambda *x: mb.stack(values=x, axis=axis), parts, np.stack(parts, axis))


def test_concat_makes_a_vector_of_scalars() -> None:
    x = np.array([4, 7], np.int32)

    def body(x0):
        scalars = [mb.squeeze(x=mb.slice_by_size(x=x0, begin=[i], size=[1])) for i in (1, 0)]
        return mb.concat(values=scalars, axis=0)

    check_op("concat", body, [x], np.array([7, 4], np.int32))


def test_interleaved_concat_puts_like_slices_side_by_side() -> None:
    x, y = values(0, 1, 2, 3), values(1, 1, 2, 3)
    expected = np.stack((x[0, 0], y[0, 0], x[0, 1], y[0, 1]))[None]
    check_op("concat", lambda x0, x1: mb.concat(values=(x0, x1), axis=1, interleave=True), [x, y], expected)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), sizes=st.lists(st.integers(1, 3), min_size=2, max_size=4), seed=seeds)
def test_split_cuts_equal_parts_or_given_lengths(data, sizes, seed) -> None:
    axis = data.draw(st.sampled_from([0, 1, -1]))
    shape = [2, 2, 2]
    shape[axis] = sum(sizes)
    x = values(seed, *shape)
    expected = np.split(x, np.cumsum(sizes)[:-1], axis)
    check_op("split", lambda x0: mb.split(x=x0, split_sizes=sizes, axis=axis), [x], expected)
    shape[axis] = 4 * len(sizes)
    x = values(seed, *shape)
    equal = np.split(x, len(sizes), axis)
    check_op("split", lambda x0: mb.split(x=x0, num_splits=len(sizes), axis=axis), [x], equal)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=shapes(1, 4), seed=seeds)
def test_transpose_tile_and_flatten(data, shape, seed) -> None:
    x = values(seed, *shape)
    perm = data.draw(st.permutations(range(len(shape))))
    reps = data.draw(st.tuples(*[st.integers(1, 3)] * len(shape)))
    axis = data.draw(st.integers(-len(shape), len(shape)).filter(lambda a: a != 0 or len(shape) > 0))
    check_op("transpose", lambda x0: mb.transpose(x=x0, perm=perm), [x], x.transpose(perm))
    check_op("tile", lambda x0: mb.tile(x=x0, reps=reps), [x], np.tile(x, reps))
    flat = x.reshape(int(np.prod(shape[:axis])), int(np.prod(shape[axis:])))
    check_op("flatten2d", lambda x0: mb.flatten2d(x=x0, axis=axis), [x], flat)


def test_reshape_infers_one_length_and_keeps_those_named_zero() -> None:
    x = values(0, 2, 3, 4)
    check_op("reshape", lambda x0: mb.reshape(x=x0, shape=(0, -1, 2)), [x], x.reshape(2, 6, 2))
    check_op("reshape", lambda x0: mb.reshape(x=x0, shape=(-1,)), [x], x.reshape(-1))
    shape = np.array([4, 6], np.int32)
    check_op("reshape", lambda x0, x1: mb.reshape(x=x0, shape=x1), [x, shape], x.reshape(4, 6))


@pytest.mark.parametrize(
    ("shape", "named", "expected"),
    [
        ((2, 50), (1, 0, -1, 0), (1, 1, 2, 50)),  # documented
        ((4, 5, 6), (0, 0), None),
        ((4, 5, 6), (-1, 0), (20, 6)),
        ((4, 5, 6), (0, 4, 0, 0), (1, 4, 5, 6)),
        ((6,), (0, 0, 0, 0), (1, 1, 1, 6)),
        ((4, 5, 6), (0, 0, 0), (4, 5, 6)),
    ],
)
def test_from_ios_17_on_zeros_of_reshape_count_from_the_right(shape, named, expected) -> None:
    x = values(0, *shape)
    if expected is None:
        with pytest.raises(RuntimeError, match="invalid for input of size 120"):
            OPERATORS["reshape"].run(torch.from_numpy(x), torch.tensor(named), opset=7)
        return
    for target in ("iOS17", "iOS18"):
        check_op("reshape", lambda x0: mb.reshape(x=x0, shape=named), [x], x.reshape(expected), target=target)
    run_time = np.array(named, np.int32)
    _, (result,) = run_op(lambda x0, x1: mb.reshape(x=x0, shape=x1), x, run_time)
    np.testing.assert_array_equal(result, x.reshape(expected))


def test_before_ios_17_zeros_of_reshape_count_from_the_left() -> None:
    x = torch.arange(24).reshape(2, 3, 4)
    assert OPERATORS["reshape"].run(x, torch.tensor([0, 0, -1])).shape == (2, 3, 4)
    assert OPERATORS["reshape"].run(x, torch.tensor([0, -1]), opset=6).shape == (2, 12)
    assert OPERATORS["reshape"].run(x, torch.tensor([0, -1]), opset=7).shape == (3, 8)


def test_reshape_like_takes_slices_of_other_shapes() -> None:
    x, a, b = values(0, 6, 4), values(1, 2, 3, 9), values(2, 7, 4)

    def body(x0, x1, x2):
        return mb.reshape_like(x=x0, ref_tensors=(x1, x2), begins=(0, 1), ends=(2, 0), end_masks=(False, True))

    check_op("reshape_like", body, [x, a, b], x.reshape(2, 3, 4), target="iOS16")
    check_op("reshape_like", body, [x, a, b], x.reshape(2, 3, 4), target="iOS17")


def test_reshape_like_takes_one_reference_alone() -> None:
    x, a = values(0, 6, 4), values(1, 2, 3, 4)

    def body(x0, x1):
        return mb.reshape_like(x=x0, ref_tensors=(x1,), begins=(0,), ends=(0,), end_masks=(True,))

    check_op("reshape_like", body, [x, a], x.reshape(2, 3, 4), target="iOS16")
    check_op("reshape_like", body, [x, a], x.reshape(2, 3, 4), target="iOS17")


def test_axes_of_length_one_come_and_go() -> None:
    x = values(0, 2, 3)
    check_op("expand_dims", lambda x0: mb.expand_dims(x=x0, axes=(0, -1)), [x], x[None, ..., None])
    check_op("expand_dims", lambda x0: mb.expand_dims(x=x0, axes=(1, 2)), [x], x[:, None, None])
    x = values(0, 1, 3, 1, 4)
    check_op("squeeze", lambda x0: mb.squeeze(x=x0, axes=(0, -2)), [x], x[0, :, 0])
    check_op("squeeze", lambda x0: mb.squeeze(x=x0), [x], x[0, :, 0])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(3, 6), min_size=1, max_size=5), seed=seeds)
@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_pad_equals_numpys_on_all_axes_that_core_ml_pads(mode, data, shape, seed) -> None:
    padded = data.draw(st.integers(1, len(shape)))
    pads = data.draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=padded, max_size=padded))
    if mode != "constant":
        pads = [(0, 0)] * (padded - 2) + pads[-2:]
    x = values(seed, *shape)
    width = [(0, 0)] * (len(shape) - padded) + pads
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    expected = np.pad(x, width, names[mode], **({"constant_values": 1.5} if mode == "constant" else {}))
    flat = [side for pair in pads for side in pair]
    check_op("pad", lambda x0: mb.pad(x=x0, pad=flat, mode=mode, constant_val=1.5), [x], expected)


def test_crop_cuts_lines_off_both_ends() -> None:
    x = values(0, 1, 2, 7, 8)
    check_op("crop", lambda x0: mb.crop(x=x0, crop_height=[1, 2], crop_width=[0, 3]), [x], x[:, :, 1:5, :5])


def test_identity_passes_values_on() -> None:
    x = values(0, 2, 3)
    check_op("identity", lambda x0: mb.identity(x=x0), [x], x)
