"""Reductions and cumulative sums against NumPy."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.reduction import OPERATORS
from tests.mil.build import check_op, mb

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)

Reduction = Callable[..., np.ndarray]

#: kind → NumPy's reduction over (values, axis=…, keepdims=…).
REDUCTIONS: dict[str, Reduction] = {
    "reduce_l1_norm": lambda x, **over: np.sum(np.abs(x), **over),
    "reduce_l2_norm": lambda x, **over: np.sqrt(np.sum(np.square(x), **over)),
    "reduce_log_sum": lambda x, **over: np.log(np.sum(x, **over)),
    "reduce_log_sum_exp": lambda x, **over: np.log(np.sum(np.exp(x), **over)),
    "reduce_max": np.max,
    "reduce_mean": np.mean,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_sum": np.sum,
    "reduce_sum_square": lambda x, **over: np.sum(np.square(x), **over),
}
POSITIONS: dict[str, Reduction] = {"reduce_argmax": np.argmax, "reduce_argmin": np.argmin}


@st.composite
def axes_of(draw: st.DrawFn, rank: int) -> list[int] | None:
    """None, or some axes in any order, counted from either end."""
    chosen = draw(st.none() | st.permutations(range(rank)))
    if chosen is None:
        return None
    count = draw(st.integers(1, rank))
    return [axis - rank if draw(st.booleans()) else axis for axis in chosen[:count]]


def over(axes: list[int] | None, keep_dims: bool) -> dict[str, object]:
    return {"axis": None if axes is None else tuple(axes), "keepdims": keep_dims}


def values(kind: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float32)
    return np.abs(x) + np.float32(0.1) if kind == "reduce_log_sum" else x


@pytest.mark.parametrize("kind", REDUCTIONS)
@settings(max_examples=12, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), keep_dims=st.booleans(), data=st.data())
def test_reduction_over_any_axes(kind: str, shape: tuple[int, ...], seed: int, keep_dims: bool, data: st.DataObject) -> None:
    axes = data.draw(axes_of(len(shape)))
    x = values(kind, shape, seed)
    expected = REDUCTIONS[kind](x.astype(np.float64), **over(axes, keep_dims))
    arguments = {"keep_dims": keep_dims} if axes is None else {"keep_dims": keep_dims, "axes": axes}
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, **arguments), [x], expected, 1e-5)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_axes_and_kept_dimensions_default_to_all_and_none(kind: str) -> None:
    x = values(kind, (2, 3, 2), 3)
    expected = REDUCTIONS[kind](x.astype(np.float64))
    actual = OPERATORS[kind].run(torch.from_numpy(x))
    assert actual.shape == ()
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0), [x], expected)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_no_axes_reduce_each_element_by_itself(kind: str) -> None:
    x = values(kind, (2, 3), 4)
    expected = REDUCTIONS[kind](x[None].astype(np.float64), axis=0)
    for keep_dims in (False, True):
        actual = OPERATORS[kind].run(torch.from_numpy(x), axes=torch.zeros(0, dtype=torch.int32), keep_dims=keep_dims)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)
    np.testing.assert_allclose(OPERATORS[kind].run(torch.tensor(0.5)), REDUCTIONS[kind](np.array([0.5])), rtol=1e-6)


@pytest.mark.parametrize("kind", REDUCTIONS)
def test_infinity_and_nan_are_not_lost(kind: str) -> None:
    rows = [[1, np.inf], [-np.inf, np.inf], [np.nan, 1], [-np.inf, -np.inf], [0, 0], [np.inf, np.nan], [1e30, 1e30], [-0.0, 2]]
    x = np.array(rows, np.float32)
    with np.errstate(all="ignore"):
        expected = np.logaddexp.reduce(x, axis=1) if kind == "reduce_log_sum_exp" else REDUCTIONS[kind](x, axis=1)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, axes=[1]), [x], expected)


def test_log_sum_exp_neither_overflows_nor_underflows() -> None:
    x = np.array([[1000, 1000], [-1000, -1000], [-1e30, 88]], np.float32)
    expected = np.array([1000 + np.log(2), -1000 + np.log(2), 88])
    check_op("reduce_log_sum_exp", lambda x0: mb.reduce_log_sum_exp(x=x0, axes=[-1]), [x], expected, 1e-6)


def test_a_long_sum_of_floats_keeps_its_small_terms() -> None:
    x = np.full((1, 2**18), 0.1, np.float32)
    check_op("reduce_sum", lambda x0: mb.reduce_sum(x=x0, axes=[1]), [x], x.astype(np.float64).sum(1), 1e-6)
    check_op("reduce_mean", lambda x0: mb.reduce_mean(x=x0, axes=[1]), [x], x.astype(np.float64).mean(1), 1e-6)


#: Rows whose exact results float32 cannot hold, or whose sums and products wrap around.
WHOLE = np.array([[2**24 + 1, 1, 1], [-(2**24) - 1, -1, 2], [2**30, 2**30, 2**30], [-7, 0, 3], [-5, -4, -2], [46341, 46341, 3]], np.int32)


@pytest.mark.parametrize("kind", ["reduce_l1_norm", "reduce_max", "reduce_min", "reduce_prod", "reduce_sum", "reduce_sum_square"])
def test_integer_reductions_are_exact_and_wrap_around(kind: str) -> None:
    exact = REDUCTIONS[kind](WHOLE.astype(object), axis=1)
    wrapped = np.array([(int(value) + 2**31) % 2**32 - 2**31 for value in exact], np.int32)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, axes=[1]), [WHOLE], wrapped, 0)


def test_integer_mean_and_norm_lose_their_fraction() -> None:
    sums = [int(row.sum()) for row in WHOLE.astype(np.int64)]
    mean = [abs(total) // 3 * (1 if total > 0 else -1) for total in sums]
    check_op("reduce_mean", lambda x0: mb.reduce_mean(x=x0, axes=[1]), [WHOLE], np.array(mean, np.int32), 0)
    norm = [int(value) for value in (WHOLE.astype(np.float64) ** 2).sum(1) ** 0.5]
    check_op("reduce_l2_norm", lambda x0: mb.reduce_l2_norm(x=x0, axes=[1]), [WHOLE], np.array(norm, np.int32), 0)


def test_integer_norm_is_the_integer_root() -> None:
    # (2³⁰)² + (2³⁰ - 1)²: float64 cannot hold the square.
    x = torch.tensor([[2**30, 2**30 - 1], [3, 4], [2, 2], [0, 0], [2**30 - 1, 0]], dtype=torch.int32)
    expected = [math.isqrt(a * a + b * b) for a, b in x.tolist()]
    assert OPERATORS["reduce_l2_norm"].run(x, axes=torch.tensor([1])).tolist() == expected
    # k² - 1 is a sum of four squares; its float64 root rounds up to k.
    k = 2**30 + 3
    rest, parts = k * k - 1, []
    while rest and len(parts) < 40:
        parts.append(min(math.isqrt(rest), 2**31 - 1))
        rest -= parts[-1] ** 2
    assert rest == 0
    assert math.floor(math.sqrt(k * k - 1)) == k
    assert OPERATORS["reduce_l2_norm"].run(torch.tensor(parts, dtype=torch.int32)).item() == k - 1


def test_integer_logarithms_lose_their_fraction() -> None:
    x = np.array([[1, 2, 5], [100, 900, 1000], [10, 11, 12]], np.int32)
    for kind in ("reduce_log_sum", "reduce_log_sum_exp"):
        with np.errstate(over="ignore"):
            exact = np.logaddexp.reduce(x.astype(np.float64), axis=1) if kind == "reduce_log_sum_exp" else np.log(x.sum(1))
        check_op(kind, lambda x0, kind=kind: getattr(mb, kind)(x=x0, axes=[1]), [x], np.trunc(exact).astype(np.int32), 0)


@pytest.mark.parametrize("kind", POSITIONS)
@settings(max_examples=15, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), keep_dims=st.booleans(), whole=st.booleans(), data=st.data())
def test_position_along_any_axis(kind: str, shape: tuple[int, ...], seed: int, keep_dims: bool, whole: bool, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(seed).integers(-2, 3, shape).astype(np.int32 if whole else np.float32)  # with ties: the first wins
    expected = POSITIONS[kind](x, axis=axis, keepdims=keep_dims).astype(np.int32)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, axis=axis, keep_dims=keep_dims), [x], expected, 0)


@pytest.mark.parametrize("kind", POSITIONS)
@pytest.mark.parametrize("target", ["iOS15", "iOS17"])
def test_position_defaults_to_the_last_axis_and_int32(kind: str, target: str) -> None:
    x = np.array([[2**24, 2**24 + 1, 5], [-3, -1, -2]], np.int32)
    expected = POSITIONS[kind](x, axis=-1).astype(np.int32)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0), [x], expected, 0, target)
    actual = OPERATORS[kind].run(torch.from_numpy(x))
    assert actual.dtype == torch.int32
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("kind", POSITIONS)
def test_position_of_infinity_and_nan(kind: str) -> None:
    x = np.array([[1, np.inf, 2], [np.inf, -np.inf, 0], [1, np.nan, np.inf], [-np.inf, 0, -np.inf], [0.0, -0.0, 0.0]], np.float32)
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, axis=1), [x], POSITIONS[kind](x, axis=1).astype(np.int32), 0)


@pytest.mark.parametrize("kind", POSITIONS)
def test_position_as_uint16_since_ios17(kind: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 40000)).astype(np.float32)  # beyond what int16 holds

    def body(x0: object) -> object:
        return mb.cast(x=getattr(mb, kind)(x=x0, axis=1, output_dtype="uint16"), dtype="int32")

    x[:, 39999] = 9 if kind == "reduce_argmax" else -9
    check_op(kind, body, [x], np.array([39999, 39999], np.int32), 0)
    with pytest.raises(MilError, match="'int8' are not one of int32, uint16"):
        OPERATORS[kind].run(torch.from_numpy(x), output_dtype="int8")


def test_the_extreme_of_nothing_is_refused_and_the_sum_of_nothing_is_zero() -> None:
    x = torch.zeros(2, 0, 3)
    along = {"axes": torch.tensor([1])}
    for kind in ("reduce_max", "reduce_min"):
        with pytest.raises(MilError, match="of nothing is not defined: a tensor of shape 2×0×3"):
            OPERATORS[kind].run(x, **along)
    for kind in POSITIONS:
        with pytest.raises(MilError, match="2×0×3"):
            OPERATORS[kind].run(x, axis=torch.tensor(1))
    with pytest.raises(MilError, match="mean of integers"):
        OPERATORS["reduce_mean"].run(x.int(), **along)
    empty = {
        "reduce_sum": 0,
        "reduce_prod": 1,
        "reduce_l1_norm": 0,
        "reduce_l2_norm": 0,
        "reduce_sum_square": 0,
        "reduce_log_sum_exp": -torch.inf,
    }
    for kind, value in empty.items():
        assert torch.equal(OPERATORS[kind].run(x, **along), torch.full((2, 3), float(value))), kind
    assert OPERATORS["reduce_max"].run(x, axes=torch.tensor([0])).shape == (0, 3)
    assert OPERATORS["reduce_mean"].run(x.int(), axes=torch.tensor([0])).shape == (0, 3)
    assert OPERATORS["reduce_mean"].run(x, **along).isnan().all()


@settings(max_examples=40, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), exclusive=st.booleans(), reverse=st.booleans(), whole=st.booleans(), data=st.data())
def test_cumulative_sum(shape: tuple[int, ...], seed: int, exclusive: bool, reverse: bool, whole: bool, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-1, len(shape) - 1))
    x = np.random.default_rng(seed).uniform(-99, 99, shape).astype(np.int32 if whole else np.float32)
    lines = np.moveaxis(x.astype(np.float64), axis, -1)
    expected = np.zeros_like(lines)
    for i in range(lines.shape[-1]):
        before = lines[..., i + exclusive :] if reverse else lines[..., : i + 1 - exclusive]
        expected[..., i] = before.sum(-1)
    arguments = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
    check_op("cumsum", lambda x0: mb.cumsum(x=x0, **arguments), [x], np.moveaxis(expected, -1, axis).astype(x.dtype), 1e-5)


def test_cumulative_sum_defaults_to_the_first_axis_from_its_start() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    expected = np.float32([[0, 1], [2, 4], [6, 9]])
    check_op("cumsum", lambda x0: mb.cumsum(x=x0), [x], expected, 0)
    assert torch.equal(OPERATORS["cumsum"].run(torch.from_numpy(x)), torch.from_numpy(expected))


def test_an_exclusive_sum_does_not_subtract_what_it_leaves_out() -> None:
    x = np.array([1, 1e20, 3, np.inf, 5], np.float32)
    check_op("cumsum", lambda x0: mb.cumsum(x=x0, exclusive=True), [x], np.float32([0, 1, 1e20, 1e20, np.inf]), 0)


def test_cumulative_sum_of_integers_is_exact_and_of_nothing_is_nothing() -> None:
    x = np.array([2**24, 1, 2, 2**30, 2**30], np.int32)
    exact = np.cumsum(x.astype(np.int64))
    check_op("cumsum", lambda x0: mb.cumsum(x=x0), [x], exact.astype(np.int32), 0)
    assert OPERATORS["cumsum"].run(torch.zeros(2, 0), axis=1, exclusive=True).shape == (2, 0)


def test_inputs_are_left_untouched() -> None:
    for kind, operator in OPERATORS.items():
        x = torch.linspace(0.1, 0.9, 12).reshape(3, 4)
        before = x.clone()
        operator.run(x)
        assert torch.equal(x, before), kind
