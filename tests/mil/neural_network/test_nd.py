"""Layers of version 4, for tensors of any rank, against NumPy and torch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, random, run

Body = Callable[[Any], Any]
X, Y = random(2, 3, 4), random(3, 4, seed=1)
INDICES = np.array([2.0, 0.0, -1.0], np.float32)
UPDATES = random(2, 3, 4, seed=3)
BOOLS = (random(2, 3, 4, seed=2) > 0).astype(np.float32)
POSITIVE = np.abs(X) + 1.1


def _scattered(mode: str) -> NDArray[Any]:
    """Row 2, then 0, then the last of axis 1 meet what stands in UPDATES."""
    result = X.copy()
    for place, row in enumerate((2, 0, 2)):
        update = UPDATES[:, place]
        result[:, row] = {"UPDATE": update, "ADD": result[:, row] + update, "MUL": result[:, row] * update}[mode]
    return result


def _mask(k: int, above: bool) -> NDArray[Any]:
    return np.triu(X, k) if above else np.tril(X, k)


T = torch.from_numpy(X)
CASES: dict[str, tuple[Body, tuple[NDArray[Any], ...], Any]] = {
    **{
        kind: (lambda b, k=kind: getattr(b, f"add_{k}")("n", "x0", "y"), (X,), getattr(np, function)(X))
        for kind, function in (("ceil", "ceil"), ("floor", "floor"), ("sign", "sign"), ("round", "round"), ("exp2", "exp2"), ("sin", "sin"),
                               ("cos", "cos"), ("tan", "tan"), ("atan", "arctan"), ("sinh", "sinh"), ("cosh", "cosh"), ("tanh", "tanh"),
                               ("asinh", "arcsinh"))
    },
    "asin": (lambda b: b.add_asin("n", "x0", "y"), (np.tanh(X),), np.arcsin(np.tanh(X))),
    "acos": (lambda b: b.add_acos("n", "x0", "y"), (np.tanh(X),), np.arccos(np.tanh(X))),
    "atanh": (lambda b: b.add_atanh("n", "x0", "y"), (np.tanh(X),), np.arctanh(np.tanh(X))),
    "acosh": (lambda b: b.add_acosh("n", "x0", "y"), (POSITIVE,), np.arccosh(POSITIVE)),
    "erf": (lambda b: b.add_erf("n", "x0", "y"), (X,), torch.erf(T)),
    "gelu": (lambda b: b.add_gelu("n", "x0", "y", "TANH_APPROXIMATION"), (X,), F.gelu(T, approximate="tanh")),
    "clip": (lambda b: b.add_clip("n", "x0", "y", -0.3, 0.5), (X,), X.clip(-0.3, 0.5)),
    "clamped_relu": (lambda b: b.add_clamped_relu("n", "x0", "y", 0.2, 0.5), (X,), np.minimum(0.5, np.where(X >= 0, X, 0.2 * X))),
    "add": (lambda b: b.add_add_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X + Y),
    "subtract": (lambda b: b.add_subtract_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X - Y),
    "multiply": (lambda b: b.add_multiply_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X * Y),
    "divide": (lambda b: b.add_divide_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X / Y),
    "floor_div": (lambda b: b.add_floor_div_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X // Y),
    "mod": (lambda b: b.add_mod_broadcastable("n", ["x0", "x1"], "y"), (X, Y), X % Y),
    "pow": (lambda b: b.add_pow_broadcastable("n", ["x0", "x1"], "y"), (POSITIVE, Y), POSITIVE**Y),
    "max": (lambda b: b.add_max_broadcastable("n", ["x0", "x1"], "y"), (X, Y), np.maximum(X, Y)),
    "min": (lambda b: b.add_min_broadcastable("n", ["x0", "x1"], "y"), (X, Y), np.minimum(X, Y)),
    "greater": (lambda b: b.add_greater_than("n", ["x0", "x1"], "y"), (X, Y), (X > Y).astype(np.float32)),
    "greater_equal": (lambda b: b.add_greater_than("n", ["x0"], "y", True, 0.2), (X,), (np.float32(0.2) <= X).astype(np.float32)),
    "less": (lambda b: b.add_less_than("n", ["x0", "x1"], "y"), (X, Y), (X < Y).astype(np.float32)),
    "less_equal": (lambda b: b.add_less_than("n", ["x0"], "y", True, 0.2), (X,), (np.float32(0.2) >= X).astype(np.float32)),
    "equal": (lambda b: b.add_equal("n", ["x0"], "y", 1.0), (BOOLS,), (BOOLS == 1).astype(np.float32)),
    "not_equal": (lambda b: b.add_not_equal("n", ["x0"], "y", 1.0), (BOOLS,), (BOOLS != 1).astype(np.float32)),
    "and": (lambda b: b.add_logical("n", ["x0", "x1"], "y", "AND"), (BOOLS, BOOLS[::-1]), BOOLS * BOOLS[::-1]),
    "or": (lambda b: b.add_logical("n", ["x0", "x1"], "y", "OR"), (BOOLS, BOOLS[::-1]), np.maximum(BOOLS, BOOLS[::-1])),
    "xor": (lambda b: b.add_logical("n", ["x0", "x1"], "y", "XOR"), (BOOLS, BOOLS[::-1]), np.abs(BOOLS - BOOLS[::-1])),
    "not": (lambda b: b.add_logical("n", ["x0"], "y", "NOT"), (BOOLS,), 1 - BOOLS),
    "where": (lambda b: b.add_where_broadcastable("n", ["x0", "x1", "x2"], "y"), (BOOLS, X, Y), np.where(BOOLS, X, Y)),
    "band": (lambda b: b.add_matrix_band_part("n", "x0", "y", 0, 1), (X,), np.triu(np.tril(X, 1), 0)),
    **{
        f"{'upper' if above else 'lower'} {k}": (
            lambda b, k=k, f=("upper" if above else "lower"): getattr(b, f"add_{f}_triangular")("n", "x0", "y", k), (X,), _mask(k, above)
        )
        for above in (True, False) for k in (-1, 0, 1)
    },
    "broadcast": (lambda b: b.add_broadcast_to_static("n", "x0", "y", [2, 3, 4]), (Y,), np.broadcast_to(Y, (2, 3, 4))),
    "broadcast like": (lambda b: b.add_broadcast_to_like("n", ["x0", "x1"], "y"), (Y, X), np.broadcast_to(Y, (2, 3, 4))),
    "concat": (lambda b: b.add_concat_nd("n", ["x0", "x1"], "y", 1), (X, UPDATES), np.concatenate([X, UPDATES], 1)),
    "stack": (lambda b: b.add_stack("n", ["x0", "x1"], "y", -2), (X, UPDATES), np.stack([X, UPDATES], -2)),
    "transpose": (lambda b: b.add_transpose("n", [2, 0, 1], "x0", "y"), (X,), X.transpose(2, 0, 1)),
    "shape": (lambda b: b.add_get_shape("n", "x0", "y"), (X,), np.array([2.0, 3, 4])),
    "squeeze": (lambda b: b.add_squeeze("n", "x0", "y", [0, -1]), (X[:1, :, :1],), X[0, :, 0]),
    "squeeze all": (lambda b: b.add_squeeze("n", "x0", "y", squeeze_all=True), (X[:1, :1, :1],), X[0, 0, :1]),
    "expand": (lambda b: b.add_expand_dims("n", "x0", "y", [0, -1]), (Y,), Y[None, ..., None]),
    "flatten": (lambda b: b.add_flatten_to_2d("n", "x0", "y", -1), (X,), X.reshape(6, 4)),
    "reshape": (lambda b: b.add_reshape_static("n", "x0", "y", (4, 6)), (X,), X.reshape(4, 6)),
    "rank": (lambda b: b.add_rank_preserving_reshape("n", "x0", "y", (0, 4, -1)), (X,), X.reshape(2, 4, 3)),
    "reshape like": (lambda b: b.add_reshape_like("n", ["x0", "x1"], "y"), (X, random(4, 6)), X.reshape(4, 6)),
    "reshape dynamic": (lambda b: b.add_reshape_dynamic("n", ["x0", "x1"], "y"), (X, np.float32([4, 6])), X.reshape(4, 6)),
    "slice": (
        lambda b: b.add_slice_static("n", "x0", "y", [1, -1, 3], [2, 0, 0], [1, -1, -2], [False, False, False], [True, True, True]),
        (X,), X[1:, ::-1, 3::-2],
    ),
    "slice by size": (lambda b: b.add_slice_by_size("n", ["x0", "x1"], "y", 1, 2), (X, np.float32([1])), X[:, 1:3]),
    "windows": (lambda b: b.add_sliding_windows("n", "x0", "y", 2, 2, 1), (X,), np.stack([X[..., i : i + 2] for i in range(3)], -2)),
    "tile": (lambda b: b.add_tile("n", "x0", "y", [2, 1, 3]), (X,), np.tile(X, (2, 1, 3))),
    "pad": (lambda b: b.add_constant_pad("n", ["x0"], "y", 0.5, pad_to_given_output_size_mode=False, pad_amounts=[0, 1, 2, 0, 0, 0]),
            (X,), np.pad(X, ((0, 1), (2, 0), (0, 0)), constant_values=0.5)),
    "pad to": (lambda b: b.add_constant_pad("n", ["x0"], "y", 0.5, pad_to_given_output_size_mode=True, pad_amounts=[0, 5, 4, 0, 0, 0]),
               (X,), np.pad(X, ((0, 3), (1, 0), (0, 0)), constant_values=0.5)),
    "reverse": (lambda b: b.add_reverse("n", "x0", "y", [True, False, True]), (X,), X[::-1, :, ::-1]),
    "reverse sequence": (lambda b: b.add_reverse_sequence("n", ["x0", "x1"], "y", 0, 2), (X, np.float32([2, 3])),
                         np.stack([X[0][:, [1, 0, 2, 3]], X[1][:, [2, 1, 0, 3]]])),
    "constant": (lambda b: b.add_load_constant_nd("n", "y", X, X.shape), (Y,), X),
    "gather": (lambda b: b.add_gather("n", ["x0", "x1"], "y", 1), (X, INDICES), X[:, [2, 0, -1]]),
    "gather nd": (lambda b: b.add_gather_nd("n", ["x0", "x1"], "y"), (X, np.float32([[0, 1], [1, 2]])), X[[0, 1], [1, 2]]),
    "gather along": (lambda b: b.add_gather_along_axis("n", ["x0", "x1"], "y", 2), (X, BOOLS), np.take_along_axis(X, BOOLS.astype(int), 2)),
    **{
        f"scatter {mode}": (lambda b, m=mode: b.add_scatter("n", ["x0", "x1", "x2"], "y", 1, m), (X, INDICES, UPDATES), _scattered(mode))
        for mode in ("UPDATE", "ADD", "MUL")
    },
    "scatter nd": (lambda b: b.add_scatter_nd("n", ["x0", "x1", "x2"], "y", "ADD"),
                   (X, np.float32([[1], [0]]), UPDATES), X + UPDATES[::-1]),
    "top k": (lambda b: b.add_topk("n", ["x0"], ["y", "z"], 2, -1), (X,), np.sort(X)[..., :-3:-1]),
    "argmax": (lambda b: b.add_argmax("n", "x0", "y", 1, False), (X,), X.argmax(1)),
    "argmin": (lambda b: b.add_argmin("n", "x0", "y", 1, True), (X,), X.argmin(1, keepdims=True)),
    "argsort": (lambda b: b.add_argsort("n", "x0", "y", 2, True), (X,), np.argsort(-X, 2)),
    "non zero": (lambda b: b.add_where_nonzero("n", "x0", "y"), (BOOLS,), np.argwhere(BOOLS)),
    "one hot": (lambda b: b.add_one_hot("n", ["x0"], "y", 4, -1, 2.0, -1.0), (np.float32([1, 3]),), np.eye(4)[[1, 3]] * 3 - 1),
    "range": (lambda b: b.add_range_dynamic("n", ["x0", "x1"], "y", step=2), (np.float32([9]), np.float32([2])),
              np.arange(2.0, 9.0, 2.0)),
    "cumulative": (lambda b: b.add_cumsum("n", ["x0"], "y", axis=1, exclusive=True), (X,), np.cumsum(X, 1) - X),
    "softmax": (lambda b: b.add_softmax_nd("n", "x0", "y", 1), (X,), F.softmax(T, 1)),
    "matmul": (lambda b: b.add_batched_mat_mul("n", ["x0", "x1"], "y", transpose_b=True), (X, Y), X @ Y.T),
    "matmul stored": (
        lambda b: b.add_batched_mat_mul("n", ["x0"], "y", weight_matrix_rows=4, weight_matrix_columns=3, W=Y.T, bias=np.float32([1, 2, 3])),
        (X,), X @ Y.T + [1, 2, 3],
    ),
    "embedding": (
        lambda b: b.add_embedding_nd("n", "x0", "y", 4, 3, Y, np.float32([1, 2, 3])), (np.float32([[1], [3]]),), Y.T[[1, 3]] + [1, 2, 3]
    ),
    "layer norm": (
        lambda b: b.add_layer_normalization("n", "x0", "y", (3, 4), Y, Y, 1e-3), (X,),
        F.layer_norm(T, (3, 4), torch.from_numpy(Y), torch.from_numpy(Y), 1e-3),
    ),
    "sum of all": (lambda b: b.add_reduce_sum("n", "x0", "y", keepdims=False, reduce_all=True), (X,), X.sum().reshape(1)),
    "logsumexp": (lambda b: b.add_reduce_logsumexp("n", "x0", "y", [1], False), (X,), torch.logsumexp(T, 1)),
    "mean": (lambda b: b.add_reduce_mean("n", "x0", "y", [0, -1], True), (X,), X.mean((0, 2), keepdims=True)),
    "fill": (lambda b: b.add_fill_dynamic("n", "x0", "y", 2.5), (np.float32([2, 3]),), np.full((2, 3), 2.5)),
    "fill like": (lambda b: b.add_fill_like("n", "x0", "y", 2.5), (X,), np.full((2, 3, 4), 2.5)),
    "copy": (lambda b: b.add_copy("n", "x0", "y"), (X,), X),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_numpys_or_torchs(name: str) -> None:
    body, inputs, expected = CASES[name]
    close(run(body, *map(np.ascontiguousarray, inputs), exact=True), expected, 2e-5)


def test_parts_of_given_lengths() -> None:
    parts = run(lambda b: b.add_split_nd("n", "x0", ["y", "z"], 1, split_sizes=[1, 2]), X, exact=True, outputs=("y", "z"))
    for part, expected in zip(parts, np.split(X, [1], 1), strict=True):
        close(part, expected)


def test_a_shape_that_is_known_costs_no_operator() -> None:
    """What is computed from a fixed shape is a constant, so that its reader's shape is known too."""
    built = builder({"x0": (2, 3, 4)}, exact=True)
    built.add_get_shape("s", "x0", "s")
    built.add_load_constant_nd("two", "two", np.float32([2, 1, 1]), (3,))
    built.add_multiply_broadcastable("m", ["s", "two"], "m")
    built.add_fill_dynamic("b", "m", "y", 1.5)
    program = load(built.spec)
    assert [operation.kind for operation in program.operations] == ["fill"]
    assert program.operations[0].outputs[0].shape == (4, 3, 4)
    close(program.predict({"x0": X})["y"], np.full((4, 3, 4), 1.5))


