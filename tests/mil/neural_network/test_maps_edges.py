"""Layers over maps in networks of any rank, where sequence and batch are axes of their own; and fields that a file leaves out."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from fcrn_mobile.mil import MilError
from tests.mil.neural_network.build import builder, close, load, random, run

#: Sequence × batch × channels × height × width, each of another length.
X = random(2, 3, 4, 5, 6)
AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("x", [X, X[0, 0]])
def test_reductions_count_their_axes_from_the_last(axis: str, x: NDArray[Any]) -> None:
    close(run(lambda b: b.add_reduce("r", "x0", "y", axis, "sum"), x, exact=True), x.sum(AXES[axis], keepdims=True), 1e-4)
    if len(AXES[axis]) == 1:
        actual = run(lambda b: b.add_reduce("r", "x0", "y", axis, "argmax"), x, exact=True)
        close(actual, x.argmax(AXES[axis][0], keepdims=True))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (3, 2, 0, 1), (0, 3, 1, 2)])
def test_axes_are_ordered_around_the_batch(order: tuple[int, ...]) -> None:
    """The layer's axes are sequence, channels, height, width."""
    place = [(0, 2, 3, 4)[axis] for axis in order]
    actual = run(lambda b: b.add_permute("p", order, "x0", "y"), X, exact=True)
    close(actual, X.transpose(place[0], 1, *place[1:]))


def test_orders_that_are_none_are_refused() -> None:
    for x, order, reason in ((X, (0, 1, 1, 3), r"\[0, 1, 1, 3\] do not order"), (X[0, 0], (0, 1, 2, 3), "axes of 4×5×6")):
        with pytest.raises(MilError, match=f"layer 'p' .*{reason}"):
            run(lambda b, o=order: b.add_permute("p", o, "x0", "y"), x, exact=True)
    with pytest.raises(MilError, match="moves the sequence of a batch of several"):
        run(lambda b: b.add_permute("p", (1, 0, 2, 3), "x0", "y"), X)
    close(run(lambda b: b.add_permute("p", (0, 3, 1, 2), "x0", "y"), X), X.transpose(0, 1, 4, 2, 3))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("x", [X, X[0], X[0, 0], X[:1, :1]])
def test_flattened_maps_keep_what_leads_them(x: NDArray[Any], last: bool) -> None:
    rows = np.moveaxis(x, -3, -1) if last else x
    actual = run(lambda b: b.add_flatten("f", int(last), "x0", "y"), x, exact=True)
    close(actual, rows.reshape(*x.shape[:-3], 120, 1, 1))


@pytest.mark.parametrize("last", [False, True])
def test_maps_of_open_sizes_are_flattened(last: bool) -> None:
    built = builder({"x0": (4, 5, 6)})
    built.add_flatten("f", int(last), "x0", "y")
    array = built.spec.description.input[0].type.multiArrayType
    for low, high in ((4, 4), (1, 20), (1, -1)):
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    program = load(built.spec)
    for size in ((5, 6), (2, 9)):
        x = random(4, *size)
        close(program.predict({"x0": x})["y"].reshape(-1), (x.transpose(1, 2, 0) if last else x).reshape(-1))


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("x", "lead"), [(X[:1, :1], (1, 1)), (X[:1, 0], (1,)), (X[0, :1], (1,)), (X[:, :1], (2, 1))])
def test_reshaped_maps_keep_their_axes(x: NDArray[Any], lead: tuple[int, ...], last: bool) -> None:
    rows = np.moveaxis(x, -3, -1).reshape(*lead, 5, 8, 3) if last else x.reshape(*lead, 3, 5, 8)
    actual = run(lambda b: b.add_reshape("r", "x0", "y", (3, 5, 8), int(last)), x, exact=True)
    close(actual, np.moveaxis(rows, -1, -3) if last else rows)


