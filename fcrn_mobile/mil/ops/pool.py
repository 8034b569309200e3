"""Pooling over one, two or three spatial axes."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.ops.arguments import Operator, ints, spatial_pads, torch_pads

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}

_Pads = list[tuple[int, int]]


def max_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest value in each window; padding never wins."""
    kernels, stride, pads = _windows(x, kernel_sizes, strides, pad_type, pad)
    pool = _MAX_POOL[len(kernels)]
    if _symmetric(pads, kernels):
        return pool(x, kernels, stride, [before for before, _ in pads], ceil_mode=ceil_mode)
    padded = F.pad(x, torch_pads(pads), value=float("-inf"))
    return _cut(pool(padded, kernels, stride, ceil_mode=ceil_mode), x, kernels, stride, pads, ceil_mode)


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
    kernels, stride, pads = _windows(x, kernel_sizes, strides, pad_type, pad)
    pool: Callable[..., Tensor] = _AVG_POOL[len(kernels)]
    if _symmetric(pads, kernels):
        padding = [before for before, _ in pads]
        return pool(x, kernels, stride, padding, ceil_mode=ceil_mode, count_include_pad=not exclude_padding_from_average)

    def mean(values: Tensor) -> Tensor:
        pooled = pool(F.pad(values, torch_pads(pads)), kernels, stride, ceil_mode=ceil_mode)
        return _cut(pooled, x, kernels, stride, pads, ceil_mode)

    return mean(x) / mean(torch.ones_like(x[:1, :1])) if exclude_padding_from_average else mean(x)


def l2_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Square root of the sum of squares in each window, over one or two spatial axes."""
    kernels, stride, pads = _windows(x, kernel_sizes, strides, pad_type, pad)
    if len(kernels) > 2:
        raise MilError("l2_pool over more than two spatial axes is not defined")
    one_axis = len(kernels) == 1
    if one_axis:  # torch sums with a divisor of one's own over two axes only
        x, kernels, stride, pads = x.unsqueeze(2), [1, *kernels], [1, *stride], [(0, 0), *pads]
    sums = F.avg_pool2d(F.pad(x * x, torch_pads(pads)), kernels, stride, ceil_mode=ceil_mode, divisor_override=1)
    pooled = _cut(sums, x, kernels, stride, pads, ceil_mode).sqrt()
    return pooled.squeeze(2) if one_axis else pooled


def _windows(
    x: Tensor, kernel_sizes: Tensor, strides: Tensor | None, pad_type: str, pad: Tensor | None
) -> tuple[list[int], list[int], _Pads]:
    """Kernel lengths, strides and pads per spatial axis."""
    rank = x.dim() - 2
    kernels, stride = ints(kernel_sizes, 1, rank), ints(strides, 1, rank)
    return kernels, stride, spatial_pads(pad_type, pad, list(x.shape[2:]), kernels, stride, [1] * rank)


def _symmetric(pads: _Pads, kernels: list[int]) -> bool:
    """Whether torch's pooling takes these pads itself."""
    return all(before == after <= kernel // 2 for (before, after), kernel in zip(pads, kernels, strict=True))


def _cut(pooled: Tensor, x: Tensor, kernels: list[int], stride: list[int], pads: _Pads, ceil_mode: bool) -> Tensor:
    """Drop a last window that starts in the padding behind, which ceil mode leaves out but pooling a padded map does not."""
    if not ceil_mode:
        return pooled
    for axis, (before, after) in enumerate(pads):
        length = x.shape[2 + axis]
        count = -(-(length + before + after - kernels[axis]) // stride[axis]) + 1
        if (count - 1) * stride[axis] >= length + before:
            count -= 1
        pooled = pooled.narrow(2 + axis, 0, count)
    return pooled


OPERATORS: dict[str, Operator] = {"avg_pool": avg_pool, "l2_pool": l2_pool, "max_pool": max_pool}