@pytest.mark.parametrize("kind", ["normal", "uniform", "bernoulli"])
def test_random_numbers_follow_their_distribution_and_their_seed(kind: str) -> None:
    settings = {"normal": {"mean": 2.0, "stddev": 0.5}, "uniform": {"minval": 1.0, "maxval": 3.0}, "bernoulli": {"prob": 0.3}}[kind]
    mean, deviation = {"normal": (2.0, 0.5), "uniform": (2.0, 2 / math.sqrt(12)), "bernoulli": (0.3, math.sqrt(0.21))}[kind]
    first, again = (
        run(lambda b: getattr(b, f"add_random_{kind}_static")("n", "y", [40, 50], seed=7, **settings), X, exact=True) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert abs(first.mean() - mean) < 0.06
    assert abs(first.std() - deviation) < 0.05


def test_volumes_are_convolved_and_pooled() -> None:
    x, weight = random(1, 2, 5, 5, 5), random(3, 2, 2, 2, 2, seed=1)
    actual = run(
        lambda b: b.add_convolution3d(
            "c", 2, 3, 2, 2, 2, weight, None, False, stride_width=2, padding_mode="custom", padding_left=1, input_name="x0", output_name="y"
        ),
        x,
        exact=True,
    )
    expected = F.conv3d(F.pad(torch.from_numpy(x), (1, 0)), torch.from_numpy(weight), stride=(1, 1, 2))
    close(actual, expected)
    pooled = run(lambda b: b.add_pooling3d("p", "x0", "y", "AVERAGE", 2, 2, 2, 2, 2, 2, padding_mode="valid"), x, exact=True)
    close(pooled, F.avg_pool3d(torch.from_numpy(x), 2, 2))
    close(run(lambda b: b.add_global_pooling3d("p", "x0", "y", "MAX"), x, exact=True), x.max((2, 3, 4), keepdims=True))


def test_the_best_boxes_are_left() -> None:
    """Two boxes overlap, a third lies apart; the worst score is below the least."""
    boxes = np.float32([[[0.5, 0.5, 1, 1], [0.55, 0.5, 1, 1], [3, 3, 1, 1], [9, 9, 1, 1]]])
    scores = np.float32([[[0.6, 0.1], [0.9, 0.2], [0.3, 0.5], [0.01, 0.02]]])
    kept, values, indices, count = run(
        lambda b: b.add_nms("n", ["x0", "x1"], ["y", "s", "i", "c"], 0.5, 0.1, 3, False),
        boxes, scores, exact=True, outputs=("y", "s", "i", "c"),
    )  # fmt: skip
    assert indices.tolist() == [[1, 2, -1]]
    assert count.tolist() == [2]
    close(kept[0, :2], boxes[0, [1, 2]])
    close(values[0, :2], scores[0, [1, 2]])


def _range(built: Any, name: str, *ranges: tuple[int, int]) -> None:
    """Let the lengths of an input be anything between two ends; -1 is none."""
    array = next(each for each in built.spec.description.input if each.name == name).type.multiArrayType
    for low, high in ranges:
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)


