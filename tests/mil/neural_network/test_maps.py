"""Layers of version 1 over maps: activations, arithmetic, normalization, layout and size, against torch and formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, random, run

_FEW = settings(max_examples=8, deadline=None)
X = random(4, 5, 6)
T = torch.from_numpy(X)

ACTIVATIONS: dict[str, tuple[Any, Callable[[torch.Tensor], torch.Tensor]]] = {
    "RELU": (None, torch.relu),
    "LEAKYRELU": ([0.3], lambda x: F.leaky_relu(x, 0.3)),
    "TANH": (None, torch.tanh),
    "SCALED_TANH": ([1.5, 0.7], lambda x: 1.5 * torch.tanh(0.7 * x)),
    "SIGMOID": (None, torch.sigmoid),
    "SIGMOID_HARD": ([0.3, 0.4], lambda x: (0.3 * x + 0.4).clamp(0, 1)),
    "LINEAR": ([1.5, -0.5], lambda x: 1.5 * x - 0.5),
    "ELU": (0.8, lambda x: F.elu(x, 0.8)),
    "THRESHOLDEDRELU": (0.4, lambda x: torch.where(x >= 0.4, x, 0.0)),
    "SOFTSIGN": (None, F.softsign),
    "SOFTPLUS": (None, F.softplus),
    "PRELU": (np.arange(4, dtype=np.float32), lambda x: F.prelu(x[None], torch.arange(4.0))[0]),
    "PARAMETRICSOFTPLUS": (
        (np.arange(1, 5, dtype=np.float32), np.ones(4, np.float32) * 2),
        lambda x: torch.arange(1.0, 5.0)[:, None, None] * torch.log1p(torch.exp(2 * x)),
    ),
}

UNARY: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x + 1e-3),
    "inverse": lambda x: 1 / (x + 1e-3),
    "power": lambda x: x**1.7,
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "threshold": lambda x: np.maximum(x, 1.7),
}


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_an_activation_is_its_formula(kind: str) -> None:
    constants, formula = ACTIVATIONS[kind]
    close(run(lambda b: b.add_activation("a", kind, "x0", "y", constants), X), formula(T))


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 1, 1), (2, 3, 4, 5, 6)])
def test_a_prelu_has_one_slope_or_one_for_each_channel(shape: tuple[int, ...], count: int, half: bool) -> None:
    x, slopes = random(*shape), np.arange(1, count + 1, dtype=np.float32) / 4

    def body(b: Any) -> None:
        b.add_activation("a", "PRELU", "x0", "y", slopes)
        if half:
            alpha = b.nn_spec.layers[-1].activation.PReLU.alpha
            alpha.ClearField("floatValue")
            alpha.float16Value = slopes.astype(np.float16).tobytes()

    close(run(body, x, exact=True), np.where(x < 0, slopes[:, None, None] * x, x))


def test_an_activation_of_no_kind_is_refused() -> None:
    def body(b: Any) -> None:
        b.add_activation("odd", "RELU", "x0", "y")
        b.nn_spec.layers[-1].activation.ClearField("ReLU")

    with pytest.raises(MilError, match=r"layer 'odd' .*activation is missing"):
        run(body, X)


@pytest.mark.parametrize(("scale", "shift", "count"), [(1.0, 0.0, 0), (2.0, 0.0, 1), (1.0, 1.0, 1), (1.0, -1.0, 1), (0.0, 0.0, 0)])
def test_a_plain_function_costs_no_operator_more(scale: float, shift: float, count: int) -> None:
    built = builder({"x0": (3,)}, exact=True)
    built.add_unary("u", "x0", "y", "exp", scale=scale, shift=shift)
    assert [operation.kind for operation in load(built.spec).operations] == ["linear_activation"] * count + ["exp"]


@pytest.mark.parametrize("kind", UNARY)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (2.0, 0.0), (1.0, 2.0), (0.5, 2.0)])
def test_a_function_takes_what_was_scaled_and_shifted(kind: str, scale: float, shift: float) -> None:
    x = np.abs(X) + 0.5
    actual = run(lambda b: b.add_unary("u", "x0", "y", kind, alpha=1.7, shift=shift, scale=scale, epsilon=1e-3), x)
    close(actual, UNARY[kind](scale * x + shift))


@pytest.mark.parametrize(
    ("mode", "combined"),
    [
        ("ADD", lambda a, b: a + b),
        ("MULTIPLY", lambda a, b: a * b),
        ("MAX", np.maximum),
        ("MIN", np.minimum),
        ("AVE", lambda a, b: (a + b) / 2),
    ],
)
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 1, 1), (1, 5, 6), (1, 1, 1)])
def test_two_maps_are_combined_with_channels_or_pixels_spread(mode: str, combined: Any, shape: tuple[int, ...]) -> None:
    other = random(*shape, seed=1)
    close(run(lambda b: b.add_elementwise("e", ["x0", "x1"], "y", mode), X, other), combined(X, other))


def test_three_tensors_are_combined_and_one_meets_a_number() -> None:
    others = [random(4, 5, 6, seed=seed) for seed in (1, 2)]
    close(run(lambda b: b.add_elementwise("e", ["x0", "x1", "x2"], "y", "AVE"), X, *others), (X + others[0] + others[1]) / 3)
    close(run(lambda b: b.add_elementwise("e", ["x0"], "y", "ADD", alpha=2.5), X), X + 2.5)
    close(run(lambda b: b.add_elementwise("e", ["x0"], "y", "MULTIPLY", alpha=2.5), X), X * 2.5)


@pytest.mark.parametrize("mode", ["MAX", "MIN", "AVE", "ADD", "MULTIPLY"])
def test_one_tensor_alone_stays_as_it_is_or_meets_the_number_of_the_layer(mode: str) -> None:
    expected = {"ADD": X + 2.5, "MULTIPLY": 2.5 * X}.get(mode, X)
    close(run(lambda b: b.add_elementwise("e", ["x0"], "y", mode, alpha=2.5), X), expected)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("mode", ["DOT", "COS"])
def test_dot_products_of_maps_are_taken_along_the_channels(mode: str, exact: bool) -> None:
    other = random(4, 5, 6, seed=1)
    x, y = (X[None, None], other[None, None]) if exact else (X, other)
    dots = (x * y).sum(-3, keepdims=True)
    if mode == "COS":
        dots /= np.linalg.norm(x, axis=-3, keepdims=True) * np.linalg.norm(y, axis=-3, keepdims=True)
    close(run(lambda b: b.add_elementwise("e", ["x0", "x1"], "y", mode), x, y, exact=exact), dots)


def test_a_dot_product_and_a_cosine() -> None:
    a, b = random(7), random(7, seed=1)
    close(run(lambda n: n.add_elementwise("e", ["x0", "x1"], "y", "DOT"), a, b).reshape(()), a @ b)
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    close(run(lambda n: n.add_elementwise("e", ["x0", "x1"], "y", "COS"), a, b).reshape(()), cosine)


@pytest.mark.parametrize("shape", [(1,), (4,), (1, 5, 6), (4, 5, 6)])
def test_stored_scales_and_biases_are_spread(shape: tuple[int, ...]) -> None:
    scale, bias = random(*shape, seed=1), random(*shape, seed=2)
    wide = (*shape, 1, 1) if len(shape) == 1 else shape
    expected = X * scale.reshape(wide) + bias.reshape(wide)
    close(run(lambda b: b.add_scale("s", scale, bias, True, "x0", "y", list(shape), list(shape)), X), expected)
    close(run(lambda b: b.add_bias("s", bias, "x0", "y", list(shape)), X), X + bias.reshape(wide))


def test_a_stored_map_is_added() -> None:
    stored = random(4, 5, 6, seed=1)

    def body(b: Any) -> None:
        b.add_load_constant("c", "c", stored, [4, 5, 6])
        b.add_elementwise("e", ["x0", "c"], "y", "ADD")

    close(run(body, X), X + stored)


def _own_statistics(built: Any, gamma: NDArray[Any], beta: NDArray[Any], instance: bool) -> None:
    """Statistics of what it reads; the builder itself writes those of each image alone."""
    built.add_batchnorm("n", 4, gamma, beta, None, None, "x0", "y", True, True, 1e-3)
    built.nn_spec.layers[0].batchnorm.instanceNormalization = instance


def test_batch_norms_with_stored_statistics_and_with_those_of_the_image() -> None:
    gamma, beta, mean, variance = random(4, seed=1), random(4, seed=2), random(4, seed=3), np.abs(random(4, seed=4)) + 0.5
    actual = run(lambda b: b.add_batchnorm("n", 4, gamma, beta, mean, variance, "x0", "y", epsilon=1e-3), X)
    close(actual, F.batch_norm(T[None], *map(torch.from_numpy, (mean, variance, gamma, beta)), eps=1e-3)[0])
    for instance in (True, False):
        actual = run(lambda b, i=instance: _own_statistics(b, gamma, beta, i), X)
        close(actual, F.instance_norm(T[None], weight=torch.from_numpy(gamma), bias=torch.from_numpy(beta), eps=1e-3)[0], 1e-4)


def test_a_batch_norm_of_a_whole_batch_takes_its_statistics_over_all_images() -> None:
    x, gamma, beta = random(3, 4, 5, 6), random(4, seed=1), random(4, seed=2)
    actual = run(lambda b: _own_statistics(b, gamma, beta, instance=False), x, exact=True)
    expected = F.batch_norm(torch.from_numpy(x), None, None, torch.from_numpy(gamma), torch.from_numpy(beta), training=True, eps=1e-3)
    close(actual, expected, 1e-4)


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("variance", [True, False])
def test_mean_and_variance_are_taken_over_a_map_or_all_of_them(across: bool, variance: bool) -> None:
    actual = run(lambda b: b.add_mvn("m", "x0", "y", across, variance, 1e-3), X)
    axes = (0, 1, 2) if across else (1, 2)
    middle = X - X.mean(axes, keepdims=True)
    close(actual, middle / np.sqrt(X.var(axes, keepdims=True) + 1e-3) if variance else middle)


def test_other_normalizations() -> None:
    close(run(lambda b: b.add_l2_normalize("l", "x0", "y", epsilon=1e-3), X), X / np.sqrt((X**2).sum() + 1e-3))
    close(run(lambda b: b.add_softmax("s", "x0", "y"), X), F.softmax(T, 0))
    actual = run(lambda b: b.add_lrn("l", "x0", "y", alpha=0.3, beta=0.7, local_size=3, k=1.5), X)
    close(actual, F.local_response_norm(T[None], 3, 0.3, 0.7, 1.5)[0])


@pytest.mark.parametrize("mode", ["CHANNEL_FIRST", "CHANNEL_LAST"])
def test_flattened_and_reshaped_in_the_order_of_channels_or_with_channels_last(mode: str) -> None:
    last = mode == "CHANNEL_LAST"
    rows = (X.transpose(1, 2, 0) if last else X).reshape(-1)
    close(run(lambda b: b.add_flatten("f", int(last), "x0", "y"), X).reshape(-1), rows)
    expected = rows.reshape(5, 8, 3).transpose(2, 0, 1) if last else rows.reshape(3, 5, 8)
    close(run(lambda b: b.add_reshape("r", "x0", "y", (3, 5, 8), int(last)), X), expected)


def test_axes_in_another_order() -> None:
    close(run(lambda b: b.add_permute("p", (0, 3, 1, 2), "x0", "y"), X), X.transpose(2, 0, 1))
    sequence = run(lambda b: b.add_permute("p", (1, 0, 2, 3), "x0", "y"), X)  # channels become the sequence
    close(sequence, X[:, None, None])


def test_joins_splits_and_repetitions() -> None:
    other = random(2, 5, 6, seed=1)
    close(run(lambda b: b.add_elementwise("c", ["x0", "x1"], "y", "CONCAT"), X, other), np.concatenate([X, other]))
    sequence = run(lambda b: b.add_elementwise("c", ["x0", "x1"], "y", "SEQUENCE_CONCAT"), X, X + 1)
    close(sequence, np.stack([X, X + 1])[:, None])
    halves = run(lambda b: b.add_split("s", "x0", ["y", "z"]), X, outputs=("y", "z"))
    for half, expected in zip(halves, np.split(X, 2), strict=True):
        close(half, expected)
    close(run(lambda b: b.add_sequence_repeat("r", 3, "x0", "y"), X), np.stack([X] * 3)[:, None])


@pytest.mark.parametrize("mode", ["SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "PIXEL_SHUFFLE"])
def test_channels_become_pixels_in_the_orders_of_the_specification(mode: str) -> None:
    x = np.arange(1.0, 17.0, dtype=np.float32).reshape(8, 1, 2)
    if mode == "PIXEL_SHUFFLE":
        expected = [[[1, 3, 2, 4], [5, 7, 6, 8]], [[9, 11, 10, 12], [13, 15, 14, 16]]]
    else:
        expected = [[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]]
    back = mode == "SPACE_TO_DEPTH"
    taken = np.array(expected, np.float32) if back else x
    close(run(lambda b: b.add_reorganize_data("r", "x0", "y", mode, 2), taken), x if back else expected)


@_FEW
@given(axis=st.sampled_from(["channel", "height", "width"]), start=st.integers(0, 1), end=st.integers(-1, 4), stride=st.integers(1, 2))
def test_slices_are_pythons(axis: str, start: int, end: int, stride: int) -> None:
    index = [slice(None)] * 3
    index[["channel", "height", "width"].index(axis)] = slice(start, end if end > 1 else -1, stride)
    actual = run(lambda b: b.add_slice("s", "x0", "y", axis, start, end if end > 1 else -1, stride), X)
    close(actual, X[tuple(index)])


@pytest.mark.parametrize(("axis", "axes"), [("CHW", (0, 1, 2)), ("HW", (1, 2)), ("C", (0,)), ("H", (1,)), ("W", (2,))])
def test_reductions_leave_axes_of_length_one(axis: str, axes: tuple[int, ...]) -> None:
    formulas: dict[str, Callable[..., NDArray[Any]]] = {
        "sum": np.sum,
        "avg": np.mean,
        "prod": np.prod,
        "sumsquare": lambda x, *r, **k: np.sum(x**2, *r, **k),
        "L1": lambda x, *r, **k: np.sum(np.abs(x), *r, **k),
        "L2": lambda x, *r, **k: np.sqrt(np.sum(x**2, *r, **k)),
        "max": np.max,
        "min": np.min,
    }
    x = np.abs(X)
    for mode, formula in formulas.items():
        close(run(lambda b, m=mode: b.add_reduce("r", "x0", "y", axis, m), x), formula(x, axes, keepdims=True), 1e-4)
    actual = run(lambda b: b.add_reduce("r", "x0", "y", axis, "logsum", 1e-3), x)
    close(actual, np.log(x + np.float32(1e-3)).sum(axes, keepdims=True), 1e-4)
    if len(axes) == 1:
        close(run(lambda b: b.add_reduce("r", "x0", "y", axis, "argmax"), x), x.argmax(axes[0], keepdims=True))


@pytest.mark.parametrize(("kind", "mode"), [("constant", "constant"), ("reflection", "reflect"), ("replication", "edge")])
def test_borders_of_a_number_a_mirror_image_or_the_edge(kind: str, mode: str) -> None:
    actual = run(lambda b: b.add_padding("p", 1, 2, 3, 0, 0.5, "x0", "y", kind), X)  # left, right, top, bottom
    values = {"constant_values": 0.5} if mode == "constant" else {}
    close(actual, np.pad(X, ((0, 0), (3, 0), (1, 2)), mode, **values))  # type: ignore[call-overload]


def test_crops_by_amounts_and_to_the_size_of_another() -> None:
    close(run(lambda b: b.add_crop("c", 1, 2, 0, 1, [0, 0], ["x0"], "y"), X), X[:, :-1, 1:-2])
    other = random(4, 3, 2, seed=1)
    close(run(lambda b: b.add_crop("c", 0, 0, 0, 0, [1, 2], ["x0", "x1"], "y"), X, other), X[:, 1:4, 2:4])


@pytest.mark.parametrize("factors", [(2, 3), (1, 2), (1.5, 2.5)])
def test_upsampling_by_whole_and_fractional_factors(factors: tuple[float, float]) -> None:
    x = random(2, 4, 6)
    image = torch.from_numpy(x[None])
    if factors[0] == int(factors[0]):
        nearest = run(lambda b: b.add_upsample("u", *factors, "x0", "y", "NN"), x)
        close(nearest, x.repeat(factors[0], 1).repeat(factors[1], 2))
    for mode, align in (("ALIGN_CORNERS_TRUE", True), ("ALIGN_CORNERS_FALSE", False)):
        actual = run(lambda b, m=mode: b.add_upsample("u", *factors, "x0", "y", "BILINEAR", m), x)
        size = [int(length * factor) for length, factor in zip(x.shape[1:], factors, strict=True)]
        close(actual, F.interpolate(image, size=size, mode="bilinear", align_corners=align)[0], 1e-4)


def test_the_default_of_bilinear_upsampling_starts_at_the_first_pixel() -> None:
    x = random(1, 1, 4)
    actual = run(lambda b: b.add_upsample("u", 1, 3, "x0", "y", "BILINEAR"), x)
    close(actual[0, 0], np.interp(np.minimum(np.arange(12) / 3, 3), np.arange(4), x[0, 0]))


@pytest.mark.parametrize("mode", ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE", "ROI_ALIGN_MODE"])
@pytest.mark.parametrize("count", [1, 3, 9])
def test_bilinear_sizes_on_the_grids_of_the_specification(mode: str, count: int) -> None:
    size, x = 5, random(1, 1, 5)
    spacing = max(1, size - 1) / count
    start, end = {
        "STRICT_ALIGN_ENDPOINTS_MODE": (0.0, size - 1.0),
        "ALIGN_ENDPOINTS_MODE": (0.0, size - 1.0) if count > 1 else ((size - 1) / 2,) * 2,
        "UPSAMPLE_MODE": (0.0, size - size / count),
        "ROI_ALIGN_MODE": (0.5 * spacing, 0.5 * spacing + (count - 1) * spacing),
    }[mode]
    grid = np.minimum(size - 1, np.linspace(start, end, count))
    actual = run(lambda b: b.add_resize_bilinear("r", "x0", "y", 1, count, mode), x)
    close(actual[0, 0], np.interp(grid, np.arange(size), x[0, 0]))


def test_boxes_are_cut_and_resized() -> None:
    box = np.array([1.0, 2.0, 3.0, 5.0], np.float32)  # first row and column, last row and column
    actual = run(
        lambda b: b.add_crop_resize("c", ["x0", "x1"], "y", 3, 4, "ALIGN_ENDPOINTS_MODE", box_indices_mode="CORNERS_HEIGHT_FIRST"), X, box
    )
    close(actual, X[:, 1:4, 2:6])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            lambda b: b.add_inner_product("odd", np.zeros((2, 9), np.float32), None, 9, 2, False, "x0", "y"),
            r"'linear' does not take 1×120, 2×9",
        ),
        (lambda b: b.add_reshape("odd", "x0", "y", (3, 5, 9), 0), "'reshape' does not take 1×4×5×6"),
        (lambda b: b.add_split("odd", "x0", ["y", "a", "b"]), "splits 1×4×5×6 into 3 parts"),
        (lambda b: b.add_bias("odd", np.zeros(3, np.float32), "x0", "y", [3]), "'add' does not take 1×4×5×6, 3×1×1"),
        (lambda b: b.add_activation("odd", "RELU", "nothing", "y"), "reads 'nothing', which no layer before it gives"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(body: Any, reason: str) -> None:
    with pytest.raises(MilError, match=f"layer 'odd'.*{reason}"):
        run(body, X)
