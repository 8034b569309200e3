"""Pooling over one, two or three spatial axes.

Ceil mode adds a last window that hangs over the end of the padded map. To Core ML what it covers there is padding (coremltools
#2772, #2844): zeros that count in an average, unless padding is excluded. torch divides by what lies inside alone.
"""

from collections.abc import Callable
from itertools import zip_longest

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape, padded
from fcrn_mobile.mil.ops.arguments import ints, spatial_pads, torch_pads
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = ["OPERATORS", "avg_pool", "l2_pool", "max_pool"]

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

_Pads = list[tuple[int, int]]


def _over_windows(reduce: Callable[[Tensor, list[int], list[int], _Pads], Tensor]) -> Callable[..., Tensor]:
    """The MIL operator of a reduction of windows, which is given their lengths, strides and pads per spatial axis."""

    def operator(
        x: Tensor,
        kernel_sizes: Tensor,
        strides: Tensor | None = None,
        pad_type: str = "valid",
        pad: Tensor | None = None,
        ceil_mode: bool = False,
    ) -> Tensor:
        return reduce(x, *_windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode))

    return operator


@_over_windows
def max_pool(x: Tensor, kernels: list[int], stride: list[int], pads: _Pads) -> Tensor:
    """Largest value in each window; padding never wins."""
    pool = _MAX_POOL[len(kernels)]
    if _symmetric(pads, kernels):
        return pool(x, kernels, stride, [before for before, _ in pads])
    return pool(F.pad(x, torch_pads(pads), value=float("-inf")), kernels, stride)


def avg_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """Mean of each window; padding counts as zeros, or not at all."""
    kernels, stride, pads = _windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    pool: Callable[..., Tensor] = _AVG_POOL[len(kernels)]
    if _symmetric(pads, kernels):
        return pool(x, kernels, stride, [before for before, _ in pads], count_include_pad=not exclude_padding_from_average)

    def mean(values: Tensor) -> Tensor:
        return pool(F.pad(values, torch_pads(pads)), kernels, stride)

    return mean(x) / mean(torch.ones_like(x[:1, :1])) if exclude_padding_from_average else mean(x)


@_over_windows
def l2_pool(x: Tensor, kernels: list[int], stride: list[int], pads: _Pads) -> Tensor:
    """Square root of the sum of squares in each window, over one or two spatial axes."""
    if len(kernels) > 2:
        raise MilError("l2_pool over more than two spatial axes is not defined")
    one_axis = len(kernels) == 1
    if one_axis:  # torch sums with a divisor of one's own over two axes only
        x, kernels, stride, pads = x.unsqueeze(2), [1, *kernels], [1, *stride], [(0, 0), *pads]
    pooled = F.avg_pool2d(F.pad(x * x, torch_pads(pads)), kernels, stride, divisor_override=1).sqrt()
    return pooled.squeeze(2) if one_axis else pooled


def _windows(
    x: Tensor, kernel_sizes: Tensor, strides: Tensor | None, pad_type: str, pad: Tensor | None, ceil_mode: bool
) -> tuple[list[int], list[int], _Pads]:
    """Kernel lengths, strides and pads per spatial axis, the pads such that the windows fill the padded map."""
    rank = x.dim() - 2
    sizes, kernels, stride = list(x.shape[2:]), ints(kernel_sizes), ints(strides, 1, rank)
    pads = spatial_pads(pad_type, pad, sizes, kernels, stride, [1] * rank)
    if ceil_mode:
        pads = [_overhanging(*axis) for axis in zip(sizes, kernels, stride, pads, strict=True)]
    return kernels, stride, pads


def _overhanging(size: int, kernel: int, stride: int, pads: tuple[int, int]) -> tuple[int, int]:
    """Pads of an axis whose last window, too, lies inside them.

    A last window that starts behind the map is left out where there is padding. Without any, MIL declares it (torch doesn't) and it
    covers nothing: 0 on average, NaN without the padding, a maximum of -inf. What Core ML holds there is not published.
    """
    before, after = pads
    count = -(-(size + before + after - kernel) // stride) + 1
    if before + after and (count - 1) * stride >= size + (before + after) / 2:
        count -= 1
    return before, (count - 1) * stride + kernel - size - before


def _symmetric(pads: _Pads, kernels: list[int]) -> bool:
    """Whether torch's pooling takes these pads itself."""
    return all(before == after <= kernel // 2 for (before, after), kernel in zip(pads, kernels, strict=True))


def _pool_shape(declared: Declared) -> Shape:
    """The padded input; in ceil mode the last window hangs over it by less than a stride."""
    taken = padded(declared)
    if not declared.number("ceil_mode", 0):
        return taken
    strides = zip_longest(reversed(taken), reversed(declared.numbers("strides")), fillvalue=0)
    return tuple(reversed([int(length + max(stride, 0)) for length, stride in strides]))


OPERATORS = {
    "avg_pool": Operator(avg_pool, "scaled", grows=_pool_shape, channelwise=True, quantizable=True),
    "l2_pool": Operator(l2_pool, "scaled", grows=_pool_shape, channelwise=True),
    "max_pool": Operator(max_pool, "picked", grows=_pool_shape, channelwise=True, spans=True, quantizable=True),
}
