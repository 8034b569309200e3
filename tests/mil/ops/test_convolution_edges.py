"""Transposed convolutions whose length is fixed from outside, the odd pixel in front, and omitted arguments."""

import pytest
import torch
import torch.nn.functional as F

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.ops.convolution import OPERATORS
from tests.mil.ops.defaults import check_defaults

LINE, KERNEL = torch.tensor([[[1.0, 10.0]]]), torch.tensor([[[1.0, 2.0, 3.0]]])
#: Stride 2: 1 2 3+10 20 30
FULL = [1.0, 2.0, 13.0, 20.0, 30.0]


def transposed(**arguments: object) -> list[float]:
    tensors = {name: torch.tensor(value) if isinstance(value, list) else value for name, value in arguments.items()}
    return OPERATORS["conv_transpose"].run(LINE, KERNEL, **{"strides": torch.tensor([2]), **tensors}).flatten().tolist()


def test_defaults_are_those_of_coremltools() -> None:
    check_defaults(OPERATORS)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_strides_dilations_and_pads_kernels_lie_at_every_pixel(rank: int) -> None:
    generator = torch.Generator().manual_seed(rank)
    x = torch.randn(2, 3, *[5] * rank, generator=generator)
    weight = torch.randn(4, 3, *[2] * rank, generator=generator)
    torch.testing.assert_close(OPERATORS["conv"].run(x, weight), getattr(F, f"conv{rank}d")(x, weight))
    torch.testing.assert_close(OPERATORS["conv"].run(x, weight, pad_type="custom"), getattr(F, f"conv{rank}d")(x, weight))
    turned = weight.transpose(0, 1).contiguous()
    torch.testing.assert_close(OPERATORS["conv_transpose"].run(x, turned), getattr(F, f"conv_transpose{rank}d")(x, turned))


def test_the_full_result_is_cut_by_its_pads() -> None:
    assert transposed() == FULL
    assert transposed(pad_type="custom", pad=[1, 0]) == FULL[1:]
    assert transposed(pad_type="custom", pad=[0, 2]) == FULL[:3]
    assert transposed(pad_type="custom", pad=[1, 3]) == FULL[1:2]


def test_the_odd_pixel_of_the_surplus_is_cut_behind_or_in_front() -> None:
    assert transposed(pad_type="same") == FULL[:4]
    assert transposed(pad_type="same_lower") == FULL[1:]
    # Without surplus nothing is cut, and what is missing to input · stride is appended.
    for kind in ("same", "same_lower"):
        assert transposed(pad_type=kind, strides=[3]) == [1, 2, 3, 10, 20, 30]
        assert transposed(pad_type=kind, strides=[4]) == [1, 2, 3, 0, 10, 20, 30, 0]


@pytest.mark.parametrize("lead", [[], [1, 1]])
def test_a_given_length_cuts_or_appends(lead: list[int]) -> None:
    assert transposed(output_shape=[*lead, 5]) == FULL
    assert transposed(output_shape=[*lead, 6]) == [*FULL, 0.0]
    assert transposed(output_shape=[*lead, 4]) == FULL[:4]
    assert transposed(output_shape=[*lead, 5], pad_type="custom", pad=[1, 1]) == [*FULL[1:], 0.0]
    assert transposed(output_shape=[*lead, 3], pad_type="same") == FULL[1:4]
    assert transposed(output_shape=[*lead, 3], pad_type="same_lower") == FULL[1:4]
    assert transposed(output_shape=[*lead, 1], pad_type="same_lower") == FULL[2:3]
    assert transposed(output_shape=[*lead, 2], pad_type="same") == FULL[1:3]
    assert transposed(output_shape=[*lead, 2], pad_type="same_lower") == FULL[2:4]


def test_what_is_appended_holds_the_bias_alone() -> None:
    assert transposed(output_shape=[6], bias=[0.5]) == [value + 0.5 for value in [*FULL, 0.0]]


def test_each_axis_has_a_kernel_stride_dilation_and_pads_of_its_own() -> None:
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(1, 2, 4, 6, generator=generator), torch.randn(2, 3, 2, 3, generator=generator)
    strides, dilations, pads = torch.tensor([3, 1]), torch.tensor([1, 2]), torch.tensor([1, 0, 2, 1])
    full = F.conv_transpose2d(x, weight, stride=(3, 1), dilation=(1, 2))
    actual = OPERATORS["conv_transpose"].run(x, weight, pad=pads, pad_type="custom", strides=strides, dilations=dilations)
    torch.testing.assert_close(actual, full[:, :, 1:, 2:-1])
    same = OPERATORS["conv_transpose"].run(x, weight, pad_type="same", strides=strides, dilations=dilations)
    assert full.shape == (1, 3, 11, 10)  # 12 and 6 wanted
    torch.testing.assert_close(same, F.pad(full, (0, 0, 0, 1))[:, :, :, 2:8])
    kernel = weight.transpose(0, 1).contiguous()
    ours = OPERATORS["conv"].run(x, kernel, pad=pads, pad_type="custom", strides=strides, dilations=dilations)
    torch.testing.assert_close(ours, F.conv2d(F.pad(x, (2, 1, 1, 0)), kernel, stride=(3, 1), dilation=(1, 2)))
    even = OPERATORS["conv"].run(x, kernel, pad=torch.tensor([1, 1, 2, 2]), pad_type="custom", strides=strides)
    torch.testing.assert_close(even, F.conv2d(x, kernel, stride=(3, 1), padding=(1, 2)))


def test_a_table_of_weights_has_no_input() -> None:
    weight = torch.ones(1, 1, 1, dtype=torch.uint8)
    scales = {"quant_scale": torch.tensor([1.0]), "quant_bias": torch.tensor([0.0])}
    with pytest.raises(MilError, match="conv_quantized of type 'lut' has no table"):
        OPERATORS["conv_quantized"].run(torch.ones(1, 1, 1), weight, "lut", **scales)
