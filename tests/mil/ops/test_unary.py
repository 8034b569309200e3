"""Elementwise functions of one tensor against NumPy in float64."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil.ops.unary import OPERATORS
from tests.mil.build import check_op, mb, run_op

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)
ERF = np.vectorize(math.erf, otypes=[np.float64])

#: Of NumPy's name, and defined everywhere.
ANYWHERE = ("abs", "ceil", "cos", "cosh", "exp", "exp2", "floor", "round", "sign", "sin", "sinh", "square", "tanh")
#: kind → NumPy's function and the interval its argument is drawn from.
FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float, float]] = {
    **{kind: (getattr(np, kind), -9, 9) for kind in ANYWHERE},
    "acos": (np.arccos, -1, 1),
    "asin": (np.arcsin, -1, 1),
    "atan": (np.arctan, -9, 9),
    "atanh": (np.arctanh, -0.99, 0.99),
    "erf": (ERF, -4, 4),
    "sqrt": (np.sqrt, 0, 9),
    "tan": (np.tan, -1.5, 1.5),
}

#: kind → formula over x and epsilon, and the default epsilon.
WITH_EPSILON: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], float]] = {
    "inverse": (lambda x, epsilon: 1 / (x + epsilon), 1e-4),
    "log": (lambda x, epsilon: np.log(x + epsilon), 1e-45),
    "rsqrt": (lambda x, epsilon: 1 / np.sqrt(x + epsilon), 1e-12),
}

SPECIAL = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e38, -1e38, 1e-45], np.float32)


def body(kind: str, **arguments: object) -> Callable[..., object]:
    return lambda x0: getattr(mb, kind)(x=x0, **arguments)


@pytest.mark.parametrize("kind", FUNCTIONS)
@settings(max_examples=8, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99))
def test_function_equals_numpys(kind: str, shape: tuple[int, ...], seed: int) -> None:
    function, low, high = FUNCTIONS[kind]
    x = np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)
    check_op(kind, body(kind), [x], function(x.astype(np.float64)), 4e-6)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_infinity_nan_and_zero_go_where_numpy_sends_them(kind: str) -> None:
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[kind][0](SPECIAL).astype(np.float32)
    finite_angle = np.abs(SPECIAL) < 1e30 if kind in ("sin", "cos", "tan") else np.ones(len(SPECIAL), bool)
    x = np.where(finite_angle | ~np.isfinite(SPECIAL), SPECIAL, 0)  # float32 holds no such angle to the fraction of a turn
    expected = np.where(finite_angle | ~np.isfinite(SPECIAL), expected, FUNCTIONS[kind][0](np.float32(0)))
    check_op(kind, body(kind), [x.astype(np.float32)], expected)


@pytest.mark.parametrize("kind", ["asin", "atan", "atanh", "ceil", "erf", "floor", "round", "sin", "sinh", "sqrt", "tan", "tanh"])
def test_the_sign_of_zero_survives(kind: str) -> None:
    _, (actual,) = run_op(body(kind), np.array([-0.0, 0.0], np.float32))
    assert list(np.signbit(actual)) == [True, False]


def test_halves_are_rounded_to_the_even_neighbour() -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5], np.float32)
    check_op("round", body("round"), [x], np.float32([-2, -2, 0, 0, 2, 2, 4]), 0)


def test_erf_keeps_the_small_and_the_nearly_one() -> None:
    x = np.array([1e-8, 1e-4, 2.0, 3.0, 3.8], np.float32)
    _, (actual,) = run_op(body("erf"), x)
    np.testing.assert_allclose(actual, ERF(x.astype(np.float64)), rtol=2e-7)


@pytest.mark.parametrize(("kind", "expected"), [("abs", np.abs), ("sign", np.sign), ("square", np.square)])
def test_integers_stay_exact(kind: str, expected: Callable[[np.ndarray], np.ndarray]) -> None:
    x = np.array([0, 1, -1, 46340, -46341, 2**24 + 1, 2**31 - 1, -(2**31) + 1], np.int32)
    with np.errstate(over="ignore"):
        check_op(kind, body(kind), [x], expected(x), 0)


def test_two_to_an_integer_is_an_integer() -> None:
    x = np.array([0, 1, 5, 24, 25, 30, -1, -3], np.int32)
    check_op("exp2", body("exp2"), [x], np.array([1, 2, 32, 2**24, 2**25, 2**30, 0, 0], np.int32), 0)


@pytest.mark.parametrize("kind", WITH_EPSILON)
@settings(max_examples=10, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), epsilon=st.floats(0, 1, width=32), target=st.sampled_from(["iOS15", "iOS17"]))
def test_epsilon_is_added_first(kind: str, shape: tuple[int, ...], seed: int, epsilon: float, target: str) -> None:
    x = np.random.default_rng(seed).uniform(0.1, 5, shape).astype(np.float32)
    check_op(kind, body(kind, epsilon=np.float32(epsilon)), [x], WITH_EPSILON[kind][0](x.astype(np.float64), epsilon), target=target)


@pytest.mark.parametrize("kind", WITH_EPSILON)
def test_epsilon_defaults_to_what_coremltools_documents(kind: str) -> None:
    formula, epsilon = WITH_EPSILON[kind]
    x = np.array([0, 1e-6, 1e-3, 1, 1e6], np.float32)
    with np.errstate(all="ignore"):
        expected = formula(x, np.float32(epsilon))
    check_op(kind, body(kind), [x], expected)
    np.testing.assert_allclose(OPERATORS[kind].run(torch.from_numpy(x)), expected, rtol=1e-5)


@pytest.mark.parametrize("kind", WITH_EPSILON)
def test_epsilon_may_be_a_half_float_since_ios17(kind: str) -> None:
    x = np.array([0.0, 0.25, 2.0], np.float32)
    epsilon = np.float16(0.01)
    check_op(kind, body(kind, epsilon=epsilon), [x], WITH_EPSILON[kind][0](x.astype(np.float64), float(epsilon)))


def test_an_epsilon_that_half_precision_cannot_hold_is_zero() -> None:
    check_op("log", body("log"), [np.array([0, 1], np.float16)], np.float32([-np.inf, 0]))


def test_functions_with_epsilon_of_zero_negative_and_infinite_numbers() -> None:
    x = np.array([0.0, -0.0, -4.0, np.inf, -np.inf, np.nan], np.float32)
    for kind, (formula, _) in WITH_EPSILON.items():
        with np.errstate(all="ignore"):
            check_op(kind, body(kind, epsilon=np.float32(0)), [x], formula(x, np.float32(0)))


@settings(max_examples=15, deadline=None)
@given(
    shape=SHAPES,
    seed=st.integers(0, 99),
    low=st.floats(-5, 5, width=32),
    width=st.floats(0.125, 5, width=32),
    target=st.sampled_from(["iOS15", "iOS17"]),
)
def test_clip_holds_values_between_its_bounds(shape: tuple[int, ...], seed: int, low: float, width: float, target: str) -> None:
    x = np.random.default_rng(seed).uniform(-9, 9, shape).astype(np.float32)
    alpha, beta = np.float32(low), np.float32(low + width)
    check_op("clip", body("clip", alpha=alpha, beta=beta), [x], np.clip(x, alpha, beta), 0, target)


def test_clip_of_infinity_and_nan_and_with_bounds_the_wrong_way_round() -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.5], np.float32)
    check_op("clip", body("clip", alpha=np.float32(-1), beta=np.float32(2)), [x], np.float32([2, -1, np.nan, 0.5]), 0)
    unbounded = body("clip", alpha=np.float32(0), beta=np.float32(np.inf))
    check_op("clip", unbounded, [x], np.float32([np.inf, 0, np.nan, 0.5]), 0)
    # iOS 15 allows it; coremltools computes min(max(x, alpha), beta).
    check_op("clip", body("clip", alpha=np.float32(3), beta=np.float32(1)), [x], np.float32([1, 1, np.nan, 1]), 0, "iOS15")


@settings(max_examples=10, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), alpha=st.floats(-5, 5, width=32))
def test_threshold_is_a_lower_bound(shape: tuple[int, ...], seed: int, alpha: float) -> None:
    x = np.random.default_rng(seed).uniform(-9, 9, shape).astype(np.float32)
    check_op("threshold", body("threshold", alpha=np.float32(alpha)), [x], np.maximum(x, np.float32(alpha)), 0)


def test_threshold_of_integers_is_exact() -> None:
    x = np.array([2**24 - 1, 2**24, 2**24 + 1, 2**24 + 2, -5], np.int32)
    check_op("threshold", body("threshold", alpha=np.int32(2**24 + 1)), [x], np.maximum(x, 2**24 + 1), 0)


def test_inputs_are_left_untouched() -> None:
    for kind, operator in OPERATORS.items():
        x = torch.linspace(0.1, 0.9, 12).reshape(3, 4)
        before = x.clone()
        operator.run(x, **{name: torch.tensor(0.5) for name in inspect.signature(operator.run).parameters if name != "x"})
        assert torch.equal(x, before), kind
