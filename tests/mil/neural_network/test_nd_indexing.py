"""Layers that find, pick and place elements: axes from both ends, limits that are stored or read, lengths that are open."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layer import Network
from fcrn_mobile.mil.neural_network.layers.nd_indexing import LAYERS, range_static
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, close, load, number, random, run
from tests.mil.neural_network.test_kinds import check_counts

with quiet_coremltools():
    from coremltools.proto.NeuralNetwork_pb2 import RangeStaticLayerParams

X = random(2, 3, 4)
MODES = ("UPDATE", "ADD", "SUB", "MUL", "DIV", "MAX", "MIN")


def _met(mode: str, x: Any, update: Any) -> Any:
    return {
        "UPDATE": update,
        "ADD": x + update,
        "SUB": x - update,
        "MUL": x * update,
        "DIV": x / update,
        "MAX": np.maximum(x, update),
        "MIN": np.minimum(x, update),
    }[mode]


def _spelled(built: Any, known: bool, value: float) -> str:
    """Name of a tensor with one number: a constant, or the second input."""
    if known:
        number(built, "c", value)
    return "c" if known else "x1"


@pytest.mark.parametrize("free", [(), (0, 1), (0, 1, 2)])
def test_parts_are_gathered_at_indices_of_any_rank(free: tuple[int, ...]) -> None:
    indices = np.array([[[0, 1], [1, 2], [1, 0]], [[1, 1], [0, 0], [0, 2]]], np.float32)
    body = lambda b: b.add_gather_nd("n", ["x0", "x1"], "y")  # noqa: E731
    expected = X[tuple(np.moveaxis(indices.astype(int), -1, 0))]
    close(run(body, X, indices, exact=True, free={"x0": free, "x1": free[:2]}), expected)
    close(run(body, X, indices[0, 0], exact=True), X[0, 1])
    close(run(body, X, np.array([[1], [0], [1]], np.float32), exact=True), X[[1, 0, 1]])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_slices_meet_others_in_every_mode(mode: str, axis: int) -> None:
    rows, updates = [1, 0], np.abs(np.moveaxis(random(2, *np.delete(X.shape, axis), seed=1), 0, axis)) + 0.5
    expected = np.moveaxis(X.copy(), axis, 0)
    for row, update in zip(rows, np.moveaxis(updates, axis, 0), strict=True):
        expected[row] = _met(mode, expected[row], update)
    actual = run(lambda b: b.add_scatter("n", ["x0", "x1", "x2"], "y", axis, mode), X, np.float32(rows), updates, exact=True)
    close(actual, np.moveaxis(expected, 0, axis))


@pytest.mark.parametrize("free", [{}, {"x1": (0,), "x2": (1,)}])
def test_indices_of_two_axes_scatter_along_an_axis_from_the_end(free: dict[str, tuple[int, ...]]) -> None:
    x, indices, updates = random(2, 4, 3), np.array([[2, 0], [1, 3], [0, 0]], np.float32), random(2, 3, 2, 3, seed=1)
    expected = x.copy()
    for place, row in np.ndenumerate(indices.astype(int)):
        expected[:, row] += updates[:, place[0], place[1]]
    close(run(lambda b: b.add_scatter("n", ["x0", "x1", "x2"], "y", -2, "ADD"), x, indices, updates, exact=True, free=free), expected)


@pytest.mark.parametrize("mode", MODES)
def test_parts_and_elements_meet_others_in_every_mode(mode: str) -> None:
    places, updates = np.array([[1, 2], [0, 0]], np.float32), np.abs(random(2, 4, seed=1)) + 0.5
    expected = X.copy()
    for (i, j), update in zip(places.astype(int), updates, strict=True):
        expected[i, j] = _met(mode, expected[i, j], update)
    close(run(lambda b: b.add_scatter_nd("n", ["x0", "x1", "x2"], "y", mode), X, places, updates, exact=True), expected)
    along, values = np.array([[[2], [0]], [[1], [2]]], np.float32), np.abs(random(2, 2, 1, seed=2)) + 0.5
    expected = X[..., :1].copy()
    for (i, j, k), value in np.ndenumerate(values):
        row = int(along[i, j, k])
        expected[i, row, k] = _met(mode, expected[i, row, k], value)
    body = lambda b: b.add_scatter_along_axis("n", ["x0", "x1", "x2"], "y", -2, mode)  # noqa: E731
    close(run(body, X[..., :1], along, values, exact=True), expected)


@pytest.mark.parametrize("known", [None, True, False])
@pytest.mark.parametrize("axis", [1, -2, 2])
@pytest.mark.parametrize("lowest", [True, False])
def test_the_largest_and_smallest_elements_and_their_places(axis: int, lowest: bool, known: bool | None) -> None:
    x = random(3, 5, 4)
    order = np.argsort(x if lowest else -x, axis).take(range(2), axis)

    def body(b: Any) -> None:
        more = [] if known is None else [_spelled(b, known, 2)]
        b.add_topk("n", ["x0", *more], ["y", "z"], 2 if known is None else 3, axis, use_bottom_k=lowest)

    values, places = run(body, x, np.float32([2]), exact=True, outputs=("y", "z"))
    close(places, order)
    close(values, np.take_along_axis(x, order, axis))


def test_the_type_of_a_count_of_largest_elements_that_running_tells() -> None:
    built = builder({"x0": (2, 5), "x1": (1, 1)}, ("y", "z"), exact=True)
    built.add_topk("n", ["x0", "x1"], ["y", "z"], 3, 1)
    shapes = [[output.shape for output in each.outputs] for each in load(built.spec).operations if each.kind == "topk"]
    assert shapes == [[(2, -1), (2, -1)]]


@pytest.mark.parametrize(("kind", "numpys"), [("argmax", np.argmax), ("argmin", np.argmin)])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("keep", [True, False])
def test_where_the_largest_or_the_smallest_stands(kind: str, numpys: Any, shape: tuple[int, ...], keep: bool) -> None:
    x = random(*shape)
    actual = run(lambda b: getattr(b, f"add_{kind}")("n", "x0", "y", -1, keep), x, exact=True)
    close(actual, np.reshape(numpys(x, -1), (*shape[:-1], *(1,) * (keep or len(shape) == 1))))


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("axis", [0, -2])
def test_indices_that_sort_either_way(axis: int, descending: bool) -> None:
    actual = run(lambda b: b.add_argsort("n", "x0", "y", axis, descending), X, exact=True)
    close(actual, np.argsort(-X if descending else X, axis))


def test_indices_of_what_is_not_zero_of_open_lengths() -> None:
    x = np.float32([[0, 2, 0], [-1, 0, 3]])
    close(run(lambda b: b.add_where_nonzero("n", "x0", "y"), x, exact=True, free={"x0": (0, 1)}), np.argwhere(x))


@pytest.mark.parametrize("known", [None, True, False])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_a_new_axis_is_on_at_the_index(axis: int, known: bool | None) -> None:
    indices = np.float32([[1, 3, 0], [2, 2, 1]])

    def body(b: Any) -> None:
        more = [] if known is None else [_spelled(b, known, 4)]
        b.add_one_hot("n", ["x0", *more], "y", 4 if known is None else 7, axis, 5.0, -1.0)

    expected = np.moveaxis(np.eye(4)[indices.astype(int)] * 6 - 1, -1, axis)
    close(run(body, indices, np.float32([4]), exact=True), expected)


@pytest.mark.parametrize("known", [None, True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("exclusive", [True, False])
def test_sums_run_either_way_with_or_without_the_element(known: bool | None, reverse: bool, exclusive: bool) -> None:
    def body(b: Any) -> None:
        more = [] if known is None else [_spelled(b, known, -2)]
        b.add_cumsum("n", ["x0", *more], "y", -2 if known is None else 0, reverse, exclusive)

    sums = np.flip(np.cumsum(np.flip(X, 1), 1), 1) if reverse else np.cumsum(X, 1)
    close(run(body, X, np.float32([-2]), exact=True), sums - X if exclusive else sums)


@pytest.mark.parametrize("values", [(), (2.0, 1.0)])
@pytest.mark.parametrize("layer", ["topk", "one_hot", "cumsum", "range_dynamic"])
def test_one_number_is_not_several(layer: str, values: tuple[float, ...]) -> None:
    def body(b: Any) -> None:
        number(b, "c", *values)
        outputs = ["y", "z"] if layer == "topk" else "y"
        names = ["c"] if layer == "range_dynamic" else ["x0", "c"]
        getattr(b, f"add_{layer}")("odd", names, outputs)

    with pytest.raises(MilError, match=f"layer 'odd' .*takes one number where .* has {len(values)}"):
        run(body, np.float32([1, 0, 2]), exact=True)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_whole_number_is_finite(value: float) -> None:
    def body(b: Any) -> None:
        number(b, "c", value)
        b.add_topk("odd", ["x0", "c"], ["y", "z"])

    with pytest.raises(MilError, match=r"layer 'odd' .*takes a whole number where it reads"):
        run(body, X, exact=True)


def _suppressed(boxes: NDArray[Any], scores: NDArray[Any], overlap: float, least: float, most: int, per_class: bool) -> list[NDArray[Any]]:
    """As NeuralNetwork.proto words it, one box after the other: of none that is good enough the best, as in coremltools' test of it."""
    count, classes = scores.shape[1:]
    results = [np.zeros((len(boxes), most, 4)), np.zeros((len(boxes), most, classes)), np.full((len(boxes), most), -1.0)]
    numbers = []
    for image, (places, points) in enumerate(zip(boxes, scores, strict=True)):
        best, kept = points.max(1), list[int]()
        for index in sorted(range(count), key=lambda each: -best[each]):
            rivals = [each for each in kept if not per_class or points[each].argmax() == points[index].argmax()]
            if best[index] >= least and all(_shared(places[index], places[each]) <= overlap for each in rivals):
                kept.append(index)
        kept = (kept or [int(best.argmax())])[:most]
        for result, values in zip(results, (places[kept], points[kept], kept), strict=True):
            result[image, : len(kept)] = values
        numbers.append(len(kept))
    return [*results, np.array(numbers)]


