"""TensorFlow's SAME padding, which networks from there were trained with."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["SamePadConv2d", "SamePadMaxPool2d", "same_pads"]


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and behind, so that ⌈size / stride⌉ windows fit; the odd one goes behind (bottom, right)."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SamePadConv2d(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME.

    Symmetric padding shifts every strided layer by half a pixel and costs the accuracy of weights that were trained so.
    """

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        top, bottom = same_pads(int(height), self.kernel_size[0], self.stride[0])
        left, right = same_pads(int(width), self.kernel_size[1], self.stride[1])
        if (top, left) == (bottom, right):
            return F.conv2d(x, self.weight, self.bias, self.stride, (top, left), self.dilation, self.groups)
        x = F.pad(x, (left, right, top, bottom))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class SamePadMaxPool2d(nn.Module):
    """Max-pooling padded as TensorFlow's SAME, of a map without negative values."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        top, bottom = same_pads(int(height), self.kernel, self.stride)
        left, right = same_pads(int(width), self.kernel, self.stride)
        if (top, left) == (bottom, right):
            return F.max_pool2d(x, self.kernel, self.stride, (top, left))
        # Behind a ReLU zero never wins a maximum, and unlike -inf it has a place in every arithmetic.
        return F.max_pool2d(F.pad(x, (left, right, top, bottom)), self.kernel, self.stride)
