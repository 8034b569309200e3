"""Convolution and transposed convolution over one, two or three spatial axes."""

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape, padded
from fcrn_mobile.mil.ops.arguments import ints, spatial_pads, torch_pads
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.quantize.blocks import along

__all__ = ["OPERATORS", "conv", "conv_quantized", "conv_transpose"]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """X N×I×spatial, weight O×(I/groups)×kernel → N×O×spatial."""
    rank = x.dim() - 2
    stride, dilation = ints(strides, 1, rank), ints(dilations, 1, rank)
    pads = spatial_pads(pad_type, pad, list(x.shape[2:]), list(weight.shape[2:]), stride, dilation)
    padding = [before for before, _ in pads]
    if any(before != after for before, after in pads):
        x = F.pad(x, torch_pads(pads))
        padding = [0] * rank
    return _CONV[rank](x, weight, bias, stride, padding, dilation, int(groups))


def conv_quantized(
    x: Tensor,
    weight: Tensor,
    quantization_type: str,
    quant_scale: Tensor,
    quant_bias: Tensor,
    bias: Tensor | None = None,
    nbits: Tensor | int = 8,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """As ``conv``, of the weight scale·q + bias: one scale and bias, or one per output channel; q is uint8, however few bits it uses.

    Raises:
        MilError: another quantization than ``linear``: the operator has no input for a table.
    """
    if quantization_type != "linear":
        raise MilError(f"conv_quantized of type '{quantization_type}' has no table to look weights up in: export with linear weights")
    scale, shift = (along(value, weight.dim(), 0) for value in (quant_scale, quant_bias))
    return conv(x, weight * scale + shift, bias, strides, pad_type, pad, dilations, groups)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Tensor | None = None,
    output_shape: Tensor | None = None,
    pad_type: str = "valid",
    strides: Tensor | None = None,
    dilations: Tensor | None = None,
    groups: Tensor | int = 1,
) -> Tensor:
    """X N×I×spatial, weight I×(O/groups)×kernel → N×O×spatial.

    The full result, (size-1)·stride + (kernel-1)·dilation + 1 long, is cut by the pads; ``output_shape`` (N×O×spatial or
    spatial) fixes the length, appending positions that only the bias reaches if it is longer.
    """
    rank = x.dim() - 2
    stride, dilation = ints(strides, 1, rank), ints(dilations, 1, rank)
    kernels = list(weight.shape[2:])
    full = [(x.shape[2 + a] - 1) * stride[a] + (kernels[a] - 1) * dilation[a] + 1 for a in range(rank)]
    target = ints(output_shape)[-rank:] if output_shape is not None else None
    if pad_type in ("same", "same_lower"):
        # "same" of a transposed convolution means output = input · stride, the surplus cut on both sides.
        target = target or [x.shape[2 + a] * stride[a] for a in range(rank)]
        surplus = [max(full[a] - target[a], 0) for a in range(rank)]
        halves = [(s // 2, s - s // 2) for s in surplus]
        cuts = halves if pad_type == "same" else [(b, a) for a, b in halves]
    else:
        cuts = spatial_pads(pad_type, pad, list(x.shape[2:]), kernels, stride, dilation)
    lengths = [target[axis] if target else full[axis] - sum(cuts[axis]) for axis in range(rank)]
    behind = [max(cuts[axis][0] + lengths[axis] - full[axis], 0) for axis in range(rank)]
    out = _CONV_TRANSPOSE[rank](x, weight, bias, stride, 0, behind, int(groups), dilation)
    for axis in range(rank):
        out = out.narrow(2 + axis, cuts[axis][0], lengths[axis])
    return out


def _conv_shape(declared: Declared) -> Shape:
    """What it yields, or its padded input if that is larger."""
    taken, weight = padded(declared), declared.shape("weight")
    ones = (1,) * len(taken[2:])
    sizes = zip(taken[2:], weight[2:], declared.numbers("strides") or ones, declared.numbers("dilations") or ones, strict=False)
    spatial = (int((length - (kernel - 1) * d - 1) / max(s, 1)) + 1 for length, kernel, s, d in sizes)
    return max(taken, (*taken[:1], *weight[:1], *spatial), key=math.prod)


def _conv_transpose_shape(declared: Declared) -> Shape:
    shape, weight = declared.shape("x"), declared.shape("weight")
    ones = (1,) * len(shape[2:])
    sizes = zip(shape[2:], declared.numbers("strides") or ones, weight[2:], declared.numbers("dilations") or ones, strict=False)
    return (*shape[:1], *weight[1:2], *(int((length - 1) * s + (kernel - 1) * d + 1) for length, s, kernel, d in sizes))


def _conv_macs(declared: Declared) -> int:
    return math.prod(declared.result) * math.prod(declared.shape("weight")[1:])


def _conv_transpose_macs(declared: Declared) -> int:
    """Every input value meets its whole kernel; outputs that are cut off afterwards are computed all the same."""
    return math.prod(declared.shape("x")) * math.prod(declared.shape("weight")[1:])


def _channels_last(arguments: dict[str, Any]) -> dict[str, Any]:
    """Kernels channels-last, so that 2-D convolutions do not rearrange them at every run."""
    weight = arguments.get("weight")
    if isinstance(weight, Tensor) and weight.dim() == 4:
        return arguments | {"weight": weight.contiguous(memory_format=torch.channels_last)}
    return arguments


_CONVOLUTION = Operator(
    conv,
    "computed",
    fresh=True,
    grows=_conv_shape,
    macs=_conv_macs,
    prepare=_channels_last,
    weight_axes=(0, 1),
    bias_axis=1,
    quantizable=True,
)
OPERATORS = {
    "conv": _CONVOLUTION,
    "conv_quantized": replace(_CONVOLUTION, run=conv_quantized, quantizable=False),
    "conv_transpose": Operator(
        conv_transpose,
        "computed",
        fresh=True,
        grows=_conv_transpose_shape,
        macs=_conv_transpose_macs,
        prepare=_channels_last,
        weight_axes=(1, 0),
        bias_axis=1,
    ),
}
