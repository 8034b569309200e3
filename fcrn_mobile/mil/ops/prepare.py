"""Constants in the layout that their operator runs fastest with, arranged once when the package is loaded."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _convolution(arguments: dict[str, Any]) -> dict[str, Any]:
    """Kernels channels-last, so that 2-D convolutions do not rearrange them at every run."""
    weight = arguments.get("weight")
    if isinstance(weight, Tensor) and weight.dim() == 4:
        return arguments | {"weight": weight.contiguous(memory_format=torch.channels_last)}
    return arguments


PREPARERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"conv": _convolution, "conv_transpose": _convolution}
