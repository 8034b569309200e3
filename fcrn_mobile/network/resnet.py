"""ResNet encoders (He et al. 2016, arXiv 1512.03385) with torchvision's state-dict keys."""

import itertools
from collections.abc import Iterator

from torch import Tensor, nn

from fcrn_mobile.network.encoder import EncoderNetwork, InnerMap
from fcrn_mobile.network.padding import SamePadMaxPool2d

__all__ = ["RESNETS", "BasicBlock", "Bottleneck", "CaffeBottleneck", "ResNet"]

#: Block kind and repeats per stage (He et al. 2016, table 1).
RESNETS: dict[str, tuple[str, tuple[int, int, int, int]]] = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet50-caffe": ("caffe", (3, 4, 6, 3)),
}


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _projection(in_channels, width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut; the stride sits in the 3×3, as in torchvision."""

    expansion = 4
    stride_first = False

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = width * self.expansion
        strides = (stride, 1) if self.stride_first else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, strides[0], bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, strides[1], padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


class CaffeBottleneck(Bottleneck):
    """The same with the stride in the first 1×1, as the authors of ResNet released it for Caffe."""

    stride_first = True


_BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck, "caffe": CaffeBottleneck}


class ResNet(EncoderNetwork):
    """ResNet without its average pooling and classifier.

    Of the kind ``caffe`` it also pools as MatConvNet and TensorFlow run those weights: SAME, so even sizes are padded at the
    bottom and right alone.

    Args:
        name: one of ``RESNETS``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        kind, repeats = RESNETS[name]
        block = _BLOCKS[kind]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = SamePadMaxPool2d(3, stride=2) if kind == "caffe" else nn.MaxPool2d(3, stride=2, padding=1)
        channels = 64
        for stage, count in enumerate(repeats):
            width = 64 * 2**stage
            blocks = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(block(channels, width, stride))
                channels = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.channels = (64, *(64 * 2**stage * block.expansion for stage in range(len(repeats))))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The last map of each size, the finest first: behind the first convolution, and behind each stage."""
        x = self.relu(self.bn1(self.conv1(x)))  # N×64×H/2×W/2
        maps = [x]
        x = self.maxpool(x)  # N×64×H/4×W/4
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
            maps.append(x)
        return maps  # the last N×C×H/32×W/32

    def residual_branches(self) -> Iterator[nn.Module]:
        """The last batch norm of every block."""
        for block in self.modules():
            if isinstance(block, BasicBlock | Bottleneck):
                yield block.bn3 if isinstance(block, Bottleneck) else block.bn2

    def inner_maps(self) -> Iterator[InnerMap]:
        """The maps within the blocks: those between them are added up."""
        for block in self.modules():
            if isinstance(block, BasicBlock | Bottleneck):
                convolutions = [block.conv1, block.conv2, *([block.conv3] if isinstance(block, Bottleneck) else [])]
                yield from itertools.starmap(InnerMap, itertools.pairwise(convolutions))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
