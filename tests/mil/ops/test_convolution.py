import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values, whole

TOLERANCE = 1e-4
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def named_pads(pad_type: str, size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """TensorFlow's rule: ⌈size/stride⌉ outputs, the odd pixel behind (same) or in front (same_lower)."""
    if pad_type == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if pad_type == "same" else (large, small)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=seeds, rank=st.integers(1, 3), groups=st.sampled_from([1, 2, 4]), bias=st.booleans())
def test_conv_equals_torch_over_explicit_padding(data, seed, rank, groups, bias) -> None:
    kernel = data.draw(st.tuples(*[st.integers(1, 4)] * rank))
    stride = data.draw(st.tuples(*[st.integers(1, 3)] * rank))
    dilation = data.draw(st.tuples(*[st.integers(1, 2)] * rank))
    size = data.draw(st.tuples(*[st.integers(8, 11)] * rank))
    pad_type = data.draw(st.sampled_from(["valid", "same", "same_lower", "custom"]))
    if pad_type == "custom":
        pads = data.draw(st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * rank))
    else:
        pads = tuple(named_pads(pad_type, *axis) for axis in zip(size, kernel, stride, dilation, strict=True))
    x, weight, b = values(seed, 2, 4, *size), values(seed + 1, 8, 4 // groups, *kernel), values(seed + 2, 8)
    padded = F.pad(torch.from_numpy(x), [side for pair in reversed(pads) for side in pair])
    expected = CONV[rank](padded, torch.from_numpy(weight), torch.from_numpy(b) if bias else None, stride, 0, dilation, groups)
    arguments = {"weight": weight, "pad_type": pad_type, "strides": stride, "dilations": dilation, "groups": groups}
    if pad_type == "custom":
        arguments["pad"] = [side for pair in pads for side in pair]
    if bias:
        arguments["bias"] = b
    check_op("conv", lambda x0: mb.conv(x=x0, **arguments), [x], expected, TOLERANCE)


def test_conv_takes_a_weight_computed_at_run_time() -> None:
    x, weight = values(0, 1, 3, 6, 6), values(1, 4, 3, 3, 3)
    expected = F.conv2d(torch.from_numpy(x), torch.from_numpy(weight))
    check_op("conv", lambda x0, x1: mb.conv(x=x0, weight=x1, pad_type="valid"), [x, weight], expected, TOLERANCE)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), seed=seeds, rank=st.integers(1, 3), groups=st.sampled_from([1, 2]), bias=st.booleans())
def test_conv_transpose_equals_torch(data, seed, rank, groups, bias) -> None:
    kernel, stride, padding = (data.draw(st.integers(low, high)) for low, high in ((2, 5), (1, 3), (0, 1)))
    output_padding = data.draw(st.integers(0, stride - 1))
    dilation = data.draw(st.integers(1, 2)) if rank == 2 else 1
    size = data.draw(st.tuples(*[st.integers(3, 6)] * rank))
    x, weight = values(seed, 1, 4, *size), values(seed + 1, 4, 6 // groups, *[kernel] * rank)
    b = values(seed + 2, 6)
    tensors = (torch.from_numpy(x), torch.from_numpy(weight), torch.from_numpy(b) if bias else None)
    expected = CONV_TRANSPOSE[rank](*tensors, stride, padding, output_padding, groups, dilation)
    arguments = {"weight": weight, "strides": (stride,) * rank, "groups": groups, "dilations": (dilation,) * rank}
    if bias:
        arguments["bias"] = b
    if output_padding:
        arguments["output_shape"] = tuple(expected.shape)
    pads = (padding,) * (2 * rank)
    check_op("conv_transpose", lambda x0: mb.conv_transpose(x=x0, **arguments, pad_type="custom", pad=pads), [x], expected, TOLERANCE)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (3, 1), (5, 3)])
def test_conv_transpose_same_means_input_times_stride(kernel: int, stride: int) -> None:
    x, weight = values(0, 1, 2, 5, 7), values(1, 2, 3, kernel, kernel)
    full = F.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(weight), stride=stride)
    cut = max(kernel - stride, 0) // 2
    expected = full[:, :, cut : cut + 5 * stride, cut : cut + 7 * stride]
    arguments = {"weight": weight, "strides": (stride, stride), "pad_type": "same"}
    check_op("conv_transpose", lambda x0: mb.conv_transpose(x=x0, **arguments), [x], expected, TOLERANCE)


def test_conv_transpose_valid_is_the_full_result() -> None:
    x, weight = values(0, 2, 3, 4, 5), values(1, 3, 2, 3, 3)
    expected = F.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(weight), stride=2)
    arguments = {"weight": weight, "strides": (2, 2), "pad_type": "valid"}
    check_op("conv_transpose", lambda x0: mb.conv_transpose(x=x0, **arguments), [x], np.asarray(expected), TOLERANCE)


@settings(max_examples=25, deadline=None)
@given(rank=st.integers(1, 3), groups=st.sampled_from([1, 2]), per_channel=st.booleans(), bits=st.integers(1, 8), seed=seeds)
def test_conv_quantized_convolves_with_scale_times_weight_plus_bias(rank, groups, per_channel, bits, seed) -> None:
    kernel = (3, 2, 2)[:rank]
    x, weight = values(seed, 2, 4, *(6, 5, 4)[:rank]), whole(seed, 0, 2**bits, 6, 4 // groups, *kernel).astype(np.uint8)
    count = 6 if per_channel else 1
    scale, shift = values(seed + 1, count), values(seed + 2, count)
    floats = weight * scale.reshape(-1, 1, *[1] * rank) + shift.reshape(-1, 1, *[1] * rank)
    expected = CONV[rank](torch.from_numpy(x), torch.from_numpy(floats), None, 2, 1, 1, groups)
    arguments = {"weight": weight, "quantization_type": "linear", "nbits": bits, "quant_scale": scale, "quant_bias": shift}
    arguments |= {"strides": (2,) * rank, "pad_type": "custom", "pad": (1,) * (2 * rank), "groups": groups}
    check_op("conv_quantized", lambda x0: mb.conv_quantized(x=x0, **arguments), [x], expected, TOLERANCE)
