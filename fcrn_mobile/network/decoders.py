"""Up-blocks of the FCRN decoder (Laina et al. 2016, section 3.2 and figure 2): each doubles the resolution."""

import functools
import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.errors import require_known
from fcrn_mobile.network.fast_projection import FastProj, Projection
from fcrn_mobile.network.unpooling import Form, unpooled_conv5x5

__all__ = ["DECODERS", "ConvBilinear", "DeConv", "UnpooledConv5x5", "UpConv", "UpProj", "build_decoder"]


class UnpooledConv5x5(nn.Conv2d):
    """5×5 convolution over an unpooled map; its weight is the literal 5×5 kernel whatever the form it runs in."""

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__(in_channels, out_channels, 5, padding=2, bias=False)
        self.form: Form = form

    def forward(self, x: Tensor) -> Tensor:
        return unpooled_conv5x5(x, self.weight, self.form)


class DeConv(nn.Module):
    """Transposed convolution k×k of stride 2, batch norm, ReLU; it has one form only."""

    def __init__(self, in_channels: int, out_channels: int, _: Form, kernel: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(
            in_channels,
            out_channels,
            kernel,
            stride=2,
            padding=(kernel - 1) // 2,
            output_padding=kernel % 2,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class UpConv(nn.Module):
    """Unpooling, 5×5 convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__()
        self.conv = UnpooledConv5x5(in_channels, out_channels, form)
        self.bn = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class UpProj(Projection):
    """Up-projection of the unpooled map by 5×5 convolutions."""

    upper_conv1: UnpooledConv5x5
    lower_conv: UnpooledConv5x5

    def __init__(self, in_channels: int, out_channels: int, form: Form) -> None:
        super().__init__(UnpooledConv5x5, in_channels, out_channels, form)

    def enlarged(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.upper_conv1.form == "literal":
            return super().enlarged(x)
        # Both branches read the same map: one convolution with stacked kernels.
        weight = torch.cat((self.upper_conv1.weight, self.lower_conv.weight))
        upper, lower = unpooled_conv5x5(x, weight, self.upper_conv1.form).chunk(2, dim=1)
        return upper, lower


class ConvBilinear(nn.Module):
    """3×3 convolution, batch norm, ReLU, and bilinear interpolation to twice the size; it has one form only.

    Unpooling gives every phase of the output a kernel of its own, and where these differ a checkerboard lies over the map (Odena et al.
    2016, "Deconvolution and checkerboard artifacts"). Interpolation treats all alike, and the convolution before it costs a quarter.
    """

    def __init__(self, in_channels: int, out_channels: int, _: Form) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(x)))
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)  # N×O×2H×2W


_deconv3 = functools.partial(DeConv, kernel=3)
#: Every output pixel gets as many taps of a kernel whose side is a multiple of the stride (Odena et al. 2016).
_deconv4 = functools.partial(DeConv, kernel=4)

#: Up-blocks by step, the last for all further steps; built from in_channels, out_channels and the form of the unpooled convolutions.
DECODERS: dict[str, tuple[Callable[[int, int, Form], nn.Module], ...]] = {
    "deconv2": (functools.partial(DeConv, kernel=2),),
    "deconv3": (_deconv3,),
    "deconv4": (_deconv4,),
    "upconv": (UpConv,),
    "upproj": (UpProj,),
    "fastproj": (FastProj,),
    "deconv-upconv": (_deconv3, UpConv),
    "conv-bilinear": (ConvBilinear,),
    "upproj-bilinear": (UpProj, UpProj, ConvBilinear),
    "upproj-deconv": (UpProj, UpProj, _deconv4),
}


def build_decoder(name: str, widths: tuple[int, ...], form: Form) -> nn.Sequential:
    """Up-blocks from ``widths[0]`` to ``widths[-1]`` channels, one per step, each doubling the resolution.

    Raises:
        InputError: unknown name.
    """
    require_known("decoder", name, DECODERS)
    blocks = DECODERS[name]
    steps = enumerate(itertools.pairwise(widths))
    return nn.Sequential(*(blocks[min(step, len(blocks) - 1)](i, o, form) for step, (i, o) in steps))
