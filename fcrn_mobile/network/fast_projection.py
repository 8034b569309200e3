"""The up-projection as the authors released it (iro-cp/FCRN-DepthPrediction): four convolutions per branch whose outputs interleave.

In the paper these are the non-zero taps of a 5×5 convolution over an unpooled map. In the release they are not: the two-tap
kernels look at the previous pixel and the pixel itself, where unpooling to the top-left of a cell asks for the next one, and every
convolution has a bias of its own under one batch norm. No 5×5 kernel computes the same, so the four stay the weights.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.network.unpooling import Form, fused_bias, fused_kernel, phase_convs

__all__ = ["FastProj", "PhaseConvs", "Projection"]


class PhaseConvs(nn.Module):
    """Four biased convolutions whose outputs interleave, ``convAB`` of the phase (A,B): N×I×H×W → N×O×2H×2W.

    Args:
        form: ``fused`` runs them as one 3×3 convolution and a pixel shuffle; ``four`` and ``literal`` as they are.
    """

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        self.conv00 = nn.Conv2d(in_channels, out_channels, (3, 3))
        self.conv01 = nn.Conv2d(in_channels, out_channels, (3, 2))
        self.conv10 = nn.Conv2d(in_channels, out_channels, (2, 3))
        self.conv11 = nn.Conv2d(in_channels, out_channels, (2, 2))
        self.form: Form = form

    @property
    def convs(self) -> tuple[nn.Conv2d, nn.Conv2d, nn.Conv2d, nn.Conv2d]:
        """In the order of the phases (0,0), (0,1), (1,0), (1,1)."""
        return self.conv00, self.conv01, self.conv10, self.conv11

    def forward(self, x: Tensor) -> Tensor:
        kernels = [conv.weight for conv in self.convs]
        biases = [conv.bias for conv in self.convs if conv.bias is not None]
        if self.form == "fused":
            return F.pixel_shuffle(F.conv2d(x, fused_kernel(kernels, ahead=False), fused_bias(biases), padding=1), 2)
        return phase_convs(x, kernels, biases, ahead=False)


class Projection(nn.Module):
    """Up-projection: one map through an enlarging convolution, ReLU and 3×3, and through another enlarging one, their sum through ReLU.

    Args:
        enlarging: makes a convolution N×I×H×W → N×O×2H×2W of in_channels, out_channels and a form.
    """

    def __init__(self, enlarging: Callable[[int, int, Form], nn.Module], in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        self.upper_conv1 = enlarging(in_channels, out_channels, form)
        self.upper_bn1 = nn.BatchNorm2d(out_channels)
        self.upper_conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.upper_bn2 = nn.BatchNorm2d(out_channels)
        self.lower_conv = enlarging(in_channels, out_channels, form)
        self.lower_bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        upper, lower = self.enlarged(x)
        upper = self.upper_bn2(self.upper_conv2(self.relu(self.upper_bn1(upper))))
        return self.relu(upper + self.lower_bn(lower))  # N×O×2H×2W

    def enlarged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What both branches begin with."""
        return self.upper_conv1(x), self.lower_conv(x)


class FastProj(Projection):
    """Up-projection of the release, whose convolutions interleave."""

    upper_conv1: PhaseConvs
    lower_conv: PhaseConvs

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__(PhaseConvs, in_channels, out_channels, form)