def test_a_shape_that_is_computed_fits_one_that_is_given() -> None:
    built = builder({"x0": (2, 3)}, exact=True)
    built.add_get_shape("shape", "x0", "shape")
    built.add_reduce_prod("count", "shape", "count", axes=[0])
    built.add_load_constant_nd("one", "one", constant_value=np.array([1.0]), shape=(1,))
    built.add_concat_nd("column", ["count", "one"], "column", axis=0)
    built.add_reshape_dynamic("computed", ["x0", "column"], "computed")
    built.add_reshape_static("given", "x0", "given", [-1, 1])
    built.add_batched_mat_mul("y", ["given", "computed"], "y", transpose_a=True)
    _range(built, "x0", (1, -1), (1, -1))
    program = load(built.spec)
    for rows, columns in ((1, 1), (2, 3), (5, 7)):
        close(program.predict({"x0": random(rows, columns)})["y"], [[(random(rows, columns) ** 2).sum()]])


def test_open_lengths_may_be_multiplied_beyond_what_a_memory_holds() -> None:
    built = builder({"x0": (2, 3, 4, 5)}, exact=True)
    built.add_transpose("y", [3, 1, 2, 0], "x0", "y")
    _range(built, "x0", *[(1, -1)] * 4)
    close(load(built.spec).predict({"x0": random(2, 3, 4, 5)})["y"], random(2, 3, 4, 5).transpose(3, 1, 2, 0))


