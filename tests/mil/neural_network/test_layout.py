"""Layers of version 1 that move elements: what each refuses, what it does with sequences and batches, and the axes that it counts from."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layers.layout import LAYERS
from tests.mil.neural_network.build import close, random, run
from tests.mil.neural_network.test_kinds import check_counts

#: Sequence × batch × channels × height × width, each of another length.
X = random(2, 3, 4, 5, 6)
IMAGE = X[0, 0]


def _fields(body: Any, layer: str, **values: list[int]) -> Any:
    """Writes fields of the last layer as they are, whatever the builder thinks of them."""

    def build(built: Any) -> None:
        body(built)
        for name, numbers in values.items():
            getattr(getattr(built.nn_spec.layers[-1], layer), name)[:] = numbers

    return build


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 4, 5, 6), (7, 4, 1, 6), (2, 3, 4, 5, 1), (1, 1, 1, 5, 6)])
def test_all_of_an_image_becomes_channels(shape: tuple[int, ...], last: bool) -> None:
    x = random(*shape)
    rows = np.moveaxis(x, -3, -1) if last else x
    expected = rows.reshape(*shape[:-3], -1, 1, 1)
    close(run(lambda b: b.add_flatten("f", int(last), "x0", "y"), x, exact=True), expected)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("target", [(3, 5, 8), (1, 3, 5, 8), (5, 3, 2, 4), (2, 1, 6, 10)])
def test_a_reshape_of_an_image_or_a_sequence(target: tuple[int, ...], last: bool) -> None:
    sequence = target[0] if len(target) == 4 else 1
    channels, height, width = target[-3:]
    rows = np.moveaxis(IMAGE, -3, -1).reshape(sequence, height, width, channels).transpose(0, 3, 1, 2) if last else IMAGE
    expected = rows.reshape(sequence, channels, height, width)
    body = _fields(lambda b: b.add_reshape("r", "x0", "y", (3, 5, 8), int(last)), "reshape", targetShape=list(target))
    close(run(body, IMAGE), expected[0] if sequence == 1 else expected[:, None])
    close(run(body, IMAGE[None, None], exact=True), expected[:, None])
    close(run(body, IMAGE[None], exact=True), expected)


@pytest.mark.parametrize("target", [[20, 6], [2, 1, 3, 5, 4], [120]])
def test_a_reshape_to_other_than_3_or_4_lengths_is_refused(target: list[int]) -> None:
    with pytest.raises(MilError, match=rf"has {len(target)} lengths where it takes 3 or 4"):
        run(_fields(lambda b: b.add_reshape("r", "x0", "y", (3, 5, 8), 0), "reshape", targetShape=target), IMAGE)


@pytest.mark.parametrize("x", [IMAGE, X, X[0]])
@pytest.mark.parametrize("order", [[0, 3, 1, 2], [0, 1, 3, 2], [0, 2, 1, 3], []])
def test_images_are_permuted_behind_sequence_and_batch(x: NDArray[Any], order: list[int]) -> None:
    """An order that is left out is that of the axes as they are."""
    places = [0, *(order or [0, 1, 2, 3])[1:]]
    expected = np.moveaxis(x, [axis - 4 for axis in places[1:]], [-3, -2, -1])
    exact = x.ndim == 4
    close(run(_fields(lambda b: b.add_permute("p", (0, 1, 2, 3), "x0", "y"), "permute", axis=order), x, exact=exact), expected)


@pytest.mark.parametrize("order", [(3, 1, 2, 0), (1, 2, 3, 0), (2, 0, 1, 3)])
def test_a_sequence_of_single_images_is_permuted(order: tuple[int, ...]) -> None:
    x = X[:, :1]
    expected = x[:, 0].transpose(order)[:, None]
    close(run(lambda b: b.add_permute("p", order, "x0", "y"), x), expected)
    close(run(lambda b: b.add_permute("p", order, "x0", "y"), x, exact=True), expected)
    close(run(lambda b: b.add_permute("p", order, "x0", "y"), x[:, 0], exact=True), expected[:, 0])


@pytest.mark.parametrize("order", [[0, 1, 2], [1, 2, 3, 4], [0, 0, 2, 3], [0, 1, 2, 2]])
def test_an_order_that_names_an_axis_twice_or_none_is_refused(order: list[int]) -> None:
    for x in (X, X[0]):
        with pytest.raises(MilError, match="do not order the axes"):
            run(_fields(lambda b: b.add_permute("p", (0, 1, 2, 3), "x0", "y"), "permute", axis=order), x, exact=True)


def test_channels_and_sequences_are_joined() -> None:
    other = random(2, 3, 2, 5, 6, seed=1)
    join = lambda mode: lambda b: b.add_elementwise("c", ["x0", "x1"], "y", mode)  # noqa: E731
    close(run(join("CONCAT"), X, other, exact=True), np.concatenate([X, other], 2))
    close(run(join("CONCAT"), X[0, 0], other[0, 0], exact=True), np.concatenate([X[0, 0], other[0, 0]], 0))
    close(run(join("CONCAT"), X, other), np.concatenate([X, other], 2))
    close(run(join("SEQUENCE_CONCAT"), X, X[:1]), np.concatenate([X, X[:1]]))
    for x in (X[0], X[0, 0]):
        with pytest.raises(MilError, match="joins sequences"):
            run(join("SEQUENCE_CONCAT"), x, x, exact=True)


@pytest.mark.parametrize("x", [IMAGE, X, X[0]])
def test_channels_are_split_into_equal_parts(x: NDArray[Any]) -> None:
    for count in (1, 2, 4):
        names = ["y", "z", "v", "w"][:count]
        parts = run(lambda b, n=names: b.add_split("s", "x0", n), x, exact=True, outputs=names)
        for part, expected in zip([parts] if count == 1 else parts, np.split(x, count, -3), strict=True):
            close(part, expected)
    with pytest.raises(MilError, match="into 3 parts"):
        run(lambda b: b.add_split("s", "x0", ["y", "z", "v"]), x, exact=True)


@pytest.mark.parametrize(("shape", "count"), [((5, 6), 1), ((6,), 1), ((4, 5, 6), 0)])
def test_what_has_no_channels_is_not_split(shape: tuple[int, ...], count: int) -> None:
    def body(b: Any) -> None:
        b.add_split("s", "x0", ["y"])
        b.nn_spec.layers[-1].split.nOutputs = count

    with pytest.raises(MilError, match=f"into {count} parts"):
        run(body, random(*shape), exact=True)


def test_a_sequence_is_repeated() -> None:
    body = lambda b: b.add_sequence_repeat("r", 3, "x0", "y")  # noqa: E731
    close(run(body, X[:, :1]), np.tile(X[:, :1], (3, 1, 1, 1, 1)))
    close(run(body, X, exact=True), np.tile(X, (3, 1, 1, 1, 1)))
    for x in (X[0], X[0, 0]):
        with pytest.raises(MilError, match="repeats a sequence"):
            run(body, x, exact=True)


@pytest.mark.parametrize("axis", ["channel", "height", "width"])
@pytest.mark.parametrize("x", [X, X[0], X[0, 0]])
def test_slices_count_their_axis_from_the_last(axis: str, x: NDArray[Any]) -> None:
    place = {"channel": -3, "height": -2, "width": -1}[axis]
    close(run(lambda b: b.add_slice("s", "x0", "y", axis, 1, -1, 2), x, exact=True), x.take(range(1, x.shape[place] - 1, 2), place))


def test_tensors_of_fewer_axes_are_sliced_as_far_as_they_have_them() -> None:
    close(run(lambda b: b.add_slice("s", "x0", "y", "height", 1, 3), IMAGE[0], exact=True), IMAGE[0, 1:3])
    close(run(lambda b: b.add_slice("s", "x0", "y", "width", 1, 3), IMAGE[0, 0], exact=True), IMAGE[0, 0, 1:3])
    for x, axis in ((IMAGE[0], "channel"), (IMAGE[0, 0], "height"), (IMAGE[0, 0], "channel")):
        with pytest.raises(MilError, match="slices an axis"):
            run(lambda b, a=axis: b.add_slice("s", "x0", "y", a, 1, 3), x, exact=True)


AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("x", [X, X[0], X[0, 0]])
def test_means_and_sums_of_logarithms_over_axes_from_the_last(axis: str, x: NDArray[Any]) -> None:
    close(run(lambda b: b.add_reduce("r", "x0", "y", axis, "avg"), x, exact=True), x.mean(AXES[axis], keepdims=True), 1e-4)
    positive = np.abs(x)
    expected = np.log(positive + np.float32(0.5)).sum(AXES[axis], keepdims=True)
    close(run(lambda b: b.add_reduce("r", "x0", "y", axis, "logsum", 0.5), positive, exact=True), expected, 1e-4)


def test_the_small_number_of_a_sum_of_logarithms_is_a_millionth_where_it_is_left_out() -> None:
    def body(b: Any) -> None:
        b.add_reduce("r", "x0", "y", "W", "logsum", 0.5)
        b.nn_spec.layers[-1].reduce.ClearField("epsilon")

    x = np.float32([[[0.0, 1e-6, 1e-3]]])
    close(run(body, x), np.log(x + np.float32(1e-6)).sum(-1, keepdims=True), 1e-4)


@pytest.mark.parametrize("axis", ["CHW", "HW"])
def test_a_place_in_several_axes_is_refused(axis: str) -> None:
    with pytest.raises(MilError, match="several axes"):
        run(lambda b: b.add_reduce("r", "x0", "y", axis, "argmax"), IMAGE)


def test_layers_read_as_many_tensors_as_they_are_said_to() -> None:
    check_counts(LAYERS)
