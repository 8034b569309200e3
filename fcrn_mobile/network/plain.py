"""The plain encoder: three convolution blocks with pooling, behind the preset ``fcrn-plain``.

``fcrn-plain`` follows a tutorial's sketch of a small FCRN: conv_block(3,32), pool, conv_block(32,64), pool, conv_block(64,128), pool,
DeConv(128,512), upsample, UpConv(512,128), upsample, FasterUpConv(128,64), upsample, conv_block(64,1), where a conv_block is N times
(3×3 convolution without bias, batch norm, ReLU). Taken literally it gives eight times the input's resolution, so this is what we chose:

- "DeConv, upsample" and its like are one step: all three blocks double the resolution themselves, and doing it twice would only
  enlarge the map that the next, dearer convolution runs over.
- The first convolution has stride 2, as in every other encoder here. Three poolings then lead to 1/16, and three doublings to 1/2 of
  the input: the resolution of depth that all networks here give.
- N is 2, the least with which a block sees more than its own 3×3.
- Pooling is 3×3 with stride 2 and one pixel of padding, as in ResNet: odd sizes are rounded up, never losing the last row.
- DeConv is the 3×3 one: with 2×2, every output pixel would see a single input pixel.
- FasterUpConv is UpConv: the same function and weights, computed by phases (``unpooling``), which is how all of ours run.
- The 1×1 convolution with batch norm that stands between encoder and decoder in every FCRN stays: 16 thousand weights.
- The prediction is one 3×3 convolution with bias instead of conv_block(64,1): a batch norm would tie the metres of one image to those
  of the others in its batch, and behind a ReLU a pixel that falls to zero no longer learns.
- The input is normalised with ImageNet's mean and standard deviation although no weights ask for it: it centres the pixels.
"""

from torch import Tensor, nn

from fcrn_mobile.network.encoder import EncoderNetwork

__all__ = ["PlainEncoder"]

#: Channels of the three blocks, and convolutions in each.
_WIDTHS = (32, 64, 128)
_REPEATS = 2


class PlainEncoder(EncoderNetwork):
    """Three convolution blocks, each followed by pooling; there are no published weights.

    Shape:
        input N×3×H×W, output N×128×⌈H/16⌉×⌈W/16⌉.

    Attributes:
        channels: of the maps at 1/2, 1/4, 1/8 and 1/16 that ``maps`` gives.
    """

    channels = (*_WIDTHS, _WIDTHS[-1])

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            layers += [*_conv_block(channels, width, stride=2 if channels == 3 else 1), nn.MaxPool2d(3, stride=2, padding=1)]
            channels = width
        self.layers = nn.Sequential(*layers)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The last map of each size, the finest first: what is pooled, and the output."""
        maps = []
        for layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]  # the last N×128×H/16×W/16


def _conv_block(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index in range(_REPEATS):
        first = index == 0
        layers += [
            nn.Conv2d(in_channels if first else out_channels, out_channels, 3, stride if first else 1, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return layers