def test_a_condition_that_is_known_before_the_network_runs_chooses() -> None:
    def body(b: Any) -> None:
        b.add_load_constant_nd("c", "c", constant_value=np.array([1.0, 0.0, 1.0, 0.0]), shape=(4,))
        b.add_where_broadcastable("n", ["c", "x0", "x1"], "y")

    close(run(body, Y, Y + 9, exact=True), np.where([1, 0, 1, 0], Y, Y + 9))


def test_new_axes_of_what_was_a_scalar_are_all_that_it_has() -> None:
    def body(b: Any) -> None:
        b.add_slice_static(
            "n", "x0", "s", begin_ids=[1], end_ids=[2], strides=[1], begin_masks=[False], end_masks=[False], squeeze_masks=[True]
        )
        b.add_expand_dims("e", "s", "y", axes=[0, 1])

    close(run(body, Y[0], exact=True), Y[0, 1:2, None])


def test_an_output_may_be_an_input() -> None:
    built = builder({"x0": (2, 3)}, outputs=("x0", "y"), exact=True)
    built.add_copy("away", "x0", "there")
    built.add_copy("back", "there", "x0")
    built.add_unary("y", "x0", "y", "abs")
    results = load(built.spec).predict({"x0": random(2, 3)})
    close(results["x0"], random(2, 3))
    close(results["y"], np.abs(random(2, 3)))


def test_an_output_with_the_name_of_an_input_that_it_is_not_is_refused() -> None:
    built = builder({"x0": (2, 3)}, outputs=("x0",), exact=True)
    built.add_unary("n", "x0", "there", "abs")
    built.add_copy("back", "there", "x0")
    with pytest.raises(MilError, match="'x0' has the name of an input"):
        load(built.spec)
