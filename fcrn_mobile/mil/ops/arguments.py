"""Reading of arguments that several operators share."""

import math

import torch
from torch import Tensor

from fcrn_mobile.package.errors import MilError

__all__ = ["channels_last", "flags", "ints", "spatial_pads", "torch_pads"]


def ints(value: Tensor | None, default: int = 0, count: int = 0) -> list[int]:
    """A vector of integers; ``count`` times ``default`` where an optional one is not given."""
    if value is None:
        return [default] * count
    return [int(item) for item in value.reshape(-1).tolist()]


def spatial_pads(
    pad_type: str, pad: Tensor | None, sizes: list[int], kernels: list[int], strides: list[int], dilations: list[int]
) -> list[tuple[int, int]]:
    """Padding before and after each spatial axis.

    Args:
        pad_type: ``valid``, ``custom`` (as ``pad`` says: before, after per axis), ``same`` (the odd pixel goes behind) or
            ``same_lower`` (the odd pixel goes in front).
        sizes, kernels, strides, dilations: per spatial axis.

    Raises:
        MilError: another pad type.
    """
    axes = range(len(sizes))
    if pad_type == "valid":
        return [(0, 0) for _ in axes]
    if pad_type == "custom":
        flat = ints(pad, 0, 2 * len(sizes))
        return [(flat[2 * axis], flat[2 * axis + 1]) for axis in axes]
    if pad_type not in ("same", "same_lower"):
        raise MilError(f"padding '{pad_type}' is not one of valid, custom, same, same_lower")
    pads = []
    for axis in axes:
        extent = (kernels[axis] - 1) * dilations[axis] + 1
        total = max((math.ceil(sizes[axis] / strides[axis]) - 1) * strides[axis] + extent - sizes[axis], 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if pad_type == "same" else (large, small))
    return pads


def torch_pads(pads: list[tuple[int, int]]) -> list[int]:
    """Pads per axis in the order of ``torch.nn.functional.pad``: last axis first."""
    return [side for pair in reversed(pads) for side in pair]


def flags(value: Tensor | bool | None, count: int) -> list[bool]:
    """A vector of booleans; all False where it is not given."""
    if value is None:
        return [False] * count
    return [bool(item) for item in value.reshape(-1).tolist()] if isinstance(value, Tensor) else [value] * count


def channels_last(x: Tensor) -> bool:
    """Whether a batch of images lies in memory pixel by pixel, all channels of a pixel side by side."""
    return x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
