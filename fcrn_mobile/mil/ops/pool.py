"""Pooling over one, two or three spatial axes."""

import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import Operator, ints, spatial_pads, torch_pads

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def max_pool(
    x: Tensor,
    kernel_sizes: Tensor,
    strides: Tensor | None = None,
    pad_type: str = "valid",
    pad: Tensor | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest value in each window; padding never wins."""
    rank = x.dim() - 2
    kernels, stride = ints(kernel_sizes, 1, rank), ints(strides, 1, rank)
    pads = spatial_pads(pad_type, pad, list(x.shape[2:]), kernels, stride, [1] * rank)
    symmetric = all(before == after <= kernel // 2 for (before, after), kernel in zip(pads, kernels, strict=True))
    padding = [before for before, _ in pads] if symmetric else [0] * rank
    if not symmetric:
        x = F.pad(x, torch_pads(pads), value=float("-inf"))
    return _MAX_POOL[rank](x, kernels, stride, padding, ceil_mode=ceil_mode)


OPERATORS: dict[str, Operator] = {"max_pool": max_pool}