def test_a_reshape_may_name_the_length_of_the_sequence() -> None:
    close(run(lambda b: b.add_reshape("r", "x0", "y", (4, 2, 5, 6), 0), X[:, :1], exact=True), X[:, :1].reshape(4, 1, 2, 5, 6))
    built = builder({"x0": (4, 5, 6)})
    built.add_reshape("r", "x0", "y", (3, 5, 8), 0)
    built.nn_spec.layers[-1].reshape.targetShape[:] = [20, 6]
    with pytest.raises(MilError, match="target 20×6 has 2 lengths where it takes 3 or 4"):
        load(built.spec)


def test_sequences_are_joined_and_repeated_along_their_own_axis() -> None:
    other = random(5, 3, 4, 5, 6, seed=1)
    close(run(lambda b: b.add_sequence_repeat("r", 3, "x0", "y"), X, exact=True), np.tile(X, (3, 1, 1, 1, 1)))
    joined = run(lambda b: b.add_elementwise("c", ["x0", "x1"], "y", "SEQUENCE_CONCAT"), X, other, exact=True)
    close(joined, np.concatenate([X, other]))
    for body in (lambda b: b.add_sequence_repeat("r", 3, "x0", "y"), lambda b: b.add_elementwise("r", ["x0"] * 2, "y", "SEQUENCE_CONCAT")):
        with pytest.raises(MilError, match=r"layer 'r' .*sequences?, which 3×4×5×6 has none of"):
            run(body, X[0], exact=True)


def test_a_stored_map_has_the_axes_of_a_sequence() -> None:
    stored = random(4, 5, 6, seed=1)

    def body(b: Any) -> None:
        b.add_load_constant("c", "y", stored, [4, 5, 6])

    close(run(body, X, exact=True), stored[None, None])


@pytest.mark.parametrize("x", [X, X[0], X[0, 0]])
def test_layers_of_maps_take_whatever_leads_them(x: NDArray[Any]) -> None:
    weight = random(3, 3, 4, 2, seed=1)
    images = torch.from_numpy(x.reshape(-1, 4, 5, 6))
    actual = run(
        lambda b: b.add_convolution("c", 4, 2, 3, 3, 1, 1, "valid", 1, weight, None, False, input_name="x0", output_name="y"), x, exact=True
    )
    close(actual, F.conv2d(images, torch.from_numpy(weight).permute(3, 2, 0, 1)).reshape(*x.shape[:-3], 2, 3, 4))


def _left_out(body: Any, layer: str, *fields: str) -> Any:
    def build(built: Any) -> None:
        body(built)
        for field in fields:
            getattr(built.nn_spec.layers[-1], layer).ClearField(field)

    return build


def test_fields_that_a_file_leaves_out_have_the_values_of_the_specification() -> None:
    """Defaults of NeuralNetwork.proto: kernels of 3×3, steps of 1, no holes, k of 1, epsilons that are small."""
    x, weight = X[0, 0], random(3, 3, 4, 2, seed=1)
    image, kernels = torch.from_numpy(x[None]), torch.from_numpy(weight).permute(3, 2, 0, 1)
    body = _left_out(
        lambda b: b.add_convolution("c", 4, 2, 3, 3, 2, 2, "valid", 1, weight, None, False, False, None, "x0", "y", [2, 2]),
        "convolution", "stride", "kernelSize", "dilationFactor", "nGroups",
    )  # fmt: skip
    close(run(body, x), F.conv2d(image, kernels)[0])
    body = _left_out(lambda b: b.add_pooling("p", 2, 2, 2, 2, "MAX", "VALID", "x0", "y"), "pooling", "kernelSize", "stride")
    close(run(body, x), F.max_pool2d(image, 3, 1)[0])
    body = _left_out(lambda b: b.add_lrn("l", "x0", "y", 0.3, 0.7, 3, 5.0), "lrn", "k")
    close(run(body, x), F.local_response_norm(image, 3, 0.3, 0.7, 1.0)[0])
    body = _left_out(lambda b: b.add_sequence_repeat("r", 3, "x0", "y"), "sequenceRepeat", "nRepetitions")
    close(run(body, X, exact=True), X)
    body = _left_out(lambda b: b.add_slice("s", "x0", "y", "height", 1, 4, 2), "slice", "stride")
    close(run(body, x), x[:, 1:4])
    body = _left_out(lambda b: b.add_crop("c", 0, 0, 0, 0, [1, 2], ["x0", "x1"], "y"), "crop", "offset")
    close(run(body, x, random(1, 3, 2)), x[:, :3, :2])


