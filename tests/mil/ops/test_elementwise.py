"""Arithmetic, comparison, logic, selection and casts against NumPy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import BroadcastableShapes, mutually_broadcastable_shapes

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.elementwise import OPERATORS
from tests.mil.build import check_op, mb, run_op

PAIRS = mutually_broadcastable_shapes(num_shapes=2, min_dims=1, max_dims=5, min_side=1, max_side=3)
TRIPLES = mutually_broadcastable_shapes(num_shapes=3, min_dims=1, max_dims=4, min_side=1, max_side=3)

ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "add": np.add,
    "floor_div": np.floor_divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "mul": np.multiply,
    "real_div": np.divide,
    "sub": np.subtract,
}

COMPARISONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "equal": np.equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "not_equal": np.not_equal,
}

LOGIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}

EDGES = np.array([-(2**31), -(2**31) + 1, -(2**24) - 1, -7, -1, 0, 1, 3, 2**24 + 1, 2**31 - 1], np.int32)
SPECIAL = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 7.5, -7.5, 0.1, 1e38, -1e38], np.float32)


def binary(kind: str) -> Callable[..., object]:
    return lambda x0, x1: getattr(mb, kind)(x=x0, y=x1)


def as_int(kind: str) -> Callable[..., object]:
    """Comparisons yield booleans, which no package can output."""
    return lambda x0, x1: mb.cast(x=getattr(mb, kind)(x=x0, y=x1), dtype="int32")


def wide_grid(values: np.ndarray, divisor: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of these values; pairs whose divisor is zero left out."""
    x, y = (side.ravel() for side in np.meshgrid(values, values))
    return (x[y != 0], y[y != 0]) if divisor else (x, y)


def floats(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-9, 9, shape).astype(np.float32)


@pytest.mark.parametrize("kind", ARITHMETIC)
@settings(max_examples=12, deadline=None)
@given(shapes=PAIRS, seed=st.integers(0, 99))
def test_float_arithmetic_with_broadcasting(kind: str, shapes: BroadcastableShapes, seed: int) -> None:
    x, y = (floats(shape, seed + i) for i, shape in enumerate(shapes.input_shapes))
    check_op(kind, binary(kind), [x, y], ARITHMETIC[kind](x, y), 1e-6)


@pytest.mark.parametrize("kind", ARITHMETIC)
def test_float_arithmetic_of_infinity_nan_and_zero(kind: str) -> None:
    x, y = wide_grid(SPECIAL)
    with np.errstate(all="ignore"):
        check_op(kind, binary(kind), [x, y], ARITHMETIC[kind](x, y), 1e-6)


def test_floats_divided_by_zero_are_infinite_with_the_sign_of_both() -> None:
    x, y = np.float32([1, -1, 1, -1, 0]), np.float32([0.0, 0.0, -0.0, -0.0, 0.0])
    check_op("real_div", binary("real_div"), [x, y], np.float32([np.inf, -np.inf, -np.inf, np.inf, np.nan]))


@pytest.mark.parametrize("kind", ["add", "maximum", "minimum", "mul", "sub"])
def test_integer_arithmetic_is_exact_and_wraps_around(kind: str) -> None:
    x, y = wide_grid(EDGES)
    with np.errstate(over="ignore"):
        check_op(kind, binary(kind), [x, y], ARITHMETIC[kind](x, y), 0)


@pytest.mark.parametrize("kind", ["floor_div", "mod", "real_div"])
def test_integer_division_is_exact(kind: str) -> None:
    x, y = wide_grid(EDGES, divisor=True)
    pairs = list(zip(x.tolist(), y.tolist(), strict=True))
    if kind == "real_div":
        exact = [abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) for a, b in pairs]  # the fraction cut off
    else:
        exact = [a // b if kind == "floor_div" else a % b for a, b in pairs]
    check_op(kind, binary(kind), [x, y], np.array(exact, np.int64).astype(np.int32), 0)


@pytest.mark.parametrize("kind", ["floor_div", "mod", "real_div"])
def test_integers_divided_by_zero_are_refused_by_name(kind: str) -> None:
    with pytest.raises(MilError, match=f"{kind} divides integers by zero"):
        run_op(binary(kind), np.array([1, 2], np.int32), np.array([1, 0], np.int32))


def test_division_rounds_towards_negative_infinity_and_the_remainder_has_the_divisors_sign() -> None:
    x, y = np.float32([7, -7, 7, -7, 6, -0.5]), np.float32([2, 2, -2, -2, -3, 2])
    check_op("floor_div", binary("floor_div"), [x, y], np.float32([3, -4, -4, 3, -2, -1]), 0)
    check_op("mod", binary("mod"), [x, y], np.float32([1, 1, -1, -1, 0, 1.5]), 0)


@pytest.mark.parametrize("kind", [*ARITHMETIC, "pow"])
def test_one_number_is_broadcast_over_a_tensor(kind: str) -> None:
    x = np.abs(floats((2, 3), 1)) + 0.5
    function = np.power if kind == "pow" else ARITHMETIC[kind]
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, y=np.float32(1.7)), [x], function(x, np.float32(1.7)), 1e-6)
    check_op(kind, lambda x0: getattr(mb, kind)(x=np.float32(1.7), y=x0), [x], function(np.float32(1.7), x), 1e-6)