def _shared(one: NDArray[Any], other: NDArray[Any]) -> float:
    low, high = np.maximum(one[:2] - one[2:] / 2, other[:2] - other[2:] / 2), np.minimum(one[:2] + one[2:] / 2, other[:2] + other[2:] / 2)
    both = float(np.prod((high - low).clip(0)))
    return both / float(np.prod(one[2:]) + np.prod(other[2:]) - both)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize("least", [0.2, 0.93, 2.0])
@pytest.mark.parametrize("limits", ["", "xxx", "ccc", "free"])
def test_boxes_of_every_image_are_suppressed(limits: str, least: float, per_class: bool) -> None:
    rng, most = np.random.default_rng(3), 3
    boxes = np.concatenate([rng.uniform(0, 2, (2, 7, 2)), rng.uniform(0.8, 1.5, (2, 7, 2))], -1).astype(np.float32)
    scores = rng.uniform(0, 1, (2, 7, 5)).astype(np.float32)
    scores[1] *= 0.9
    given, free = (0.3, least, float(most)), {"x0": (0, 1), "x1": (0, 1)} if limits == "free" else {}

    def body(b: Any) -> None:
        names = [f"c{at}" if kind == "c" else f"x{2 + at}" for at, kind in enumerate(limits.replace("free", ""))]
        for name, value in zip(names if limits == "ccc" else (), given, strict=False):
            number(b, name, value)
        stored = (0.9, 0.0, 1) if names else (0.3, least, most)
        b.add_nms("n", ["x0", "x1", *names], ["y", "s", "i", "c"], *stored, per_class)

    more = [np.float32([value]) for value in given] if limits == "xxx" else []
    actual = run(body, boxes, scores, *more, exact=True, outputs=("y", "s", "i", "c"), free=free)
    for result, expected in zip(actual, _suppressed(boxes, scores, 0.3, least, most, per_class), strict=True):
        close(result, expected)


