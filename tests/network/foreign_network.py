"""FCRN as other projects write it, from its description: their key names, unpooling as a transposed convolution, literal 5×5 kernels.

Tests load this file under another module's name (``foreign.py``), which is gone when the saved file is read.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Unpool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        kernel = torch.zeros(x.shape[1], 1, 2, 2, dtype=x.dtype)
        kernel[:, :, 0, 0] = 1
        return F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1])


class UpProj(nn.Module):
    def __init__(self, i: int) -> None:
        super().__init__()
        o = i // 2
        self.unpool = Unpool()
        self.upper_branch = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(i, o, 5, padding=2, bias=False),
                batchnorm1=nn.BatchNorm2d(o),
                relu=nn.ReLU(),
                conv2=nn.Conv2d(o, o, 3, padding=1, bias=False),
                batchnorm2=nn.BatchNorm2d(o),
            )
        )
        self.bottom_branch = nn.Sequential(OrderedDict(conv=nn.Conv2d(i, o, 5, padding=2, bias=False), batchnorm=nn.BatchNorm2d(o)))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.unpool(x)
        return self.relu(self.upper_branch(x) + self.bottom_branch(x))


def up_block(kind: str, i: int) -> nn.Module:
    if kind == "upproj":
        return UpProj(i)
    o = i // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kind == "upconv":
        layers["unpool"] = Unpool()
        layers["conv"] = nn.Conv2d(i, o, 5, padding=2, bias=False)
    else:
        k = int(kind[-1])
        layers[kind] = nn.ConvTranspose2d(i, o, k, 2, (k - 1) // 2, k % 2, bias=False)
    layers["batchnorm"] = nn.BatchNorm2d(o)
    layers["relu"] = nn.ReLU()
    return nn.Sequential(layers)


class Decoder(nn.Module):
    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        for n in range(4):
            setattr(self, f"layer{n + 1}", up_block(kind, width // 2**n))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Block(nn.Module):
    """Basic block or, for ``expansion`` 4, bottleneck."""

    def __init__(self, i: int, width: int, stride: int, expansion: int) -> None:
        super().__init__()
        o = width * expansion
        shapes = [(i, width, 1, 1), (width, width, 3, stride), (width, o, 1, 1)] if expansion == 4 else [(i, o, 3, stride), (o, o, 3, 1)]
        for n, (a, b, k, s) in enumerate(shapes, start=1):
            setattr(self, f"conv{n}", nn.Conv2d(a, b, k, s, k // 2, bias=False))
            setattr(self, f"bn{n}", nn.BatchNorm2d(b))
        self.count = len(shapes)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for n in range(1, self.count + 1):
            y = getattr(self, f"bn{n}")(getattr(self, f"conv{n}")(y))
            y = F.relu(y) if n < self.count else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(
        self,
        name: str,
        kind: str,
        size: tuple[int, int] = (228, 304),
        repeats: tuple[int, ...] = (2, 2, 2, 2),
        expansion: int = 1,
        width: int = 32,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        i = 64
        for n, count in enumerate(repeats):
            blocks = []
            for m in range(count):
                blocks.append(Block(i, 64 * 2**n, 2 if n and not m else 1, expansion))
                i = 64 * 2**n * expansion
            setattr(self, f"layer{n + 1}", nn.Sequential(*blocks))
        self.conv2 = nn.Conv2d(i, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.name = name
        setattr(self, name, Decoder(kind, width))
        self.conv3 = nn.Conv2d(width // 16, 1, 3, 1, 1, bias=False)
        self.bilinear = nn.Upsample(size=size, mode="bilinear", align_corners=True)

    def before_bilinear(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.conv3(getattr(self, self.name)(self.bn2(self.conv2(x))))

    def forward(self, x: Tensor) -> Tensor:
        return self.bilinear(self.before_bilinear(x))


class Result:
    """What their training scripts keep beside the network."""

    def __init__(self) -> None:
        self.rmse = 0.5
