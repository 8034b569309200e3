"""Matrix products and attention against NumPy in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes

from fcrn_mobile.mil.ops.linear import OPERATORS
from tests.mil.build import check_op, mb

BATCHES = mutually_broadcastable_shapes(num_shapes=2, min_dims=0, max_dims=3, min_side=1, max_side=3)
LENGTHS = st.integers(1, 6)


def values(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)


def wide(*arrays: np.ndarray) -> list[np.ndarray]:
    return [array.astype(np.float64) for array in arrays]


@pytest.mark.parametrize("target", ["iOS15", "iOS17"])
@pytest.mark.parametrize("bias", [True, False])
@settings(max_examples=8, deadline=None)
@given(leading=st.lists(st.integers(1, 3), max_size=2), depth=LENGTHS, width=LENGTHS, seed=st.integers(0, 99))
def test_linear_of_ranks_one_to_three(target: str, bias: bool, leading: list[int], depth: int, width: int, seed: int) -> None:
    x, weight, offset = values(seed, *leading, depth), values(seed + 1, width, depth), values(seed + 2, width)
    a, w, b = wide(x, weight, offset)
    arguments = {"bias": offset} if bias else {}
    check_op("linear", lambda x0: mb.linear(x=x0, weight=weight, **arguments), [x], a @ w.T + (b if bias else 0), target=target)
    if not bias:
        np.testing.assert_allclose(OPERATORS["linear"].run(torch.from_numpy(x), torch.from_numpy(weight)), a @ w.T, rtol=1e-5, atol=1e-5)


def test_linear_of_integers_is_exact() -> None:
    x = np.array([[2**24 + 1, 3], [-(2**30), 7]], np.int32)
    weight, bias = np.array([[1, 1], [3, -2], [0, 2**20]], np.int32), np.array([1, -1, 2], np.int32)
    exact = x.astype(np.int64) @ weight.T.astype(np.int64) + bias
    wrapped = exact.astype(np.int32)
    check_op("linear", lambda x0: mb.linear(x=x0, weight=weight, bias=bias), [x], wrapped, 0)


def test_weights_of_another_type_than_x_since_ios17() -> None:
    x, whole = values(0, 2, 3), np.array([[1, 2, 3], [-4, 5, 6]], np.int32)
    half = values(1, 2, 3).astype(np.float16)
    check_op("linear", lambda x0: mb.linear(x=x0, weight=half), [x], x.astype(np.float64) @ half.T.astype(np.float64))
    check_op("linear", lambda x0: mb.linear(x=x0, weight=whole), [x], x.astype(np.float64) @ whole.T)
    assert OPERATORS["linear"].run(torch.from_numpy(x), torch.from_numpy(whole)).dtype == torch.float32
    # Integers times fractions: the sum loses its fraction, not the weights.
    indices = np.array([[3, 5]], np.int32)
    fractions, bias = np.float32([[0.5, 0.25], [-0.5, -0.25]]), np.float32([0.5, -0.5])
    body = lambda x0: mb.linear(x=x0, weight=fractions, bias=bias)  # noqa: E731 - as the builder takes it
    check_op("linear", body, [indices], np.array([[3, -3]], np.int32), 0)


@settings(max_examples=40, deadline=None)
@given(
    batches=BATCHES,
    sizes=st.tuples(LENGTHS, LENGTHS, LENGTHS),
    transpose_x=st.booleans(),
    transpose_y=st.booleans(),
    seed=st.integers(0, 99),
    target=st.sampled_from(["iOS15", "iOS17"]),
)
def test_matmul_broadcasts_leading_axes_and_transposes(
    batches: BroadcastableShapes, sizes: tuple[int, int, int], transpose_x: bool, transpose_y: bool, seed: int, target: str
) -> None:
    (rows, depth, columns), (left, right) = sizes, batches.input_shapes
    x = values(seed, *left, *((depth, rows) if transpose_x else (rows, depth)))
    y = values(seed + 1, *right, *((columns, depth) if transpose_y else (depth, columns)))
    a, b = wide(x, y)
    expected = (a.swapaxes(-1, -2) if transpose_x else a) @ (b.swapaxes(-1, -2) if transpose_y else b)

    def body(x0: object, x1: object) -> object:
        return mb.matmul(x=x0, y=x1, transpose_x=transpose_x, transpose_y=transpose_y)

    check_op("matmul", body, [x, y], expected, target=target)


def test_matmul_with_a_constant_side_and_defaults() -> None:
    x, y = values(0, 2, 3, 4), values(1, 4, 5)
    a, b = wide(x, y)
    check_op("matmul", lambda x0: mb.matmul(x=x0, y=y), [x], a @ b)
    check_op("matmul", lambda x0: mb.matmul(x=y, y=x0, transpose_x=True, transpose_y=True), [x], b.T @ a.swapaxes(1, 2))
    np.testing.assert_allclose(OPERATORS["matmul"].run(torch.from_numpy(x), torch.from_numpy(y)), a @ b, rtol=1e-5, atol=1e-5)
    half = y.astype(np.float16)
    check_op("matmul", lambda x0: mb.matmul(x=x0, y=half), [x], a @ half.astype(np.float64))


def test_matmul_of_vectors() -> None:
    x, y = values(0, 4), values(1, 4, 3)
    check_op("matmul", lambda x0, x1: mb.matmul(x=x0, y=x1), [x, y], x.astype(np.float64) @ y)
    # The forms below stand in coremltools' documentation, though its builder refuses them or infers another shape.
    matmul, vector = OPERATORS["matmul"].run, torch.from_numpy(x)
    assert matmul(vector, vector).shape == ()
    assert matmul(vector, torch.from_numpy(values(1, 10, 4, 3))).shape == (10, 3)
    assert matmul(torch.from_numpy(values(1, 10, 3, 4)), vector).shape == (10, 3)
    flagged = matmul(torch.from_numpy(values(1, 4, 3)), vector, transpose_x=True, transpose_y=True)
    np.testing.assert_allclose(flagged, values(1, 4, 3).T @ x, rtol=1e-5, atol=1e-6)
    assert matmul(vector, torch.from_numpy(y), transpose_x=True).shape == (3,)


def test_matmul_of_integers_is_exact_and_wraps_around() -> None:
    x, y = np.array([[2**24 + 1, 3], [2**20, 2**20]], np.int32), np.array([[1, 2**12], [1, 2**12]], np.int32)
    wrapped = (x.astype(np.int64) @ y.astype(np.int64)).astype(np.int32)
    check_op("matmul", lambda x0, x1: mb.matmul(x=x0, y=x1), [x, y], wrapped, 0)


def test_matmul_of_an_integer_and_a_float_constant_loses_nothing() -> None:
    product = OPERATORS["matmul"].run(torch.tensor([[1, 2]], dtype=torch.int32), torch.tensor([[0.5], [0.25]]))
    assert product.tolist() == [[1.0]]


@pytest.mark.parametrize("equation", ["nchw,nwhu->nchu", "abcd,adce->abce"])
@settings(max_examples=10, deadline=None)
@given(sizes=st.tuples(*[st.integers(1, 4)] * 5), single=st.sampled_from(["", "n0", "n1", "h0", "h1"]), seed=st.integers(0, 99))
def test_einsum_of_rank_four_broadcasts_single_axes(equation: str, sizes: tuple[int, ...], single: str, seed: int) -> None:
    n, c, h, w, u = sizes
    shapes = [[n, c, h, w], [n, w, h, u]]
    if single:
        shapes[int(single[1])]["nchw".index(single[0])] = 1
    x, y = values(seed, *shapes[0]), values(seed + 1, *shapes[1])
    a, b = wide(x, y)
    expected = (a.transpose(0, 2, 1, 3) @ b.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
    check_op("einsum", lambda x0, x1: mb.einsum(values=(x0, x1), equation=equation), [x, y], expected)


@pytest.mark.parametrize("single", [None, 0, 1])
def test_einsum_of_rank_three(single: int | None) -> None:
    shapes = [[2, 3, 4], [4, 3, 5]]
    if single is not None:
        shapes[single][1] = 1
    x, y = values(0, *shapes[0]), values(1, *shapes[1])
    a, b = wide(x, y)
    expected = (a.transpose(1, 0, 2) @ b.transpose(1, 0, 2)).transpose(1, 0, 2)
    check_op("einsum", lambda x0, x1: mb.einsum(values=(x0, x1), equation="chw,whr->chr"), [x, y], expected)


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, added: np.ndarray | float = 0.0) -> np.ndarray:
    """Softmax of the scaled products plus a mask, times the values, in float64."""
    q, k, v = wide(query, key, value)
    scores = q @ k.swapaxes(-1, -2) / math.sqrt(q.shape[-1]) + added
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True) @ v


@settings(max_examples=20, deadline=None)
@given(
    batch=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    sizes=st.tuples(*[st.integers(1, 6)] * 4),
    seed=st.integers(0, 99),
    form=st.sampled_from(["none", "float", "bool"]),
    data=st.data(),
)
def test_attention_with_every_kind_of_mask(batch: list[int], sizes: tuple[int, ...], seed: int, form: str, data: st.DataObject) -> None:
    target, source, depth, width = sizes
    inputs = [values(seed, *batch, target, depth), values(seed + 1, *batch, source, depth), values(seed + 2, *batch, source, width)]
    if form == "none":
        body = lambda x0, x1, x2: mb.scaled_dot_product_attention(query=x0, key=x1, value=x2)  # noqa: E731
        check_op("scaled_dot_product_attention", body, inputs, attention(*inputs), target="iOS18")
        return
    rows = [*batch, target]
    kept = data.draw(st.integers(0, len(rows)))  # of the leading axes, counted from the last
    shape = [length if data.draw(st.booleans()) else 1 for length in rows[len(rows) - kept :]]
    mask = np.random.default_rng(seed).integers(0, 2, (*shape, source)) if form == "bool" else values(seed + 3, *shape, source)
    mask[..., 0] = 1  # no row is left empty

    def masked(x0: object, x1: object, x2: object, x3: object) -> object:
        given_mask = mb.cast(x=x3, dtype="bool") if form == "bool" else x3
        return mb.scaled_dot_product_attention(query=x0, key=x1, value=x2, attn_mask=given_mask)

    added = np.where(mask, 0, -np.inf) if form == "bool" else mask.astype(np.float64)
    inputs.append(mask.astype(np.int32 if form == "bool" else np.float32))
    check_op("scaled_dot_product_attention", masked, inputs, attention(*inputs[:3], added), target="iOS18")


@pytest.mark.parametrize("form", ["float", "bool"])
@pytest.mark.parametrize("per_head", [True, False])
def test_a_row_that_may_attend_to_nothing_is_nan_as_the_formula_says(form: str, per_head: bool) -> None:
    query, key, value = values(0, 2, 3, 4, 8), values(1, 2, 3, 5, 8), values(2, 2, 3, 5, 6)
    allowed = np.ones((2, 3, 4, 5) if per_head else (4, 5), bool)
    allowed[..., 1, :] = False
    allowed[..., 2, 3:] = False
    added = np.where(allowed, 0, -np.inf)
    expected = attention(query, key, value, added)
    assert np.isnan(expected[..., 1, :]).all()
    assert not np.isnan(expected[..., 2, :]).any()
    mask = allowed if form == "bool" else added.astype(np.float32)

    def body(x0: object, x1: object, x2: object) -> object:
        return mb.scaled_dot_product_attention(query=x0, key=x1, value=x2, attn_mask=mask)

    check_op("scaled_dot_product_attention", body, [query, key, value], expected, target="iOS18")


def test_attention_of_large_scores_does_not_overflow() -> None:
    query, key, value = values(0, 1, 4, 8) * 1000, values(1, 1, 5, 8) * 1000, values(2, 1, 5, 6)
    body = lambda x0, x1, x2: mb.scaled_dot_product_attention(query=x0, key=x1, value=x2)  # noqa: E731 - as the builder takes it
    check_op("scaled_dot_product_attention", body, [query, key, value], attention(query, key, value), target="iOS18")
