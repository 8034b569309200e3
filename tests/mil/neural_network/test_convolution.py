"""Convolutions, pooling and products, against torch over parameters that hypothesis draws."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.neural_network.layers.convolution import amounts, padding, pair
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.neural_network.build import builder, close, load, random, run

with quiet_coremltools():
    from coremltools.proto.NeuralNetwork_pb2 import BorderAmounts, ConvolutionLayerParams

_SIDES = st.tuples(*[st.integers(0, 2)] * 4)
_FEW = settings(max_examples=12, deadline=None)


def _same(length: int, kernel: int, stride: int) -> int:
    """All padding that keeps ⌈length/stride⌉ windows."""
    return max((math.ceil(length / stride) - 1) * stride + kernel - length, 0)


@_FEW
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2]),
    pads=_SIDES,
    exact=st.booleans(),
)
def test_a_convolution_is_torchs(
    kernel: tuple[int, int], stride: tuple[int, int], dilation: int, groups: int, pads: tuple[int, ...], exact: bool
) -> None:
    x, weight, bias = random(4, 7, 8), random(*kernel, 4 // groups, 6, seed=1), random(6, seed=2)
    top, bottom, left, right = pads
    taken = x[None] if exact else x
    actual = run(
        lambda b: b.add_convolution(
            "c",
            4 // groups,
            6,
            *kernel,
            *stride,
            "valid",
            groups,
            weight,
            bias,
            True,
            input_name="x0",
            output_name="y",
            dilation_factors=[dilation, dilation],
            padding_top=top,
            padding_bottom=bottom,
            padding_left=left,
            padding_right=right,
        ),
        taken,
        exact=exact,
    )
    padded = F.pad(torch.from_numpy(x[None]), (left, right, top, bottom))
    kernels = torch.from_numpy(weight).permute(3, 2, 0, 1)
    expected = F.conv2d(padded, kernels, torch.from_numpy(bias), stride, 0, dilation, groups)
    close(actual, expected if exact else expected[0])


@_FEW
@given(kernel=st.integers(1, 4), stride=st.integers(1, 3), top_left=st.booleans())
def test_same_padding_puts_an_odd_line_where_it_says(kernel: int, stride: int, top_left: bool) -> None:
    x, weight = random(2, 7, 8), random(kernel, kernel, 2, 3, seed=1)
    sides, mode = (kernel, kernel, stride, stride), "TOP_LEFT_HEAVY" if top_left else "BOTTOM_RIGHT_HEAVY"
    names = {"input_name": "x0", "output_name": "y", "same_padding_asymmetry_mode": mode}
    actual = run(lambda b: b.add_convolution("c", 2, 3, *sides, "same", 1, weight, None, False, **names), x)
    pads = []
    for length in (8, 7):
        total = _same(length, kernel, stride)
        pads += [total - total // 2, total // 2] if top_left else [total // 2, total - total // 2]
    expected = F.conv2d(F.pad(torch.from_numpy(x[None]), pads), torch.from_numpy(weight).permute(3, 2, 0, 1), stride=stride)
    close(actual, expected[0])


@_FEW
@given(kernel=st.integers(1, 4), stride=st.integers(1, 3), groups=st.sampled_from([1, 2]), pad=st.integers(0, 1))
def test_a_deconvolution_is_torchs_transposed_one(kernel: int, stride: int, groups: int, pad: int) -> None:
    assume(2 * pad < kernel)
    x, weight, bias = random(4, 5, 6), random(kernel, kernel, 4, 6 // groups, seed=1), random(6, seed=2)
    sides, pads = (kernel, kernel, stride, stride), {f"padding_{side}": pad for side in ("top", "bottom", "left", "right")}
    actual = run(lambda b: b.add_convolution("c", 4, 6, *sides, "valid", groups, weight, bias, True, True, None, "x0", "y", **pads), x)
    kernels = torch.from_numpy(weight).permute(2, 3, 0, 1)
    expected = F.conv_transpose2d(torch.from_numpy(x[None]), kernels, torch.from_numpy(bias), stride, pad, 0, groups)
    close(actual, expected[0], 1e-4)


def test_a_deconvolution_with_holes_in_its_kernel_is_torchs() -> None:
    x, weight = random(2, 5, 6), random(3, 3, 2, 1, seed=1)
    actual = run(
        lambda b: b.add_convolution(
            "c", 2, 1, 3, 3, 2, 2, "valid", 1, weight, None, False, True, None, "x0", "y", dilation_factors=[3, 2], padding_left=1
        ),
        x,
    )
    kernels = torch.from_numpy(weight).permute(2, 3, 0, 1)
    close(actual, F.conv_transpose2d(torch.from_numpy(x[None]), kernels, stride=2, dilation=(3, 2))[0][:, :, 1:], 1e-4)


@pytest.mark.parametrize("size", [(9, 11), (10, 12)])
def test_a_deconvolution_gives_the_size_that_it_names(size: tuple[int, int]) -> None:
    x, weight = random(2, 5, 6), random(3, 3, 2, 1, seed=1)
    actual = run(
        lambda b: b.add_convolution("c", 2, 1, 3, 3, 2, 2, "same", 1, weight, None, False, True, size, "x0", "y"),
        x,
    )
    full = F.conv_transpose2d(torch.from_numpy(x[None]), torch.from_numpy(weight).permute(2, 3, 0, 1), stride=2)[0]
    cuts = [(whole - part) // 2 for whole, part in zip(full.shape[1:], size, strict=True)]
    close(actual, full[:, cuts[0] : cuts[0] + size[0], cuts[1] : cuts[1] + size[1]])


@_FEW
@given(
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    pad=st.integers(0, 1),
    kind=st.sampled_from(["MAX", "AVERAGE", "L2"]),
    exclude=st.booleans(),
)
def test_pooling_is_torchs(kernel: int, stride: int, pad: int, kind: str, exclude: bool) -> None:
    assume(pad <= kernel // 2)
    x = random(2, 7, 8)
    actual = run(
        lambda b: b.add_pooling(
            "p",
            kernel,
            kernel,
            stride,
            stride,
            kind,
            "VALID",
            "x0",
            "y",
            exclude_pad_area=exclude,
            padding_top=pad,
            padding_bottom=pad,
            padding_left=pad,
            padding_right=pad,
        ),
        x,
    )
    image = torch.from_numpy(x[None])
    if kind == "MAX":
        expected = F.max_pool2d(image, kernel, stride, pad)
    elif kind == "AVERAGE":
        expected = F.avg_pool2d(image, kernel, stride, pad, count_include_pad=not exclude)
    else:
        expected = (F.avg_pool2d(image**2, kernel, stride, pad, divisor_override=1)).sqrt()
    close(actual, expected[0])


def test_a_last_window_may_hang_over_the_map() -> None:
    x = random(2, 6, 6)
    actual = run(
        lambda b: b.add_pooling("p", 3, 3, 2, 2, "MAX", "INCLUDE_LAST_PIXEL", "x0", "y"),
        x,
    )
    close(actual, F.max_pool2d(torch.from_numpy(x), 3, 2, ceil_mode=True))


@pytest.mark.parametrize(("kind", "reduce"), [("MAX", np.max), ("AVERAGE", np.mean), ("L2", lambda x, axis: np.sqrt((x**2).sum(axis)))])
def test_global_pooling_leaves_one_number_per_channel(kind: str, reduce: object) -> None:
    x = random(3, 4, 5)
    actual = run(lambda b: b.add_pooling("p", 3, 3, 1, 1, kind, "VALID", "x0", "y", is_global=True), x)
    close(actual.reshape(3), reduce(x, axis=(1, 2)))  # type: ignore[operator]


@pytest.mark.parametrize("shape", [(12,), (3, 2, 2)])
def test_an_inner_product_takes_all_of_an_image(shape: tuple[int, ...]) -> None:
    x, weight, bias = random(*shape), random(5, 12, seed=1), random(5, seed=2)
    actual = run(lambda b: b.add_inner_product("i", weight, bias, 12, 5, True, "x0", "y"), x)
    close(actual.reshape(5), weight @ x.reshape(-1) + bias)


@pytest.mark.parametrize("lead", [(), (4,), (2, 3)])
def test_an_inner_product_of_few_axes_takes_the_last(lead: tuple[int, ...]) -> None:
    x, weight = random(*lead, 6), random(5, 6, seed=1)
    close(run(lambda b: b.add_inner_product("i", weight, None, 6, 5, False, "x0", "y"), x, exact=True), x @ weight.T)


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["linear", "lut", "channels"])
def test_quantized_weights_are_what_scale_and_bias_or_the_table_say(bits: int, kind: str, half: bool) -> None:
    rng = np.random.default_rng(bits)
    indices = rng.integers(0, 2**bits, (5, 7))
    if half:
        built = builder({"x0": (7,)})
        built.add_inner_product("i", indices.astype(np.float32), None, 7, 5, False, "x0", "y")
        weights = built.spec.neuralNetwork.layers[0].innerProduct.weights
        weights.ClearField("floatValue")
        weights.float16Value = indices.astype(np.float16).tobytes()
        expected = indices
    else:
        packed = np.packbits((indices.reshape(-1, 1) >> np.arange(bits - 1, -1, -1)) & 1).tobytes()
        scale, bias, table = rng.normal(size=5), rng.normal(size=5), rng.normal(size=2**bits)
        if kind == "linear":
            scale, bias = scale[:1], bias[:1]
        built = builder({"x0": (7,)})
        built.add_inner_product(
            "i",
            packed,
            None,
            7,
            5,
            False,
            "x0",
            "y",
            quantization_type="lut" if kind == "lut" else "linear",
            nbits=bits,
            quant_scale=None if kind == "lut" else scale,
            quant_bias=None if kind == "lut" else bias,
            quant_lut=table if kind == "lut" else None,
        )
        expected = table[indices] if kind == "lut" else indices * scale[:, None] + bias[:, None]
    x = random(7)
    close(load(built.spec).predict({"x0": x})["y"].reshape(5), expected @ x, 1e-4)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", ["linear", "lut"])
def test_quantized_kernels_have_a_scale_for_each_output_channel(kind: str, transposed: bool) -> None:
    draw = np.random.default_rng(1)
    indices, scale, table = draw.integers(0, 256, (2, 2, 4, 3)).astype(np.uint8), draw.random(3), draw.random(256)  # H×W×I×O
    order, x = (2, 3, 0, 1) if transposed else (3, 2, 0, 1), random(4, 5, 6)

    def body(b: Any) -> None:
        b.add_convolution("c", 4, 3, 2, 2, 1, 1, "valid", 1, indices, None, False, transposed, None, "x0", "y")
        weights = b.nn_spec.layers[-1].convolution.weights
        weights.ClearField("floatValue")
        weights.rawValue, weights.quantization.numberOfBits = indices.transpose(order).tobytes(), 8
        if kind == "lut":
            weights.quantization.lookupTableQuantization.floatValue[:] = table
        else:
            weights.quantization.linearQuantization.scale[:] = scale

    actual = run(body, x)
    weight = torch.from_numpy((table[indices] if kind == "lut" else indices * scale).astype(np.float32).transpose(order))
    close(actual, (F.conv_transpose2d if transposed else F.conv2d)(torch.from_numpy(x[None]), weight)[0], 1e-4)


def test_a_kernel_may_be_an_input() -> None:
    x, weight = random(2, 4, 5, 6), random(3, 4, 2, 2, seed=1)
    actual = run(
        lambda b: b.add_convolution("c", 4, 3, 2, 2, 1, 1, "valid", 1, None, None, False, input_name=["x0", "x1"], output_name="y"),
        x,
        weight,
        exact=True,
    )
    close(actual, F.conv2d(torch.from_numpy(x), torch.from_numpy(weight)))


@pytest.mark.parametrize("has_shape", [True, False])
def test_a_size_that_is_named_stands_for_the_padding_of_deconvolutions_alone(has_shape: bool) -> None:
    """NeuralNetwork.proto: outputShape is of deconvolutions, and then the padding is ignored."""
    x, weight = random(2, 5, 6), random(3, 3, 2, 1, seed=1)
    image, size = torch.from_numpy(x[None]), (10, 13)

    def body(transposed: bool) -> Any:
        def build(b: Any) -> None:
            pads = {"padding_top": 1, "padding_left": 1}
            b.add_convolution("c", 2, 1, 3, 3, 2, 2, "valid", 1, weight, None, False, transposed, None, "x0", "y", **pads)
            if has_shape:
                b.nn_spec.layers[-1].convolution.outputShape[:] = size

        return build

    padded = F.pad(image, (1, 0, 1, 0))
    close(run(body(False), x), F.conv2d(padded, torch.from_numpy(weight).permute(3, 2, 0, 1), stride=2)[0])
    full = F.conv_transpose2d(image, torch.from_numpy(weight).permute(2, 3, 0, 1), stride=2)[0]
    close(run(body(True), x), full[:, :10, :13] if has_shape else full[:, 1:, 1:])


def test_lengths_are_of_both_sides_or_none() -> None:
    assert (pair([], 3), pair([]), pair([2, 5], 3)) == ([3, 3], [1, 1], [2, 5])
    for values in ([2], [2, 3, 4]):
        with pytest.raises(MilError, match=f"has {len(values)} lengths"):
            pair(values, 3)


def test_amounts_are_of_four_sides_or_none() -> None:
    borders = BorderAmounts()
    assert amounts(borders) == [0, 0, 0, 0]
    for at in range(3):
        borders.borderAmounts.add(startEdgeSize=at + 1, endEdgeSize=at + 5)
        if at == 1:
            assert amounts(borders) == [1, 5, 2, 6]
        else:
            with pytest.raises(MilError, match="amounts where it takes four"):
                amounts(borders)


def test_a_layer_without_padding_has_none() -> None:
    params = ConvolutionLayerParams()
    assert padding(params, None) == {"pad_type": "custom", "pad": [0, 0, 0, 0]}
    params.valid.SetInParent()
    assert padding(params, "valid") == {"pad_type": "custom", "pad": [0, 0, 0, 0]}


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_an_embedding_gives_the_columns_that_are_picked(bias: bool, exact: bool) -> None:
    """Weights of outputs × inputs; whole numbers of sequence × batch × 1 × 1 × 1."""
    weight, offset = random(4, 6, seed=1), random(4, seed=2)
    picked = np.array([[5, 0, 3], [1, 1, 2]])
    actual = run(
        lambda b: b.add_embedding("e", weight, offset if bias else None, 6, 4, bias, "x0", "y"),
        picked[..., None, None, None].astype(np.float32),
        exact=exact,
    )
    close(actual, (weight.T[picked] + (offset if bias else 0))[..., None, None])


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 3, 4), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize(
    ("kind", "reduce"),
    [("MAX", np.max), ("AVERAGE", np.mean), ("L2", lambda x, axis, keepdims: (x**2).sum(axis, keepdims=keepdims) ** 0.5)],
)
def test_global_pooling_keeps_its_axes(kind: str, reduce: Any, shape: tuple[int, ...]) -> None:
    x = random(*shape)
    actual = run(lambda b: b.add_pooling("p", 3, 3, 1, 1, kind, "VALID", "x0", "y", is_global=True), x, exact=True)
    close(actual, reduce(x, axis=(-2, -1), keepdims=True))


@pytest.mark.parametrize(("pads", "lead"), [((0, 0), ()), ((1, 0), ()), ((0, 1), (2, 3)), (None, ())])
def test_a_last_window_hangs_over_what_was_padded_on_both_sides(pads: tuple[int, int] | None, lead: tuple[int, ...]) -> None:
    x = random(*lead, 2, 6, 7)

    def body(b: Any) -> None:
        height, width = pads or (0, 0)
        b.add_pooling(
            "p", 3, 3, 2, 2, "MAX", "INCLUDE_LAST_PIXEL", "x0", "y", padding_top=height, padding_bottom=height, padding_left=width,
            padding_right=width,
        )  # fmt: skip
        if pads is None:
            b.nn_spec.layers[-1].pooling.includeLastPixel.ClearField("paddingAmounts")

    expected = F.max_pool2d(torch.from_numpy(x.reshape(-1, 6, 7)), 3, 2, pads or 0, ceil_mode=True)
    close(run(body, x, exact=True), expected.reshape(*x.shape[:-2], *expected.shape[-2:]))
