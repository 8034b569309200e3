"""Parameters of blocks: a tensor divided along each axis into equal parts, and one scale or one table for each block."""

from typing import SupportsIndex

import torch
from torch import Tensor

__all__ = ["along", "reduced", "restored", "spread"]


def spread(blocks: Tensor, shape: torch.Size) -> Tensor:
    """One value per block → one per element: of every axis of ``shape``, ``blocks`` has a divisor. A scalar belongs to all elements."""
    if blocks.dim() == 0 or blocks.shape == shape:
        return blocks.expand(shape)
    size = shape.numel() // blocks.numel()
    return restored(blocks.unsqueeze(-1).expand(*blocks.shape, size), blocks.shape, shape)


def reduced(values: Tensor, blocks: torch.Size) -> Tensor:
    """Elements by block: the shape of ``blocks``, and a last axis for those of one block."""
    sizes = [side for size, count in zip(values.shape, blocks, strict=True) for side in (count, size // count)]
    rank = len(blocks)
    return values.reshape(sizes).permute([*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)]).reshape(*blocks, -1)


def restored(elements: Tensor, blocks: torch.Size, shape: torch.Size) -> Tensor:
    """The inverse of ``reduced``."""
    rank = len(blocks)
    sizes = [size // count for size, count in zip(shape, blocks, strict=True)]
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    return elements.reshape(*blocks, *sizes).permute(order).reshape(shape)


def along(parameter: Tensor, rank: int, axis: SupportsIndex | None) -> Tensor:
    """A scalar as it is; a vector shaped as blocks that are the slices along an axis."""
    if parameter.dim() == 0 or axis is None:
        return parameter
    shape = [1] * rank
    shape[axis] = -1
    return parameter.reshape(shape)