@settings(max_examples=15, deadline=None)
@given(shapes=PAIRS, seed=st.integers(0, 99))
def test_power_with_broadcasting(shapes: BroadcastableShapes, seed: int) -> None:
    x, y = (floats(shape, seed + i) / 3 for i, shape in enumerate(shapes.input_shapes))
    x = np.abs(x) + np.float32(0.1)
    check_op("pow", binary("pow"), [x, y], np.power(x.astype(np.float64), y.astype(np.float64)))


@pytest.mark.parametrize("exponent", [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 7.0])
def test_power_to_one_number_of_all_kinds_of_numbers(exponent: float) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, -1.5, 2.5, 1e30, -1e-30], np.float32)
    with np.errstate(all="ignore"):
        expected = np.power(x.astype(np.float64), np.full(x.shape, exponent)).astype(np.float32)  # of one number NumPy would take the root
    _, (actual,) = run_op(lambda x0: mb.pow(x=x0, y=np.float32(exponent)), x)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    assert list(np.signbit(actual[expected == 0])) == list(np.signbit(expected[expected == 0]))


def test_power_of_integers_is_exact() -> None:
    x, y = np.array([3, -3, 7, 46340, 2, 0, -1], np.int32), np.array([19, 19, 11, 2, 30, 0, 5], np.int32)
    exact = [a**b for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    check_op("pow", binary("pow"), [x, y], np.array(exact, np.int64).astype(np.int32), 0)


@pytest.mark.parametrize("kind", COMPARISONS)
@settings(max_examples=10, deadline=None)
@given(shapes=PAIRS, seed=st.integers(0, 99), whole=st.booleans())
def test_comparison_with_broadcasting(kind: str, shapes: BroadcastableShapes, seed: int, whole: bool) -> None:
    dtype = np.int32 if whole else np.float32
    x, y = (np.random.default_rng(seed + i).integers(-2, 3, shape).astype(dtype) for i, shape in enumerate(shapes.input_shapes))
    check_op(kind, as_int(kind), [x, y], COMPARISONS[kind](x, y).astype(np.int32), 0)


@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparison_of_large_integers_and_of_nan(kind: str) -> None:
    for values in (EDGES, np.array([2**24, 2**24 + 1], np.int32), SPECIAL):
        x, y = wide_grid(values)
        check_op(kind, as_int(kind), [x, y], COMPARISONS[kind](x, y).astype(np.int32), 0)


@pytest.mark.parametrize("kind", LOGIC)
@settings(max_examples=10, deadline=None)
@given(shapes=PAIRS, seed=st.integers(0, 99))
def test_logic_with_broadcasting(kind: str, shapes: BroadcastableShapes, seed: int) -> None:
    x, y = (np.random.default_rng(seed + i).integers(0, 2, shape).astype(np.int32) for i, shape in enumerate(shapes.input_shapes))

    def body(x0: object, x1: object) -> object:
        result = getattr(mb, kind)(x=mb.cast(x=x0, dtype="bool"), y=mb.cast(x=x1, dtype="bool"))
        return mb.cast(x=result, dtype="int32")

    check_op(kind, body, [x, y], LOGIC[kind](x, y).astype(np.int32), 0)


@pytest.mark.parametrize("kind", LOGIC)
@pytest.mark.parametrize("constant", [True, False])
def test_logic_with_a_constant(kind: str, constant: bool) -> None:
    x = np.array([0, 1, 5], np.int32)

    def body(x0: object) -> object:
        truth = mb.cast(x=x0, dtype="bool")
        return mb.cast(x=getattr(mb, kind)(x=getattr(mb, kind)(x=truth, y=constant), y=truth), dtype="int32")

    check_op(kind, body, [x], LOGIC[kind](LOGIC[kind](x, constant), x).astype(np.int32), 0)


def test_logical_not() -> None:
    def body(x0: object) -> object:
        return mb.cast(x=mb.logical_not(x=mb.cast(x=x0, dtype="bool")), dtype="fp32")

    check_op("logical_not", body, [np.array([[0, 1, -3]], np.int32)], np.float32([[1, 0, 0]]), 0)
    assert OPERATORS["logical_not"].run(True).item() is False


@settings(max_examples=20, deadline=None)
@given(shapes=TRIPLES, seed=st.integers(0, 99), whole=st.booleans())
def test_select_with_broadcasting(shapes: BroadcastableShapes, seed: int, whole: bool) -> None:
    cond_shape, a_shape, b_shape = shapes.input_shapes
    dtype = np.int32 if whole else np.float32
    generator = np.random.default_rng(seed)
    cond = generator.integers(0, 2, cond_shape).astype(np.int32)
    a, b = ((generator.uniform(-1, 1, shape) * 2**30).astype(dtype) for shape in (a_shape, b_shape))
    expected = np.where(cond, a, b)

    def body(x0: object, x1: object, x2: object) -> object:
        # coremltools declares a shape without the condition's; what is computed from such a result is still right.
        return mb.mul(x=mb.select(cond=mb.cast(x=x0, dtype="bool"), a=x1, b=x2), y=dtype(1))

    check_op("select", body, [cond, a, b], expected, 0)


def test_select_never_mixes_what_it_leaves_out() -> None:
    cond, a, b = np.array([1, 0, 1], np.int32), np.float32([1, np.nan, -np.inf]), np.float32([np.inf, 2, np.nan])
    body = lambda x0, x1, x2: mb.select(cond=mb.cast(x=x0, dtype="bool"), a=x1, b=x2)  # noqa: E731 - as the builder takes it
    check_op("select", body, [cond, a, b], np.float32([1, 2, -np.inf]), 0)


def test_select_with_constants_and_booleans() -> None:
    x = np.array([[0, 1, 2]], np.int32)

    def constant_condition(x0: object) -> object:
        return mb.select(cond=True, a=x0, b=np.int32(7))

    def booleans(x0: object) -> object:
        truth = mb.cast(x=x0, dtype="bool")
        return mb.cast(x=mb.select(cond=truth, a=False, b=mb.logical_not(x=truth)), dtype="int32")

    check_op("select", constant_condition, [x], x, 0)
    check_op("select", booleans, [x], np.array([[1, 0, 0]], np.int32), 0)


def test_select_without_values_finds_where_the_condition_holds() -> None:
    cond = np.random.default_rng(0).integers(0, 2, (3, 4)).astype(bool)
    found = OPERATORS["select"].run(torch.from_numpy(cond))
    np.testing.assert_array_equal(found, np.argwhere(cond))
    assert found.dtype == torch.int32
    with pytest.raises(MilError, match="only 'a'"):
        OPERATORS["select"].run(torch.from_numpy(cond), torch.ones(3, 4))


FLOATS = np.array([-1e10, -3e9, -129.5, -2.7, -0.9, -0.0, 0.3, 2.7, 127.9, 255.9, 40000.5, 3e9, np.inf, -np.inf, np.nan], np.float32)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_floats_become_integers_without_fraction_and_saturate(dtype: str) -> None:
    limits = np.iinfo(dtype)
    expected = np.clip(np.trunc(np.nan_to_num(FLOATS.astype(np.float64), nan=0)), limits.min, limits.max).astype(np.int32)
    check_op("cast", lambda x0: mb.cast(x=mb.cast(x=x0, dtype=dtype), dtype="int32"), [FLOATS], expected, 0)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_integers_that_do_not_fit_wrap_around(dtype: str) -> None:
    x = np.array([-(2**31), -40000, -129, -1, 0, 127, 128, 255, 256, 65535, 65536, 2**31 - 1], np.int32)
    check_op("cast", lambda x0: mb.cast(x=mb.cast(x=x0, dtype=dtype), dtype="int32"), [x], x.astype(dtype).astype(np.int32), 0)


@pytest.mark.parametrize("target", ["iOS15", "iOS17"])
def test_casts_between_floats_integers_and_booleans(target: str) -> None:
    x = np.float32([-2.5, -0.0, 0, 1e-45, np.nan, 7])
    for via in ("bool", "fp32"):
        twice = x.astype(bool) if via == "bool" else x
        expected = np.nan_to_num(twice.astype(np.float32)).astype(np.int32)

        def body(x0: object, via: str = via) -> object:
            return mb.cast(x=mb.cast(x=x0, dtype=via), dtype="int32")

        check_op("cast", body, [x], expected, 0, target)
    whole = np.array([3, 0, -4], np.int32)
    for dtype, expected in (("fp32", whole.astype(np.float32)), ("bool", np.float32([1, 0, 1]))):
        check_op("cast", lambda x0, dtype=dtype: mb.cast(x=mb.cast(x=x0, dtype=dtype), dtype="fp32"), [whole], expected, 0, target)


def test_a_cast_to_an_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(MilError, match="'fp64' is not supported: known are bool, fp16"):
        OPERATORS["cast"].run(torch.ones(2), "fp64")


def test_identity() -> None:
    x = floats((2, 3), 0)
    check_op("identity", lambda x0: mb.identity(x=x0), [x], x, 0)