def test_of_equal_boxes_below_the_least_score_the_first_is_left() -> None:
    boxes, scores = random(1, 3, 4), np.full((1, 3, 1), 0.25, np.float32)
    body = lambda b: b.add_nms("n", ["x0", "x1"], ["y", "s", "i", "c"], 1.0, 0.5, 2, False)  # noqa: E731
    _, values, indices, count = run(body, boxes, scores, exact=True, outputs=("y", "s", "i", "c"))
    assert (values[0, :, 0].tolist(), indices.tolist(), count.tolist()) == ([0.25, 0], [[0, -1]], [1])


@pytest.mark.parametrize("start", [True, False])
def test_a_range_of_one_bound_that_is_read_and_one_that_is_stored(start: bool) -> None:
    """The step is left out: 1."""

    def body(b: Any) -> None:
        number(b, "c", 2.0 if start else 6.0)
        b.add_range_dynamic("n", ["x0", "c"] if start else ["c", "x0"], "y", start=9, step=3)
        b.nn_spec.layers[-1].rangeDynamic.ClearField("stepSizeValue")

    close(run(body, np.float32([6.0 if start else 2.0]), exact=True), np.arange(2.0, 6.0))


def _range(start: float, end: float, step: float) -> Any:
    return range_static(Network(compact=False, batch=1), RangeStaticLayerParams(startValue=start, endValue=end, stepSizeValue=step), [])


def test_a_range_has_as_many_numbers_as_single_precision_counts() -> None:
    assert _range(2**24, 2**24 + 8, 1).shape == (8,)
    assert _range(5, 2, 1).shape == (0,)
    assert _range(0, 2**16, 1).shape == (2**16,)
    for bounds in ((0, 2**24 + 2, 1), (0, 2**24, 0.5), (-(2**24), 8, 1), (0, math.inf, 1), (math.inf, 0, 1), (0, math.nan, 1)):
        with pytest.raises(MilError, match="has no end"):
            _range(*bounds)


def test_a_range_of_no_step_is_refused() -> None:
    def body(b: Any) -> None:
        for name, value in (("end", 4.0), ("start", 1.0), ("step", 0.0)):
            number(b, name, value)
        b.add_range_dynamic("odd", ["end", "start", "step"], "y")

    with pytest.raises(MilError, match=r"layer 'odd' .*in steps of 0"):
        run(body, X, exact=True)


def test_elements_are_gathered_along_an_axis_from_the_end() -> None:
    indices = np.random.default_rng(1).integers(0, 3, (2, 5, 4)).astype(np.float32)
    actual = run(lambda b: b.add_gather_along_axis("n", ["x0", "x1"], "y", -2), X, indices, exact=True)
    close(actual, torch.from_numpy(X).gather(1, torch.from_numpy(indices).long()))


def test_layers_read_as_many_tensors_as_they_are_said_to() -> None:
    check_counts(LAYERS)
