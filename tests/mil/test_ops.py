"""Every operator against torch's own, over its parameters, through packages saved to disk."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil.ops import OPERATORS
from tests.mil.build import kinds, mb, run_package, save_package

RNG = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32) * 3


def check(tmp_path, kind: str, body, inputs: list[np.ndarray], expected, tolerance: float = 1e-5) -> None:
    path = save_package(tmp_path, body, [x.shape for x in inputs])
    assert kind in kinds(path), "coremltools optimised the operator away: the test would prove nothing"
    expected = expected if isinstance(expected, tuple) else (expected,)
    for actual, wanted in zip(run_package(path, inputs), expected, strict=True):
        np.testing.assert_allclose(actual, wanted.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups", "pads"),
    [
        ((3, 3), (1, 1), (1, 1), 1, (1, 1, 1, 1)),
        ((3, 2), (2, 1), (1, 1), 1, (1, 1, 0, 1)),
        ((5, 5), (2, 2), (1, 1), 4, (1, 2, 1, 2)),
        ((3, 3), (1, 2), (2, 3), 2, (0, 3, 2, 1)),
        ((1, 1), (2, 2), (1, 1), 1, (0, 0, 0, 0)),
    ],
)
def test_conv_custom_padding(kernel, stride, dilation, groups, pads, bias, tmp_path) -> None:
    x, weight, b = values(2, 4, 13, 17), values(8, 4 // groups, *kernel), values(8)
    top, bottom, left, right = pads
    expected = F.conv2d(
        F.pad(torch.from_numpy(x), (left, right, top, bottom)),
        torch.from_numpy(weight),
        torch.from_numpy(b) if bias else None,
        stride,
        0,
        dilation,
        groups,
    )
    arguments = {"weight": weight, "pad_type": "custom", "pad": pads, "strides": stride, "dilations": dilation, "groups": groups}
    check(tmp_path, "conv", lambda x0: mb.conv(x=x0, **arguments, **({"bias": b} if bias else {})), [x], expected, 1e-4)


@pytest.mark.parametrize("size", [(12, 16), (13, 17)])
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad_type", ["same", "same_lower", "valid"])
def test_conv_named_padding(pad_type, stride, kernel, size, tmp_path) -> None:
    x, weight = values(1, 3, *size), values(5, 3, kernel, kernel)
    pads = []
    for side in size:
        out = -(-side // stride)
        total = 0 if pad_type == "valid" else max((out - 1) * stride + kernel - side, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if pad_type != "same_lower" else (large, small))
    (top, bottom), (left, right) = pads
    expected = F.conv2d(F.pad(torch.from_numpy(x), (left, right, top, bottom)), torch.from_numpy(weight), stride=stride)
    check(tmp_path, "conv", lambda x0: mb.conv(x=x0, weight=weight, pad_type=pad_type, strides=(stride, stride)), [x], expected, 1e-4)


@pytest.mark.parametrize("rank", [1, 3])
def test_conv_over_one_and_three_axes(rank, tmp_path) -> None:
    x, weight = values(1, 2, *(7, 6, 5)[:rank]), values(3, 2, *(3, 2, 3)[:rank])
    convolve = {1: F.conv1d, 3: F.conv3d}[rank]
    expected = convolve(torch.from_numpy(x), torch.from_numpy(weight))
    check(tmp_path, "conv", lambda x0: mb.conv(x=x0, weight=weight, pad_type="valid"), [x], expected, 1e-4)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding", "groups", "dilation"),
    [(2, 2, 0, 0, 1, 1), (3, 2, 1, 1, 1, 1), (3, 1, 1, 0, 2, 1), (4, 2, 1, 0, 1, 1), (3, 3, 0, 0, 2, 2), (5, 2, 2, 1, 1, 1)],
)
def test_conv_transpose(kernel, stride, padding, output_padding, groups, dilation, tmp_path) -> None:
    x, weight, bias = values(1, 4, 6, 7), values(4, 6 // groups, kernel, kernel), values(6)
    expected = F.conv_transpose2d(
        torch.from_numpy(x), torch.from_numpy(weight), torch.from_numpy(bias), stride, padding, output_padding, groups, dilation
    )
    arguments = {"weight": weight, "bias": bias, "strides": (stride,) * 2, "groups": groups, "dilations": (dilation,) * 2}
    shape = {"output_shape": tuple(expected.shape)} if output_padding else {}
    pads = (padding, padding, padding, padding)

    def body(x0):
        return mb.conv_transpose(x=x0, **arguments, pad_type="custom", pad=pads, **shape)

    check(tmp_path, "conv_transpose", body, [x], expected, 1e-4)


UNARY = {
    "relu": (lambda x: mb.relu(x=x), F.relu),
    "relu6": (lambda x: mb.relu6(x=x), F.relu6),
    "sigmoid": (lambda x: mb.sigmoid(x=x), torch.sigmoid),
    "silu": (lambda x: mb.silu(x=x), F.silu),
    "tanh": (lambda x: mb.tanh(x=x), torch.tanh),
    "leaky_relu": (lambda x: mb.leaky_relu(x=x, alpha=0.2), lambda x: F.leaky_relu(x, 0.2)),
    "clip": (lambda x: mb.clip(x=x, alpha=-1.0, beta=2.5), lambda x: x.clamp(-1.0, 2.5)),
    "softmax": (lambda x: mb.softmax(x=x, axis=1), lambda x: F.softmax(x, 1)),
    "reshape": (lambda x: mb.reshape(x=x, shape=(2, -1, 4)), lambda x: x.reshape(2, -1, 4)),
    "transpose": (lambda x: mb.transpose(x=x, perm=(0, 2, 3, 1)), lambda x: x.permute(0, 2, 3, 1)),
    "pixel_shuffle": (lambda x: mb.pixel_shuffle(x=x, upscale_factor=2), lambda x: F.pixel_shuffle(x, 2)),
}


@pytest.mark.parametrize("kind", UNARY)
def test_unary(kind, tmp_path) -> None:
    body, reference = UNARY[kind]
    x = values(2, 8, 3, 4)
    check(tmp_path, kind, body, [x], reference(torch.from_numpy(x)))


def test_expand_dims(tmp_path) -> None:
    x = values(2, 3)
    check(tmp_path, "expand_dims", lambda x0: mb.expand_dims(x=x0, axes=(0, -1)), [x], torch.from_numpy(x)[None, ..., None])


def test_crop(tmp_path) -> None:
    x = values(1, 2, 7, 8)
    check(tmp_path, "crop", lambda x0: mb.crop(x=x0, crop_height=[1, 2], crop_width=[0, 3]), [x], torch.from_numpy(x[:, :, 1:5, :5]))


def test_squeeze(tmp_path) -> None:
    x = values(1, 3, 1, 4)
    check(tmp_path, "squeeze", lambda x0: mb.squeeze(x=x0, axes=(0, 2)), [x], torch.from_numpy(x[0, :, 0]))


BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "real_div": torch.div, "maximum": torch.maximum, "minimum": torch.minimum}


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 1, 1), (1,)])
@pytest.mark.parametrize("kind", BINARY)
def test_binary_with_broadcasting(kind, shape, tmp_path) -> None:
    x, y = values(2, 3, 4, 5), values(*shape) + 5
    expected = BINARY[kind](torch.from_numpy(x), torch.from_numpy(y))
    check(tmp_path, kind, lambda x0, x1: getattr(mb, kind)(x=x0, y=x1), [x, y], expected)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
def test_pad(mode, tmp_path) -> None:
    x = values(1, 2, 5, 6)
    expected = F.pad(torch.from_numpy(x), (2, 3, 1, 0), mode=mode, **({"value": 1.5} if mode == "constant" else {}))
    check(tmp_path, "pad", lambda x0: mb.pad(x=x0, pad=(0, 0, 0, 0, 1, 0, 2, 3), mode=mode, constant_val=1.5), [x], expected)


@pytest.mark.parametrize("axis", [1, -1])
def test_concat_stack_and_split(axis, tmp_path) -> None:
    x, y = values(2, 4, 6), values(2, 4, 6)
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    check(tmp_path, "concat", lambda x0, x1: mb.concat(values=(x0, x1), axis=axis), [x, y], torch.cat((a, b), axis))
    check(tmp_path, "stack", lambda x0, x1: mb.stack(values=(x0, x1), axis=axis), [x, y], torch.stack((a, b), axis))
    check(tmp_path, "split", lambda x0: mb.split(x=x0, num_splits=2, axis=axis), [x], torch.chunk(a, 2, axis))
    check(tmp_path, "split", lambda x0: mb.split(x=x0, split_sizes=[1, 3], axis=1), [x], torch.split(a, [1, 3], 1))


def test_interleaved_concat(tmp_path) -> None:
    x, y = values(1, 2, 3), values(1, 2, 3)
    expected = torch.from_numpy(np.stack((x[0, 0], y[0, 0], x[0, 1], y[0, 1]))[None])
    check(tmp_path, "concat", lambda x0, x1: mb.concat(values=(x0, x1), axis=1, interleave=True), [x, y], expected)


@pytest.mark.parametrize("size", [(9, 12), (10, 11)])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad_type", "pad", "ceil"),
    [
        (3, 2, "custom", (1, 1, 1, 1), False),
        (3, 2, "custom", (0, 1, 0, 1), False),
        (2, 2, "valid", None, False),
        (3, 2, "same", None, False),
        (3, 2, "valid", None, True),
    ],
)
def test_max_pool(kernel, stride, pad_type, pad, ceil, size, tmp_path) -> None:
    x = values(1, 2, *size) - 10  # padding with zeros would win
    if pad_type == "same":
        totals = [max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in size]
        sides = [side for total in reversed(totals) for side in (total // 2, total - total // 2)]
    else:
        top, bottom, left, right = pad or (0, 0, 0, 0)
        sides = [left, right, top, bottom]
    expected = F.max_pool2d(F.pad(torch.from_numpy(x), sides, value=float("-inf")), kernel, stride, ceil_mode=ceil)
    arguments = {"kernel_sizes": (kernel,) * 2, "strides": (stride,) * 2, "pad_type": pad_type, "ceil_mode": ceil}
    check(tmp_path, "max_pool", lambda x0: mb.max_pool(x=x0, **arguments, **({"pad": pad} if pad else {})), [x], expected)


def test_cast_cuts_fractions_off(tmp_path) -> None:
    x = np.array([[-1.7, 0.4, 2.9]], np.float32)

    def body(x0):
        return mb.cast(x=mb.cast(x=x0, dtype="int32"), dtype="fp32")

    check(tmp_path, "cast", body, [x], torch.tensor([[-1.0, 0.0, 2.0]]))


def test_identity_passes_values_on() -> None:
    x = torch.rand(3)
    assert OPERATORS["identity"](x=x) is x