def test_epsilons_that_a_file_leaves_out_are_those_of_the_specification() -> None:
    """1e-5 of batch norms, 1e-6 of the others, beside numbers small enough to show it."""
    x = 1e-3 * X[0, 0]
    axes, wide = (1, 2), np.s_[:, None, None]
    body = _left_out(lambda b: b.add_mvn("m", "x0", "y", False, True, 0.5), "mvn", "epsilon")
    close(run(body, x), (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-6), 1e-4)
    body = _left_out(lambda b: b.add_l2_normalize("l", "x0", "y", 0.5), "l2normalize", "epsilon")
    close(run(body, x / 10), x / 10 / np.sqrt((x**2).sum() / 100 + 1e-6), 1e-4)
    zeros, ones, variance = np.zeros(4, np.float32), np.ones(4, np.float32), np.full(4, 1e-6, np.float32)
    body = _left_out(lambda b: b.add_batchnorm("n", 4, ones, zeros, zeros, variance, "x0", "y", epsilon=0.5), "batchnorm", "epsilon")
    close(run(body, x), x / np.sqrt(variance + 1e-5)[wide], 1e-4)
    for kind, formula in (("rsqrt", lambda v: 1 / np.sqrt(v + 1e-6)), ("inverse", lambda v: 1 / (v + 1e-6))):
        body = _left_out(lambda b, k=kind: b.add_unary("u", "x0", "y", k, epsilon=0.5), "unary", "epsilon")
        close(run(body, np.abs(x) + 1e-6), formula(np.abs(x) + 1e-6), 1e-4)
    body = _left_out(lambda b: b.add_unary("u", "x0", "y", "abs", scale=3.0), "unary", "scale")
    close(run(body, x), np.abs(x))


def test_layers_of_other_axes_are_refused() -> None:
    with pytest.raises(MilError, match=r"layer 'n' .*it has 4 channels, 5×6×4 has 5"):
        run(lambda b: b.add_batchnorm("n", 4, *[np.ones(4, np.float32)] * 4, "x0", "y"), random(5, 6, 4), exact=True)
    with pytest.raises(MilError, match=r"layer 'l' .*at least 3 axes .*not 5×6"):
        run(lambda b: b.add_lrn("l", "x0", "y", 0.3, 0.7, 3), random(5, 6), exact=True)
    built = builder({"x0": (4, 5, 6)})
    built.add_load_constant("c", "c", random(4, 5, 6), [4, 5, 6])
    built.nn_spec.layers[-1].loadConstant.shape[:] = [20, 6]
    with pytest.raises(MilError, match="shape 20×6 where channels × height × width"):
        load(built.spec)


@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 1, 4), (3, 4, 1)])
def test_an_inner_product_takes_maps_of_any_sizes_of_as_many_pixels(shape: tuple[int, ...]) -> None:
    weight = random(5, 12, seed=1)
    built = builder({"x0": (3, 2, 2)})
    built.add_inner_product("i", weight, None, 12, 5, False, "x0", "y")
    array = built.spec.description.input[0].type.multiArrayType
    for each in ((3, 2, 2), (3, 1, 4), (3, 4, 1)):
        array.enumeratedShapes.shapes.add(shape=each)
    x = random(*shape)
    close(load(built.spec).predict({"x0": x})["y"].reshape(5), weight @ x.reshape(-1))


@pytest.mark.parametrize("x", [random(2, 3, 3, 2, 2), random(4, 3, 2, 2)])
def test_an_inner_product_keeps_what_leads_the_maps(x: NDArray[Any]) -> None:
    weight, bias = random(5, 12, seed=1), random(5, seed=2)
    actual = run(lambda b: b.add_inner_product("i", weight, bias, 12, 5, True, "x0", "y"), x, exact=True)
    close(actual, (x.reshape(*x.shape[:-3], 12) @ weight.T + bias)[..., None, None])
