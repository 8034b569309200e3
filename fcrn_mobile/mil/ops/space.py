"""Operators that trade channels or batch entries for pixels."""

import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import padded
from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "batch_to_space", "depth_to_space", "pixel_shuffle", "pixel_unshuffle", "space_to_batch", "space_to_depth"]


def depth_to_space(x: Tensor, block_size: Tensor) -> Tensor:
    """N×r²·C×H×W → N×C×rH×rW, channel (r·i + j)·C + c at offset (i, j): TensorFlow's order, not ``pixel_shuffle``'s."""
    n, channels, height, width = x.shape
    r = int(block_size)
    blocks = x.reshape(n, r, r, channels // (r * r), height, width)  # N×i×j×C×H×W
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, channels // (r * r), height * r, width * r)


def space_to_depth(x: Tensor, block_size: Tensor) -> Tensor:
    """N×C×rH×rW → N×r²·C×H×W, the inverse of ``depth_to_space``."""
    n, channels, height, width = x.shape
    r = int(block_size)
    blocks = x.reshape(n, channels, height // r, r, width // r, r)  # N×C×H×i×W×j
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, channels * r * r, height // r, width // r)


def space_to_batch(x: Tensor, block_shape: Tensor, paddings: Tensor) -> Tensor:
    """N×C×H×W → (b₀·b₁·N)×C×H/b₀×W/b₁ after padding; entry (b₁·i + j)·N + n holds the pixels at offset (i, j) (TensorFlow's order)."""
    (top, bottom), (left, right) = paddings.tolist()
    rows, columns = ints(block_shape)
    x = F.pad(x, (left, right, top, bottom))
    n, channels, height, width = x.shape
    blocks = x.reshape(n, channels, height // rows, rows, width // columns, columns)  # N×C×H×i×W×j
    return blocks.permute(3, 5, 0, 1, 2, 4).reshape(rows * columns * n, channels, height // rows, width // columns)


def batch_to_space(x: Tensor, block_shape: Tensor, crops: Tensor) -> Tensor:
    """The inverse of ``space_to_batch``, cropping instead of padding."""
    (top, bottom), (left, right) = crops.tolist()
    rows, columns = ints(block_shape)
    n, channels, height, width = x.shape
    n //= rows * columns
    blocks = x.reshape(rows, columns, n, channels, height, width)  # i×j×N×C×H×W
    image = blocks.permute(2, 3, 4, 0, 5, 1).reshape(n, channels, height * rows, width * columns)
    return image[..., top : height * rows - bottom, left : width * columns - right]


def pixel_shuffle(x: Tensor, upscale_factor: Tensor) -> Tensor:
    """N×C·r²×H×W → N×C×rH×rW, channel c·r² + r·i + j at offset (i, j)."""
    return F.pixel_shuffle(x, int(upscale_factor))  # keeps the channels-last layout, which the convolutions behind it like


def pixel_unshuffle(x: Tensor, downscale_factor: Tensor) -> Tensor:
    """N×C×rH×rW → N×C·r²×H×W, the inverse of ``pixel_shuffle``."""
    return F.pixel_unshuffle(x, int(downscale_factor))


OPERATORS = {
    "batch_to_space": Operator(batch_to_space, "moved"),
    "depth_to_space": Operator(depth_to_space, "moved"),
    "pixel_shuffle": Operator(pixel_shuffle, "moved"),
    "pixel_unshuffle": Operator(pixel_unshuffle, "moved", since=6),
    "space_to_batch": Operator(space_to_batch, "moved", grows=lambda declared: padded(declared, "paddings")),
    "space_to_depth": Operator(space_to_depth, "moved"),
}
