"""Layers that move elements: every axis, masks, lengths and amounts that are stored, known or read, and inputs of open lengths."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layers.nd_layout import LAYERS
from tests.mil.neural_network.build import builder, close, load, number, random, run
from tests.mil.neural_network.test_kinds import check_counts

X = random(2, 3, 4)
OPEN = {"x0": (0, 1, 2)}


def _kinds(body: Any, *shapes: tuple[int, ...]) -> list[str]:
    """The operators of a network over inputs of fixed shapes."""
    built = builder({f"x{index}": shape for index, shape in enumerate(shapes)}, exact=True)
    body(built)
    return [operation.kind for operation in load(built.spec).operations]


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("free", [{}, {"x0": (0, 1, 2), "x1": (0, 1, 2)}])
def test_tensors_are_joined_side_by_side_or_in_turns(axis: int, free: dict[str, tuple[int, ...]]) -> None:
    other = X + 9
    close(run(lambda b: b.add_concat_nd("n", ["x0", "x1"], "y", axis), X, other, exact=True, free=free), np.concatenate([X, other], axis))
    turns = np.stack([X, other], axis % 3 + 1).reshape([length * (1 + (each == axis % 3)) for each, length in enumerate(X.shape)])
    close(run(lambda b: b.add_concat_nd("n", ["x0", "x1"], "y", axis, True), X, other, exact=True), turns)
    close(run(lambda b: b.add_stack("n", ["x0", "x1"], "y", axis), X, other, exact=True), np.stack([X, other], axis))


@pytest.mark.parametrize(("axis", "sizes"), [(2, (2, 2)), (-1, (2, 2)), (-1, (1, 3)), (1, (2, 1)), (-2, (1, 2))])
def test_parts_are_equal_or_of_given_lengths(axis: int, sizes: tuple[int, int]) -> None:
    settings = {"num_splits": 2} if sizes[0] == sizes[1] else {"num_splits": 5, "split_sizes": list(sizes)}
    parts = run(lambda b: b.add_split_nd("n", "x0", ["y", "z"], axis, **settings), X, exact=True, outputs=("y", "z"))
    for part, expected in zip(parts, np.split(X, [sizes[0]], axis), strict=True):
        close(part, expected)


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_axes_in_any_order(order: tuple[int, ...]) -> None:
    close(run(lambda b: b.add_transpose("n", order, "x0", "y"), X, exact=True, free=OPEN), X.transpose(order))


def test_a_shape_of_ones_is_known_and_one_of_open_lengths_is_read() -> None:
    body = lambda b: b.add_get_shape("n", "x0", "y")  # noqa: E731
    assert "shape" not in _kinds(body, (1, 3))
    close(run(body, X, exact=True, free={"x0": (1,)}), [2.0, 3, 4])


@pytest.mark.parametrize(
    ("shape", "axes", "left"),
    [
        ((1, 3, 1), [0], (3, 1)),
        ((1, 3, 1), [2], (1, 3)),
        ((1, 3, 1), [-1, 0], (3,)),
        ((2, 1, 4), [1], (2, 4)),
        ((2, 1, 4), [-2], (2, 4)),
        ((1, 1, 1), [0, 1, 2], (1,)),
        ((1,), [0], (1,)),
        ((1, 3, 1), None, (3,)),
        ((2, 3), None, (2, 3)),
        ((1, 1), None, (1,)),
        ((2, 1), [], (2, 1)),
    ],
)
def test_axes_of_one_go_but_the_last_that_there_is(shape: tuple[int, ...], axes: list[int] | None, left: tuple[int, ...]) -> None:
    x = random(*shape)
    close(run(lambda b: b.add_squeeze("n", "x0", "y", axes, axes is None), x, exact=True), x.reshape(left))


@pytest.mark.parametrize("axes", [[0], [1, 3], [-1], [-1, -3]])
def test_new_axes_stand_where_the_result_has_them(axes: list[int]) -> None:
    close(run(lambda b: b.add_expand_dims("n", "x0", "y", axes), X, exact=True), np.expand_dims(X, axes))


def test_a_tensor_takes_the_shape_of_another_of_open_lengths() -> None:
    body = lambda b: b.add_reshape_like("n", ["x0", "x1"], "y")  # noqa: E731
    for free in ((0,), (0, 1), (0, 1, 2)):
        close(run(body, X, random(4, 1, 6), exact=True, free={"x1": free}), X.reshape(4, 1, 6))
    assert _kinds(body, (2, 3, 4), (4, 1, 6)) == ["reshape"]


@pytest.mark.parametrize("known", [True, False])
def test_a_shape_is_spelled_by_a_tensor(known: bool) -> None:
    def body(b: Any) -> None:
        number(b, "c", 4, 1, -1)
        b.add_reshape_dynamic("n", ["x0", "c" if known else "x1"], "y")

    close(run(body, X, np.float32([4, 1, 6]), exact=True), X.reshape(4, 1, 6))
    if known:
        assert _kinds(body, (2, 3, 4)) == ["reshape"]


#: begin, end, stride, begin mask, end mask, squeeze mask of each axis, and the slice of NumPy's that they are.
SLICES: list[tuple[list[tuple[Any, ...]], tuple[Any, ...]]] = [
    ([(0, 2, 1, 0, 0, 0), (1, 3, 1, 0, 0, 0), (0, 4, 2, 0, 0, 0)], np.s_[0:2, 1:3, 0:4:2]),
    ([(1, 1, 1, 1, 0, 0), (2, 1, -1, 0, 1, 0), (-3, -1, 1, 0, 0, 0)], np.s_[:1, 2::-1, -3:-1]),
    ([(1, 9, 1, 0, 0, 1), (0, 0, 1, 1, 1, 0), (3, 0, -2, 0, 0, 0)], np.s_[1, :, 3:0:-2]),
    ([(0, 1, 1, 0, 1, 0), (-1, 0, 1, 0, 0, 1), (2, 0, 1, 0, 0, 1)], np.s_[0:, -1, 2]),
]
_NAMES = ("begin_ids", "end_ids", "strides", "begin_masks", "end_masks", "squeeze_masks")


@pytest.mark.parametrize(("axes", "expected"), SLICES)
@pytest.mark.parametrize("free", [{}, OPEN])
def test_a_stored_slice_is_numpys(axes: list[tuple[Any, ...]], expected: Any, free: dict[str, tuple[int, ...]]) -> None:
    columns = dict(zip(_NAMES, map(list, zip(*axes, strict=True)), strict=True))
    close(run(lambda b: b.add_slice_static("n", "x0", "y", **columns), X, exact=True, free=free), X[expected])


@pytest.mark.parametrize(("axes", "expected"), SLICES)
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("known", [True, False])
def test_a_slice_is_spelled_by_so_many_tensors(axes: list[tuple[Any, ...]], expected: Any, count: int, known: bool) -> None:
    """The first ``count`` bounds are tensors, what the layer stores of them says otherwise; a squeeze mask is always known."""
    columns = dict(zip(_NAMES, zip(*axes, strict=True), strict=True))
    names = [f"c{at}" if known or at == 5 else f"x{1 + at}" for at in range(count)]
    inputs = [np.float32(values) for name, values in zip(names, columns.values(), strict=False) if name.startswith("x")]
    stored = {name: list(values) if at >= count else [1, 1, 1] for at, (name, values) in enumerate(columns.items()) if at}

    def body(b: Any) -> None:
        for name, values in zip(names, columns.values(), strict=False):
            if name.startswith("c"):
                number(b, name, *values)
        b.add_slice_dynamic("n", ["x0", *names], "y", **stored)

    close(run(body, X, *inputs, exact=True), X[expected])


@pytest.mark.parametrize("known", [True, False])
def test_bounds_that_a_slice_leaves_out_are_steps_of_one_and_no_masks(known: bool) -> None:
    def body(b: Any) -> None:
        number(b, "c", 1, 0, 2)
        b.add_slice_dynamic("n", ["x0", "c" if known else "x1"], "y", [2, 3, 4])
        for field in ("strides", "beginMasks", "endMasks", "squeezeMasks"):
            b.nn_spec.layers[-1].sliceDynamic.ClearField(field)

    close(run(body, X, np.float32([1, 0, 2]), exact=True), X[1:2, 0:3, 2:4])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("field", ["endIds", "strides", "beginMasks", "endMasks", "squeezeMasks"])
def test_bounds_of_other_axes_are_refused(field: str, known: bool) -> None:
    def body(b: Any) -> None:
        number(b, "c", 1, 0, 2)
        b.add_slice_dynamic("odd", ["x0", "c" if known else "x1"], "y", [2, 3, 4], *[[1, 1, 1]] * 3, [0, 0, 0])
        getattr(b.nn_spec.layers[-1].sliceDynamic, field)[:] = [1, 1]

    with pytest.raises(MilError, match=rf"layer 'odd' .*{field} has 2 numbers for the 3 axes"):
        run(body, X, np.float32([1, 0, 2]), exact=True)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("free", [{}, OPEN])
def test_so_many_elements_from_where_a_tensor_says(axis: int, known: bool, free: dict[str, tuple[int, ...]]) -> None:
    def body(b: Any) -> None:
        number(b, "c", 1)
        b.add_slice_by_size("n", ["x0", "c" if known else "x1"], "y", axis, 2)

    x = random(3, 4, 5)
    close(run(body, x, np.float32([1]), exact=True, free=free), x.take([1, 2], axis))


@pytest.mark.parametrize("reps", [(3,), (2, 1), (2, 3, 1), (1, 2, 2)])
@pytest.mark.parametrize("source", ["stored", "known", "read"])
def test_a_tensor_is_repeated_along_its_last_axes(reps: tuple[int, ...], source: str) -> None:
    def body(b: Any) -> None:
        number(b, "c", *reps)
        b.add_tile("n", {"stored": "x0", "known": ["x0", "c"], "read": ["x0", "x1"]}[source], "y", reps if source == "stored" else [7])

    close(run(body, X, np.float32(reps), exact=True), np.tile(X, reps))


@pytest.mark.parametrize("source", ["stored", "known", "read"])
def test_more_repetitions_than_axes_are_refused(source: str) -> None:
    def body(b: Any) -> None:
        number(b, "c", 1, 1, 2, 2)
        b.add_tile("odd", {"stored": "x0", "known": ["x0", "c"], "read": ["x0", "x1"]}[source], "y", [1, 1, 2, 2])

    with pytest.raises(MilError, match=r"layer 'odd' .*4 numbers for the 3 axes of 2×3×4"):
        run(body, X, np.float32([1, 1, 2, 2]), exact=True)


@pytest.mark.parametrize("source", ["stored", "known", "read"])
@pytest.mark.parametrize("free", [{}, OPEN])
@pytest.mark.parametrize(
    ("amounts", "upto", "expected"),
    [
        ([0, 1, 4, 0, 2, 3], False, ((0, 1), (4, 0), (2, 3))),
        ([0, 5, 4, 0, 0, 0], True, ((0, 3), (1, 0), (0, 0))),
        ([1, 0, 0, 3, 0, 9], True, ((0, 0), (0, 0), (0, 5))),
    ],
)
def test_a_border_is_so_wide_or_up_to_a_length(
    amounts: list[int], upto: bool, expected: Any, source: str, free: dict[str, tuple[int, ...]]
) -> None:
    def body(b: Any) -> None:
        number(b, "c", *amounts)
        names = {"stored": ["x0"], "known": ["x0", "c"], "read": ["x0", "x1"]}[source]
        b.add_constant_pad("n", names, "y", 0.5, upto, amounts if source == "stored" else [])
        b.nn_spec.layers[-1].constantPad.padAmounts[:] = amounts if source == "stored" else [9] * 6

    close(run(body, X, np.float32(amounts), exact=True, free=free), np.pad(X, expected, constant_values=0.5))


@pytest.mark.parametrize("source", ["stored", "known", "read"])
@pytest.mark.parametrize("count", [3, 4, 9])
def test_a_border_of_other_axes_is_refused(source: str, count: int) -> None:
    def body(b: Any) -> None:
        number(b, "c", *[1] * count)
        b.add_constant_pad("odd", {"stored": ["x0"], "known": ["x0", "c"], "read": ["x0", "x1"]}[source], "y", 0.5, False, [1] * count)

    with pytest.raises(MilError, match=rf"layer 'odd' .*{count} amounts for the 3 axes of 2×3×4"):
        run(body, X, np.float32([1] * count), exact=True)


def test_a_border_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(MilError, match="layer 'odd'"):
        run(lambda b: b.add_constant_pad("odd", ["x0"], "y", 0.0, False, [0, 0, 0, 2**40, 0, 0]), X, exact=True)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -2, -3])
def test_axes_before_one_and_from_it_on(axis: int) -> None:
    rows = int(np.prod(X.shape[:axis]))
    close(run(lambda b: b.add_flatten_to_2d("n", "x0", "y", axis), X, exact=True), X.reshape(rows, 24 // rows))


@pytest.mark.parametrize("step", [1, 2, 3])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_windows_along_an_axis(axis: int, step: int) -> None:
    x: NDArray[Any] = random(5, 6, 7)
    at = axis % 3
    windows = np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, 3, at), -1, at + 1)
    expected = windows[(slice(None),) * at + (slice(None, None, step),)]
    close(run(lambda b: b.add_sliding_windows("n", "x0", "y", axis, 3, step), x, exact=True), expected)


@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 1, 2)])
def test_backwards_along_some_axes_or_none(axes: tuple[int, ...]) -> None:
    flags = [axis in axes for axis in range(3)]
    close(run(lambda b: b.add_reverse("n", "x0", "y", flags), X, exact=True), np.flip(X, axes))


@pytest.mark.parametrize(("batch", "sequence"), [(0, 1), (2, 1), (-1, 0)])
def test_the_beginning_of_each_entry_backwards(batch: int, sequence: int) -> None:
    x = random(3, 4, 3)
    lengths = [1, 3, 2]
    expected = np.moveaxis(x.copy(), (batch, sequence), (0, 1))
    for entry, length in zip(expected, lengths, strict=True):
        entry[:length] = entry[:length][::-1].copy()
    actual = run(lambda b: b.add_reverse_sequence("n", ["x0", "x1"], "y", batch, sequence), x, np.float32(lengths), exact=True)
    close(actual, np.moveaxis(expected, (0, 1), (batch, sequence)))


def test_a_copy_and_a_stored_tensor_of_one_axis() -> None:
    close(run(lambda b: b.add_copy("n", "x0", "y"), X, exact=True, free=OPEN), X)
    close(run(lambda b: b.add_load_constant_nd("n", "y", X[0, 0], (4,)), X, exact=True), X[0, 0])


def test_layers_read_as_many_tensors_as_they_are_said_to() -> None:
    check_counts(LAYERS)
