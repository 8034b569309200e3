"""Activations against their formulas in float64."""

import inspect
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.activation import OPERATORS
from tests.mil.build import check_op, mb, run_op

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=5).map(tuple)
NUMBERS = st.floats(-3, 3, width=16)
ERF = np.vectorize(math.erf, otypes=[np.float64])

#: kind → formula in NumPy over float64 x, alpha, beta.
FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "clamped_relu": lambda x, alpha, beta: np.minimum(beta, np.where(x >= 0, x, alpha * x)),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x, alpha: np.where(x >= 0, x, alpha * x),
    "linear_activation": lambda x, alpha, beta: alpha * x + beta,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.minimum(np.maximum(x, 0), 6),
    "scaled_tanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sigmoid_hard": lambda x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0), 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "thresholded_relu": lambda x, alpha: np.where(x < alpha, 0, x),
}

GELU: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "EXACT": lambda x: 0.5 * x * (1 + ERF(x / math.sqrt(2))),
    "TANH_APPROXIMATION": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "SIGMOID_APPROXIMATION": lambda x: x / (1 + np.exp(-1.702 * x)),
}


def values(shape: tuple[int, ...], seed: int = 0, scale: float = 4.0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def constants(kind: str, alpha: float, beta: float) -> dict[str, float]:
    """Those of alpha and beta that this activation takes."""
    given_values = {"alpha": alpha, "beta": beta}
    return {name: given_values[name] for name in inspect.signature(FORMULAS[kind]).parameters if name != "x"}


def check(kind: str, x: np.ndarray, numbers: dict[str, float], dtype: type = np.float32, target: str = "iOS17") -> None:
    with np.errstate(all="ignore"):
        expected = FORMULAS[kind](x.astype(np.float64), **{name: float(dtype(number)) for name, number in numbers.items()})
    arguments = {name: dtype(number) for name, number in numbers.items()}
    check_op(kind, lambda x0: getattr(mb, kind)(x=x0, **arguments), [x], expected, target=target)


@pytest.mark.parametrize("kind", FORMULAS)
@settings(max_examples=10, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), alpha=NUMBERS, beta=NUMBERS)
def test_activation_equals_its_formula(kind: str, shape: tuple[int, ...], seed: int, alpha: float, beta: float) -> None:
    check(kind, values(shape, seed), constants(kind, alpha, beta))


@pytest.mark.parametrize("kind", FORMULAS)
def test_activation_of_ios15(kind: str) -> None:
    check(kind, values((2, 3)), constants(kind, 0.3, 1.7), target="iOS15")


@pytest.mark.parametrize("kind", [kind for kind in FORMULAS if constants(kind, 0, 0)])
def test_constants_may_be_half_floats_since_ios17(kind: str) -> None:
    check(kind, values((2, 3)), constants(kind, 0.3, 1.7), dtype=np.float16)


@pytest.mark.parametrize("kind", sorted(set(FORMULAS) - {"softplus", "silu", "softsign"}))
def test_infinity_and_nan_go_through_as_the_formula_says(kind: str) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e38, -1e38, 1e-45], np.float32)
    check(kind, x, constants(kind, 0.5, 2.0))


def test_smooth_activations_neither_overflow_nor_lose_their_limits() -> None:
    x = np.array([-1e30, -200, -50, -1e-30, 0, 1e-30, 50, 200, 1e30], np.float32)
    limit = np.where(x < 0, 0, x)
    for kind, expected in (("silu", limit), ("softplus", np.where(np.abs(x) < 1, np.log(2), limit)), ("softsign", x / (1 + np.abs(x)))):
        check_op(kind, lambda x0, kind=kind: getattr(mb, kind)(x=x0), [x], expected, 1e-6)
    for kind in ("silu", "softplus", "softsign"):
        _, (actual,) = run_op(lambda x0, kind=kind: getattr(mb, kind)(x=x0), np.array([np.nan], np.float32))
        assert np.isnan(actual).all()


def test_thresholded_relu_keeps_alpha_itself() -> None:
    for alpha in (0.0, 1.0, -2.5, 1e-30):
        edge = np.float32(alpha)
        x = np.array([np.nextafter(edge, np.float32(-9)), edge, np.nextafter(edge, np.float32(9))], np.float32)
        _, (actual,) = run_op(lambda x0, edge=edge: mb.thresholded_relu(x=x0, alpha=edge), x)
        np.testing.assert_array_equal(actual, [0, x[1], x[2]])


