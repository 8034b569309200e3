"""Layers of version 4 that read shapes, bounds or limits while the network runs, and what stands in for fields that a file leaves out."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, number, random, run

X = random(2, 3, 4)
BEGIN = np.array([1, 0, 2], np.float32)


def _without(layer: str, *fields: str) -> Any:
    """Leaves fields of the last layer out, whatever the builder wrote there."""

    def leave(built: Any) -> None:
        for field in fields:
            getattr(built.nn_spec.layers[-1], layer).ClearField(field)

    return leave


def test_a_constant_that_no_memory_holds_is_refused() -> None:
    built = builder({"x0": (2, 3)}, exact=True)
    built.add_fill_static("huge", "y", [2**20, 2**20], 1.5)
    with pytest.raises(MilError, match=r"layer 'huge' .*its result has the shape 1048576×1048576"):
        load(built.spec)


@pytest.mark.parametrize("shape", [(-3, -4, 1), (3, 5, 1), (-12,)])
def test_weights_of_a_shape_that_they_do_not_fill_are_refused(shape: tuple[int, ...]) -> None:
    built = builder({"x0": (2, 3, 4)}, exact=True)
    built.add_layer_normalization("odd", "x0", "y", (3, 4, 1), random(3, 4, 1), random(3, 4, 1))
    built.nn_spec.layers[-1].layerNormalization.normalizedShape[:] = shape
    with pytest.raises(MilError, match=r"layer 'odd' .*weights are 12 values where it takes"):
        load(built.spec)


def test_a_random_tensor_has_the_shape_that_is_spelled_while_the_network_runs() -> None:
    shape = np.array([30, 50], np.float32)
    actual = run(lambda b: b.add_random_normal_dynamic("n", ["x0"], "y", mean=2.0, stddev=0.5, seed=3), shape, exact=True)
    assert actual.shape == (30, 50)
    assert abs(actual.mean() - 2) < 0.06
    assert abs(actual.std() - 0.5) < 0.05


def test_a_random_tensor_has_the_shape_of_another() -> None:
    built = builder({"x0": (2, 3)}, exact=True)
    built.add_random_normal_like("n", "x0", "y", mean=2.0, stddev=0.5, seed=3)
    array = built.spec.description.input[0].type.multiArrayType
    for high in (-1, 9):
        array.shapeRange.sizeRanges.add(lowerBound=1, upperBound=high)
    program = load(built.spec)
    for rows in (2, 40):
        assert program.predict({"x0": random(rows, 7)})["y"].shape == (rows, 7)
    assert run(lambda b: b.add_random_normal_like("n", "x0", "y", mean=2.0, stddev=0.5, seed=3), X, exact=True).shape == X.shape


@pytest.mark.parametrize("logits", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
def test_indices_are_drawn_by_probabilities_that_a_temperature_evens_out(temperature: float, logits: bool) -> None:
    probabilities = np.array([[0.1, 0.2, 0.7]], np.float32)
    drawn = run(
        lambda b: b.add_categorical_distribution("n", "x0", "y", 20000, is_logits=logits, temperature=temperature, seed=5),
        np.log(probabilities) if logits else probabilities,
        exact=True,
    )
    assert drawn.shape == (1, 20000)
    expected = probabilities[0] ** (1 / temperature)
    shares = np.bincount(drawn[0].astype(int), minlength=3) / 20000
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.015)


def test_a_temperature_that_is_left_out_is_1() -> None:
    def body(b: Any) -> None:
        b.add_categorical_distribution("n", "x0", "y", 20000, is_logits=True, temperature=4.0, seed=5)
        _without("categoricalDistribution", "temperature")(b)

    drawn = run(body, np.log(np.array([[0.1, 0.9]], np.float32)), exact=True)
    assert abs(drawn.mean() - 0.9) < 0.015


def test_steps_that_are_left_out_are_1() -> None:
    def numbers(b: Any) -> None:
        b.add_range_static("n", "y", end=7, start=2, step=3)
        _without("rangeStatic", "stepSizeValue")(b)

    def windows(b: Any) -> None:
        b.add_sliding_windows("n", "x0", "y", 2, 2, 3)
        _without("slidingWindows", "step")(b)

    close(run(numbers, X, exact=True), np.arange(2.0, 7.0))
    close(run(windows, X, exact=True), np.stack([X[..., i : i + 2] for i in range(3)], -2))


@pytest.mark.parametrize("bounds", [(9.0,), (9.0, 2.0), (9.0, 2.0, 3.0)])
@pytest.mark.parametrize("known", [True, False])
def test_a_range_reads_its_end_then_its_start_then_its_step(bounds: tuple[float, ...], known: bool) -> None:
    inputs = [np.array([bound], np.float32) for bound in bounds]
    names = [f"c{index}" if known else f"x{index}" for index in range(len(bounds))]

    def body(b: Any) -> None:
        for name, bound in zip(names if known else [], bounds, strict=False):
            number(b, name, bound)
        b.add_range_dynamic("n", names, "y", start=1, step=2)

    end, start, step = (*bounds, *(1.0, 2.0)[len(bounds) - 1 :])
    close(run(body, *inputs, exact=True), np.arange(start, end, step))


def test_a_range_without_an_end_is_refused() -> None:
    built = builder({"x0": (2,)}, exact=True)
    built.add_range_static("n", "y", end=float("inf"), start=2, step=3)
    with pytest.raises(MilError, match=r"layer 'n' .*counts from 2 to inf in steps of 3"):
        load(built.spec)


@pytest.mark.parametrize("mode", ["UPDATE", "ADD"])
def test_indices_of_two_axes_scatter_as_if_they_were_one(mode: str) -> None:
    indices, updates = np.array([[2, 0], [1, 3]], np.float32), random(2, 2, 2, 3, seed=1)
    x, expected = random(2, 4, 3), random(2, 4, 3)
    for place, row in np.ndenumerate(indices.astype(int)):
        expected[:, row] = updates[:, place[0], place[1]] + (x[:, row] if mode == "ADD" else 0)
    close(run(lambda b: b.add_scatter("n", ["x0", "x1", "x2"], "y", 1, mode), x, indices, updates, exact=True), expected)


#: The second best box overlaps the best, the third lies apart, the fourth is far below any score that counts.
BOXES = np.array([[[0.5, 0.5, 1, 1], [0.55, 0.5, 1, 1], [3, 3, 1, 1], [9, 9, 1, 1]]], np.float32)
SCORES = np.array([[[0.6], [0.9], [0.5], [0.01]]], np.float32)


@pytest.mark.parametrize("limits", ["xxx", "ccx", "xcc", "cxc", "ccc", "x", "c", ""])
def test_limits_of_boxes_are_read_from_inputs_constants_or_the_layer(limits: str) -> None:
    """``x`` for one that is an input, ``c`` for a constant, of: overlap, least score, most boxes."""
    given = (0.5, 0.1, 3.0)
    inputs = [np.array([value], np.float32) for value, kind in zip(given, limits, strict=False) if kind == "x"]

    def body(b: Any) -> None:
        free = iter(range(2, 2 + len(inputs)))
        names = [f"x{next(free)}" if kind == "x" else f"c{place}" for place, kind in enumerate(limits)]
        for name, value in zip(names, given, strict=False):
            if name.startswith("c"):
                number(b, name, value)
        stored = (9.0 if limits else 0.5, 9.0 if len(limits) > 1 else 0.1, 9 if len(limits) > 2 else 3)
        b.add_nms("n", ["x0", "x1", *names], ["y", "s", "i", "c"], *stored, False)

    boxes, _, indices, count = run(body, BOXES, SCORES, *inputs, exact=True, outputs=("y", "s", "i", "c"))
    assert indices.tolist() == [[1, 2, -1]]
    assert count.tolist() == [2]
    close(boxes[0, :2], BOXES[0, [1, 2]])


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("squeezed", [(), (True, False, False), (True, True, True)])
def test_a_slice_begins_where_a_tensor_says(squeezed: tuple[bool, ...], known: bool) -> None:
    def body(b: Any) -> None:
        if known:
            number(b, "at", *BEGIN)
        settings: dict[str, Any] = {"strides": [1, 1, -1], "begin_masks": [False, True, False], "end_masks": [False, False, True]}
        b.add_slice_dynamic("n", ["x0", "at" if known else "x1"], "y", [2, 2, 0], squeeze_masks=list(squeezed) or None, **settings)

    at = tuple(
        begin if drop else part
        for begin, part, drop in zip((1, 0, 2), (slice(1, 2), slice(0, 2), slice(2, None, -1)), squeezed or (False,) * 3, strict=True)
    )
    close(run(body, X, BEGIN, exact=True), np.reshape(X[at], np.shape(X[at]) or (1,)))


def test_the_shape_of_a_slice_of_known_bounds_is_known() -> None:
    built = builder({"x0": (2, 3, 4)}, exact=True)
    number(built, "at", *BEGIN)
    masks = {name: [False] * 3 for name in ("begin_masks", "end_masks", "squeeze_masks")}
    built.add_slice_dynamic("n", ["x0", "at"], "y", [2, 3, 4], [1, 1, 1], **masks)
    assert load(built.spec).operations[-1].outputs[0].shape == (1, 3, 2)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["x0", "x1", "x1", "x1", "x1", "x1", "x1"], "whether its axes stay depends on values that only running tells"),
        (["x0", "two"], "its beginIds has 2 numbers for the 3 axes of 2×3×4"),
    ],
)
def test_a_slice_of_no_fixed_axes_is_refused(names: list[str], reason: str) -> None:
    built = builder({"x0": (2, 3, 4), "x1": (3,)}, exact=True)
    number(built, "two", 0.0, 1.0)
    built.add_slice_dynamic("n", names, "y", [2, 3, 4])
    with pytest.raises(MilError, match=f"layer 'n' .*{reason}"):
        load(built.spec)


@pytest.mark.parametrize(("first", "second"), [((2, 3, 4), (4,)), ((3,), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 4))])
def test_a_vector_is_a_row_on_the_left_and_a_column_on_the_right(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    x, y = random(*first), random(*second, seed=1)
    rows: NDArray[Any] = x[None] if x.ndim == 1 else x
    columns: NDArray[Any] = y[:, None] if y.ndim == 1 else y
    close(run(lambda b: b.add_batched_mat_mul("n", ["x0", "x1"], "y"), x, y, exact=True), rows @ columns)


@pytest.mark.parametrize("k", [-3, -2, -1, 0, 1, 2, 3, 4])
@pytest.mark.parametrize("above", [True, False])
def test_a_triangle_begins_at_any_diagonal_and_leaves_nothing_of_what_is_infinite(k: int, above: bool) -> None:
    x = random(2, 3, 4)
    x[:, 0, 0], x[:, 2, 3], x[:, 2, 0] = np.inf, np.nan, -np.inf
    expected = (np.triu if above else np.tril)(np.ones((3, 4), bool), k)
    name = "add_upper_triangular" if above else "add_lower_triangular"
    close(run(lambda b: getattr(b, name)("n", "x0", "y", k), x, exact=True), np.where(expected, x, 0))


@pytest.mark.parametrize("mode", ["MAX", "AVERAGE"])
@pytest.mark.parametrize("exclude", [True, False])
def test_volumes_are_pooled_with_padding_of_each_side(mode: str, exclude: bool) -> None:
    x, pads = random(1, 2, 4, 5, 6), (1, 0, 0, 1, 1, 0)
    sides = dict(zip(("front", "back", "top", "bottom", "left", "right"), pads, strict=True))
    actual = run(
        lambda b: b.add_pooling3d(
            "p", "x0", "y", mode, 2, 2, 3, 1, 2, 2, "custom", average_pooling_count_excludes_padding=exclude,
            **{f"custom_padding_{side}": pad for side, pad in sides.items()},
        ),
        x, exact=True,
    )  # fmt: skip
    widths = ((0, 0), (0, 0), pads[:2], pads[2:4], pads[4:])
    window, step = {"window_shape": (2, 2, 3), "axis": (2, 3, 4)}, np.s_[:, :, ::1, ::2, ::2]
    views = [
        np.lib.stride_tricks.sliding_window_view(np.pad(each, widths, constant_values=edge), **window)[step]  # type: ignore[call-overload]
        for each, edge in ((x, -np.inf if mode == "MAX" else 0.0), (np.ones_like(x), 0.0))
    ]
    expected = views[0].max((-3, -2, -1)) if mode == "MAX" else views[0].sum((-3, -2, -1)) / (views[1].sum((-3, -2, -1)) if exclude else 12)
    close(actual, expected)


@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
def test_a_volume_leaves_its_largest_or_its_mean(kind: str) -> None:
    x = random(1, 2, 3, 4, 5)
    actual = run(lambda b: b.add_global_pooling3d("p", "x0", "y", kind), x, exact=True)
    close(actual, (np.max if kind == "MAX" else np.mean)(x, axis=(2, 3, 4), keepdims=True))
