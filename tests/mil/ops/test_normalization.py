"""Normalizations against their formulas in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil.ops.normalization import OPERATORS
from tests.mil.build import check_op, mb

IMAGES = st.lists(st.integers(1, 5), min_size=3, max_size=5).map(tuple)
EPSILONS = st.sampled_from([None, 1e-3, 0.5])
TARGETS = st.sampled_from(["iOS15", "iOS17"])


def values(shape: tuple[int, ...] | int, seed: int, low: float = -3, high: float = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def normalized(x: np.ndarray, mean: np.ndarray, variance: np.ndarray, epsilon: float) -> np.ndarray:
    return (x.astype(np.float64) - mean) / np.sqrt(variance.astype(np.float64) + epsilon)


def affine(x: np.ndarray, arguments: dict[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """gamma·x + beta, where they are given."""
    if "gamma" in arguments:
        x = x * arguments["gamma"].reshape(shape)
    return x + arguments["beta"].reshape(shape) if "beta" in arguments else x


def chosen(gamma: bool, beta: bool, epsilon: float | None, count: tuple[int, ...] | int, seed: int) -> dict[str, np.ndarray]:
    arguments = {"gamma": values(count, seed + 1)} if gamma else {}
    if beta:
        arguments["beta"] = values(count, seed + 2)
    if epsilon is not None:
        arguments["epsilon"] = np.float32(epsilon)
    return arguments


@settings(max_examples=25, deadline=None)
@given(shape=IMAGES, seed=st.integers(0, 99), gamma=st.booleans(), beta=st.booleans(), epsilon=EPSILONS, target=TARGETS)
def test_batch_norm(shape: tuple[int, ...], seed: int, gamma: bool, beta: bool, epsilon: float | None, target: str) -> None:
    x, mean, variance = values(shape, seed), values(shape[1], seed + 3), values(shape[1], seed + 4, 0.01, 2)
    arguments = chosen(gamma, beta, epsilon, shape[1], seed)
    along = (1, -1, *[1] * (len(shape) - 2))
    expected = affine(normalized(x, mean.reshape(along), variance.reshape(along), epsilon or 1e-5), arguments, along)
    check_op("batch_norm", lambda x0: mb.batch_norm(x=x0, mean=mean, variance=variance, **arguments), [x], expected, target=target)


def test_batch_norm_of_a_zero_variance_rests_on_epsilon() -> None:
    x = np.float32([[[1.0], [0.0]]])
    zeros = np.zeros(2, np.float32)
    expected = np.float64([[[1 / np.sqrt(1e-5)], [0]]])
    check_op("batch_norm", lambda x0: mb.batch_norm(x=x0, mean=zeros, variance=zeros), [x], expected, 1e-4)
    bare = OPERATORS["batch_norm"].run(torch.from_numpy(x), torch.zeros(2), torch.zeros(2))
    np.testing.assert_allclose(bare, expected, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(shape=IMAGES, seed=st.integers(0, 99), gamma=st.booleans(), beta=st.booleans(), epsilon=EPSILONS, target=TARGETS)
def test_instance_norm(shape: tuple[int, ...], seed: int, gamma: bool, beta: bool, epsilon: float | None, target: str) -> None:
    x = values(shape, seed)
    arguments = chosen(gamma, beta, epsilon, shape[1], seed)
    spatial = tuple(range(2, len(shape)))
    wide = x.astype(np.float64)
    standard = normalized(x, wide.mean(spatial, keepdims=True), wide.var(spatial, keepdims=True), epsilon or 1e-5)
    expected = affine(standard, arguments, (1, -1, *[1] * len(spatial)))
    check_op("instance_norm", lambda x0: mb.instance_norm(x=x0, **arguments), [x], expected, 1e-4, target)


def test_instance_norm_of_a_constant_plane_is_exactly_beta() -> None:
    beta = np.float32([1, 2, 3])
    for size in (1, 7):
        x = np.tile(values((2, 3, 1, 1), 0), (1, 1, size, size))
        expected = np.broadcast_to(beta.reshape(1, 3, 1, 1), x.shape)
        check_op("instance_norm", lambda x0: mb.instance_norm(x=x0, beta=beta), [x], expected, 1e-6)
        assert not OPERATORS["instance_norm"].run(torch.from_numpy(x)).any()


@settings(max_examples=40, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=5).map(tuple),
    seed=st.integers(0, 99),
    gamma=st.booleans(),
    beta=st.booleans(),
    epsilon=EPSILONS,
    target=TARGETS,
    data=st.data(),
)
def test_layer_norm_over_any_axes(
    shape: tuple[int, ...], seed: int, gamma: bool, beta: bool, epsilon: float | None, target: str, data: st.DataObject
) -> None:
    rank = len(shape)
    axes = data.draw(st.permutations(range(rank)))[: data.draw(st.integers(1, rank))]
    lengths = tuple(shape[axis] for axis in sorted(axes))
    # coremltools' check of beta reads gamma's shape: it takes no beta alone.
    arguments = chosen(gamma or beta, beta, epsilon, lengths, seed)
    x = values(shape, seed)
    wide, over = x.astype(np.float64), tuple(axes)
    along = tuple(length if axis in axes else 1 for axis, length in enumerate(shape))
    standard = normalized(x, wide.mean(over, keepdims=True), wide.var(over, keepdims=True), epsilon or 1e-5)
    expected = affine(standard, arguments, along)
    arguments["axes"] = np.array([axis - rank if data.draw(st.booleans()) else axis for axis in axes], np.int32)
    check_op("layer_norm", lambda x0: mb.layer_norm(x=x0, **arguments), [x], expected, 1e-4, target)


def test_layer_norm_with_beta_alone_and_by_default() -> None:
    x, beta = values((2, 3, 4), 0), values(3, 1)
    wide = x.astype(np.float64)
    along = normalized(x, wide.mean(1, keepdims=True), wide.var(1, keepdims=True), 1e-5)
    actual = OPERATORS["layer_norm"].run(torch.from_numpy(x), axes=torch.tensor([1]), beta=torch.from_numpy(beta))
    np.testing.assert_allclose(actual, along + beta.reshape(1, 3, 1), rtol=1e-4, atol=1e-5)
    # The builder cannot leave axes out (it stores a range); a package may.
    whole = normalized(x, wide.mean(), wide.var(), 1e-5)
    np.testing.assert_allclose(OPERATORS["layer_norm"].run(torch.from_numpy(x)), whole, rtol=1e-4, atol=1e-5)


def test_layer_norm_of_numbers_far_from_zero_keeps_their_differences() -> None:
    x = np.float32([[4096, 4097, 4098, 4099]])
    expected = normalized(x, np.float64(4097.5), np.float64(1.25), 1e-5)
    for axis, shaped in ((1, x), (0, x.T.copy())):
        check_op("layer_norm", lambda x0, axis=axis: mb.layer_norm(x=x0, axes=[axis]), [shaped], expected if axis else expected.T)


@settings(max_examples=15, deadline=None)
@given(shape=IMAGES, seed=st.integers(0, 99), epsilon=EPSILONS, target=TARGETS)
def test_l2_norm_divides_by_the_root_over_the_last_three_axes(
    shape: tuple[int, ...], seed: int, epsilon: float | None, target: str
) -> None:
    x = values(shape, seed)
    wide = x.astype(np.float64)
    expected = wide / np.sqrt((wide**2).sum((-3, -2, -1), keepdims=True) + (epsilon or 1e-6))
    arguments = {} if epsilon is None else {"epsilon": np.float32(epsilon)}
    check_op("l2_norm", lambda x0: mb.l2_norm(x=x0, **arguments), [x], expected, target=target)


def test_l2_norm_of_zeros_is_zero_and_of_the_tiny_rests_on_epsilon() -> None:
    x = np.float32([[[[0.0]]], [[[1e-3]]]])
    expected = np.float64([[[[0]]], [[[1e-3 / np.sqrt(1e-6 + 1e-6)]]]])
    check_op("l2_norm", lambda x0: mb.l2_norm(x=x0), [x], expected)
    np.testing.assert_allclose(OPERATORS["l2_norm"].run(torch.from_numpy(x)), expected, rtol=1e-6)


def neighbours(x: np.ndarray, size: int) -> np.ndarray:
    """Sum of squares over ``size`` channels around each, an even size reaching one further back."""
    squares, channels = x.astype(np.float64) ** 2, x.shape[1]
    sums = [squares[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1].sum(1) for c in range(channels)]
    return np.stack(sums, 1)


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 6), min_size=3, max_size=4).map(tuple),
    size=st.integers(1, 7),
    seed=st.integers(0, 99),
    defaults=st.booleans(),
    target=TARGETS,
)
def test_local_response_norm(shape: tuple[int, ...], size: int, seed: int, defaults: bool, target: str) -> None:
    x = values(shape, seed) * np.float32(30)
    alpha, beta, k = (1e-4, 0.75, 1.0) if defaults else np.random.default_rng(seed).uniform(0.1, 2, 3).astype(np.float32)
    expected = x / (k + alpha / size * neighbours(x, size)) ** beta
    arguments = {} if defaults else {"alpha": alpha, "beta": beta, "k": k}
    check_op("local_response_norm", lambda x0: mb.local_response_norm(x=x0, size=size, **arguments), [x], expected, target=target)
    if defaults:
        np.testing.assert_allclose(OPERATORS["local_response_norm"].run(torch.from_numpy(x), size), expected, rtol=1e-5, atol=1e-5)


def test_constants_may_be_half_floats_since_ios17() -> None:
    x = values((2, 3, 4, 5), 0)
    half = {name: values(3, i, 0.1, 2).astype(np.float16) for i, name in enumerate(("mean", "variance", "gamma", "beta"))}
    tiny = np.float16(1e-3)
    wide = {name: value.astype(np.float64).reshape(1, 3, 1, 1) for name, value in half.items()}
    standard = normalized(x, wide["mean"], wide["variance"], float(tiny)) * wide["gamma"] + wide["beta"]
    check_op("batch_norm", lambda x0: mb.batch_norm(x=x0, **half, epsilon=tiny), [x], standard)
    scale = {"gamma": half["gamma"], "beta": half["beta"], "epsilon": tiny}
    over = x.astype(np.float64)
    for kind, axes in (("instance_norm", (2, 3)), ("layer_norm", (1,))):
        own = normalized(x, over.mean(axes, keepdims=True), over.var(axes, keepdims=True), float(tiny))
        extra = {"axes": [1]} if kind == "layer_norm" else {}
        expected = own * wide["gamma"] + wide["beta"]
        check_op(kind, lambda x0, kind=kind, extra=extra: getattr(mb, kind)(x=x0, **scale, **extra), [x], expected, 1e-4)
    check_op(
        "l2_norm", lambda x0: mb.l2_norm(x=x0, epsilon=tiny), [x], over / np.sqrt((over**2).sum((1, 2, 3), keepdims=True) + float(tiny))
    )


@pytest.mark.parametrize("kind", OPERATORS)
def test_nan_and_infinity_spoil_what_they_are_normalized_with(kind: str) -> None:
    ones = torch.ones(3)
    extra = {"batch_norm": {"mean": ones, "variance": ones}, "local_response_norm": {"size": 3}}.get(kind, {})
    for bad in (torch.nan, torch.inf):
        x = torch.rand(2, 3, 2, 2)
        x[0, 1, 0, 0] = bad
        out = OPERATORS[kind].run(x, **extra)
        assert not out[0, 1, 0, 0].isfinite(), kind
        if kind != "layer_norm":  # over all axes
            assert out[1].isfinite().all(), kind


def test_inputs_are_left_untouched() -> None:
    ones = torch.ones(3)
    extra = {"batch_norm": {"mean": ones, "variance": ones}, "local_response_norm": {"size": 3}}
    for kind, operator in OPERATORS.items():
        x = torch.linspace(-1, 1, 24).reshape(2, 3, 2, 2)
        before = x.clone()
        operator.run(x, **extra.get(kind, {}))
        assert torch.equal(x, before), kind
        assert torch.equal(ones, torch.ones(3)), kind