def test_clamped_relu_with_a_negative_bound_is_the_bound() -> None:
    x = np.array([-5, -1, 0, 3], np.float32)
    check_op("clamped_relu", lambda x0: mb.clamped_relu(x=x0, alpha=np.float32(1), beta=np.float32(-2)), [x], np.float32([-5, -2, -2, -2]))


@pytest.mark.parametrize("mode", GELU)
@settings(max_examples=8, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99))
def test_gelu_equals_its_formula(mode: str, shape: tuple[int, ...], seed: int) -> None:
    x = values(shape, seed)
    check_op("gelu", lambda x0: mb.gelu(x=x0, mode=mode), [x], GELU[mode](x.astype(np.float64)))


def test_gelu_is_exact_by_default_and_refuses_unknown_modes() -> None:
    x = values((50,))
    check_op("gelu", lambda x0: mb.gelu(x=x0), [x], GELU["EXACT"](x.astype(np.float64)), 2e-6)
    np.testing.assert_allclose(OPERATORS["gelu"].run(torch.from_numpy(x)), GELU["EXACT"](x.astype(np.float64)), rtol=2e-6, atol=2e-6)
    with pytest.raises(MilError, match="'FAST' is not one of EXACT"):
        OPERATORS["gelu"].run(torch.from_numpy(x), mode="FAST")


@settings(max_examples=15, deadline=None)
@given(shape=st.lists(st.integers(1, 4), min_size=3, max_size=5), seed=st.integers(0, 99), target=st.sampled_from(["iOS15", "iOS17"]))
def test_prelu_has_a_slope_per_channel(shape: list[int], seed: int, target: str) -> None:
    x = values(tuple(shape), seed)
    alpha = np.random.default_rng(seed).uniform(-1, 1, shape[1]).astype(np.float32)
    if len(shape) != 4:
        alpha[:] = alpha[0]  # coremltools takes differing slopes for images only
    slopes = alpha.reshape(1, -1, *[1] * (len(shape) - 2))
    check_op("prelu", lambda x0: mb.prelu(x=x0, alpha=alpha), [x], np.where(x > 0, x, slopes * x), target=target)


@settings(max_examples=15, deadline=None)
@given(shape=st.lists(st.integers(1, 4), min_size=3, max_size=5), seed=st.integers(0, 99), target=st.sampled_from(["iOS15", "iOS17"]))
def test_parametric_softplus_has_constants_per_channel(shape: list[int], seed: int, target: str) -> None:
    x = values(tuple(shape), seed)
    alpha, beta = np.random.default_rng(seed).uniform(-2, 2, (2, shape[1])).astype(np.float32)
    along = (1, -1, *[1] * (len(shape) - 2))
    expected = alpha.reshape(along) * np.logaddexp(0, beta.reshape(along) * x.astype(np.float64))
    check_op("softplus_parametric", lambda x0: mb.softplus_parametric(x=x0, alpha=alpha, beta=beta), [x], expected, target=target)


@settings(max_examples=20, deadline=None)
@given(shape=SHAPES, seed=st.integers(0, 99), data=st.data())
def test_softmax_along_every_axis(shape: tuple[int, ...], seed: int, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = values(shape, seed, 30)
    power = np.exp(x.astype(np.float64))
    check_op("softmax", lambda x0: mb.softmax(x=x0, axis=axis), [x], power / power.sum(axis, keepdims=True))


def test_softmax_takes_the_last_axis_by_default_and_large_values() -> None:
    x = np.array([[1e30, 1e30, -1e30], [500, 501, -np.inf]], np.float32)
    expected = np.array([[0.5, 0.5, 0], [1 / (1 + math.e), 1 / (1 + 1 / math.e), 0]])
    check_op("softmax", lambda x0: mb.softmax(x=x0), [x], expected)
    np.testing.assert_allclose(OPERATORS["softmax"].run(torch.from_numpy(x)), expected, rtol=1e-6)


def test_inputs_are_left_untouched() -> None:
    for kind in OPERATORS:
        x = torch.linspace(-3, 3, 24).reshape(2, 3, 4)
        names = inspect.signature(OPERATORS[kind].run).parameters
        per_channel = kind in ("prelu", "softplus_parametric")
        arguments = {name: torch.full((3,), 0.5) if per_channel else torch.tensor(0.5) for name in ("alpha", "beta") if name in names}
        before = x.clone()
        OPERATORS[kind].run(x, **arguments)
        assert torch.equal(x, before), kind
