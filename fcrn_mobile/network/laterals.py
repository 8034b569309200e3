"""Lateral connections: maps of the encoder enter the decoder where the sizes agree.

FCRN's decoder sees the encoder's last map alone, 1/32 of the input, in which no edge has a place. U-Net (Ronneberger et al. 2015, arXiv
1505.04597) puts the encoder's finer maps beside the decoder's, feature pyramids (Lin et al. 2017, arXiv 1612.03144) add them; in both a
3×3 convolution stands behind.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.errors import require_known

__all__ = ["ADD", "CONCAT", "LATERALS", "NONE", "Lateral", "build_laterals", "cropped"]

NONE, ADD, CONCAT = "none", "add", "concat"
LATERALS = (NONE, ADD, CONCAT)


class Lateral(nn.Module):
    """An encoder's map through 1×1 convolution and batch norm, joined to an up-block's, and a 3×3 convolution over both.

    Args:
        kind: ``add``, or ``concat`` with half as many channels as the up-block gives, behind a ReLU as those are.
        channels: of the up-block's map, and of the result.
        encoder_channels: of the encoder's map.

    Shape:
        up-block's map N×C×H×W and encoder's N×E×h×w, h ≤ H and w ≤ W; output N×C×h×w. Both have their first pixel in common, and where
        the input's sides are no multiples of 32 the decoder's map reaches beyond the image.
    """

    def __init__(self, kind: str, channels: int, encoder_channels: int) -> None:
        super().__init__()
        self.concatenates = kind == CONCAT
        width = max(1, channels // 2) if self.concatenates else channels
        self.conv = nn.Conv2d(encoder_channels, width, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.joint_conv = nn.Conv2d(channels + width if self.concatenates else channels, channels, 3, padding=1, bias=False)
        self.joint_bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, encoded: Tensor) -> Tensor:
        x = cropped(x, encoded)
        lateral = self.bn(self.conv(encoded))
        x = torch.cat((x, F.relu(lateral)), dim=1) if self.concatenates else x + lateral
        return F.relu(self.joint_bn(self.joint_conv(x)))


def cropped(x: Tensor, like: Tensor) -> Tensor:
    """The first rows and columns of N×C×H×W, as many as ``like`` has."""
    height, width = int(like.shape[-2]), int(like.shape[-1])
    return x if (int(x.shape[-2]), int(x.shape[-1])) == (height, width) else x[..., :height, :width]


def build_laterals(kind: str, widths: tuple[int, ...], encoder_channels: tuple[int, ...]) -> nn.ModuleList:
    """One lateral per up-block but that to full resolution, where the encoder has no map; none at all for ``none``.

    Args:
        kind: one of ``LATERALS``.
        widths: of the decoder, ``widths[n]`` channels before and ``widths[n + 1]`` behind up-block n.
        encoder_channels: of the encoder's maps but its last, the coarsest first.

    Raises:
        InputError: unknown kind.
    """
    require_known("laterals", kind, LATERALS)
    if kind == NONE:
        return nn.ModuleList()
    return nn.ModuleList(Lateral(kind, width, channels) for width, channels in zip(widths[1:], encoder_channels, strict=False))
