"""Whole vision networks with random weights: what coremltools converts, this runtime has to run.

Plain ones are written here; transformers builds GLPN, SegFormer, DPT and Depth Anything from a configuration.
"""

import itertools
from collections.abc import Callable
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.network import efficientnet_lite, resnet
from fcrn_mobile.network.encoders import encoder_named

SIZE = (64, 96)


#: Encoders with every kind of their blocks once, not three to six times: EfficientNet-Lite's repeats, channels, kernel, stride, expansion.
STAGES = ((1, 16, 3, 1, 1), (2, 24, 3, 2, 6), (1, 40, 5, 2, 6), (1, 80, 3, 2, 6), (1, 112, 5, 1, 6), (1, 192, 5, 2, 6))
RESNET = ("bottleneck", (2, 1, 1, 1))


class Classifier(nn.Module):
    """An encoder of this project, shortened, behind which features are averaged."""

    def __init__(self, encoder: str) -> None:
        super().__init__()
        with mock.patch.object(efficientnet_lite, "_STAGES", STAGES), mock.patch.dict(resnet.RESNETS, {"resnet50": RESNET}):
            self.encoder = encoder_named(encoder).build()
        self.head = nn.Linear(self.encoder.out_channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.encoder(x), 1).flatten(1))


class SqueezeExcite(nn.Module):
    """Channel gates from the mean of the map, through a hard sigmoid (Howard et al. 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, channels // 4, 1), nn.Conv2d(channels // 4, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


def inverted_residual(channels: int, out: int, stride: int, activation: type[nn.Module], gates: bool) -> nn.Sequential:
    """1×1 expansion, depthwise 3×3, 1×1 projection."""
    width = channels * 4
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), activation()]
    layers += [nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width), activation()]
    layers += [SqueezeExcite(width)] if gates else []
    return nn.Sequential(*layers, nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out))


class MobileNet(nn.Module):
    """MobileNetV2-like with ReLU6, or V3-like with hard swish and squeeze-excite."""

    def __init__(self, activation: type[nn.Module], gates: bool) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), activation())
        widths = [(16, 16, 1), (16, 24, 2), (24, 24, 1), (24, 40, 2)]
        self.blocks = nn.ModuleList(inverted_residual(i, o, s, activation, gates) for i, o, s in widths)
        self.head = nn.Linear(40, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            y = block(x)
            x = x + y if x.shape == y.shape else y
        return self.head(x.mean((2, 3)))


def double_conv(channels: int, out: int) -> nn.Sequential:
    """Two 3×3 convolutions with batch norm and ReLU."""
    first = (nn.Conv2d(channels, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())
    return nn.Sequential(*first, nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU())


class UNet(nn.Module):
    """Skip concatenation and interpolation of every kind (Ronneberger et al. 2015).

    Args:
        by_size: interpolate to the size of the skip, else by a factor of two, which coremltools also converts where sizes are flexible.
    """

    def __init__(self, by_size: bool = True) -> None:
        super().__init__()
        self.by_size = by_size
        widths = (3, 8, 16, 32, 32)
        self.down = nn.ModuleList(double_conv(i, o) for i, o in itertools.pairwise(widths))
        self.up = nn.ModuleList([double_conv(64, 16), double_conv(32, 8), double_conv(16, 8)])
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for block in self.down:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2, 2)
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        modes = ({"mode": "bilinear", "align_corners": False}, {"mode": "bilinear", "align_corners": True}, {"mode": "nearest"})
        for block, skip, mode in zip(self.up, skips[2::-1], modes, strict=True):
            target = {"size": skip.shape[2:]} if self.by_size else {"scale_factor": 2.0}
            x = block(torch.cat((F.interpolate(x, **target, **mode), skip), 1))
        return F.softplus(self.head(x))


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, layer norm over channels, GELU, layer scale (Liu et al. 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.wide, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.narrow(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    """Two stages of ConvNeXt blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 4, 4)
        self.stages = nn.Sequential(ConvNeXtBlock(24), nn.GroupNorm(1, 24), nn.Conv2d(24, 48, 2, 2), ConvNeXtBlock(48))
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


class Generator(nn.Module):
    """Group and instance norm, PReLU, transposed convolution, pixel shuffle, reflection padding, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 16, 7), nn.InstanceNorm2d(16, affine=True), nn.PReLU(16))
        self.low = nn.Sequential(nn.Conv2d(16, 32, 4, 2, 1), nn.GroupNorm(4, 32), nn.SiLU(), nn.AvgPool2d(2, ceil_mode=True))
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.up = nn.Sequential(nn.ConvTranspose2d(32, 32, 3, 2, 1, output_padding=1), nn.LeakyReLU(0.2), nn.Conv2d(32, 64, 3, padding=1))
        self.head = nn.Sequential(nn.PixelShuffle(2), nn.ELU(), nn.Conv2d(16, 3, 3, padding=1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.low(self.down(x))
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(self.up(tokens.transpose(1, 2).reshape(x.shape)))


class Depth(nn.Module):
    """A transformers depth or segmentation model as one function of pixels, with weights that keep the size of what goes in.

    As these models initialise themselves, their outputs are about 1e-8, which no half precision holds.
    """

    def __init__(self, model: nn.Module, output: str) -> None:
        super().__init__()
        self.model, self.output = model, output
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = getattr(self.model(pixel_values=x), self.output)
        return result


def glpn() -> nn.Module:
    """Global-local path network (Kim et al. 2022)."""
    from transformers import GLPNConfig, GLPNForDepthEstimation

    small = {"hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 5, 8], "decoder_hidden_size": 16}
    return Depth(GLPNForDepthEstimation(GLPNConfig(**small)), "predicted_depth")


def segformer() -> nn.Module:
    """SegFormer (Xie et al. 2021)."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    small = {"hidden_sizes": [16, 32, 40, 64], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 5, 8], "decoder_hidden_size": 16}
    return Depth(SegformerForSemanticSegmentation(SegformerConfig(**small, num_labels=5)), "logits")


#: Of the vision transformers.
SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}


def dpt() -> nn.Module:
    """A vision transformer with a dense prediction head (Ranftl et al. 2021)."""
    from transformers import DPTConfig, DPTForDepthEstimation

    config = DPTConfig(
        **SMALL,
        intermediate_size=64,
        image_size=64,
        patch_size=16,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[16, 16, 32, 32],
        fusion_hidden_size=16,
        is_hybrid=False,
    )
    return Depth(DPTForDepthEstimation(config), "predicted_depth")


def depth_anything() -> nn.Module:
    """Depth Anything (Yang et al. 2024) over a small DINOv2."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        **SMALL,
        image_size=56,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=32,
        neck_hidden_sizes=[16, 16, 32, 32],
        fusion_hidden_size=16,
        head_in_channels=16,
        head_hidden_size=16,
    )
    return Depth(DepthAnythingForDepthEstimation(config), "predicted_depth")


#: Name → builder and input size.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int]]] = {
    "resnet50": (lambda: Classifier("resnet50"), SIZE),
    "efficientnet-lite": (lambda: Classifier("lite0"), SIZE),
    "mobilenet-v2": (lambda: MobileNet(nn.ReLU6, gates=False), SIZE),
    "mobilenet-v3": (lambda: MobileNet(nn.Hardswish, gates=True), SIZE),
    "unet": (UNet, SIZE),
    "unet-by-factor": (lambda: UNet(by_size=False), SIZE),
    "convnext": (ConvNeXt, SIZE),
    "generator": (Generator, (40, 48)),
    "glpn": (glpn, SIZE),
    "segformer": (segformer, SIZE),
    "vit-dpt": (dpt, (64, 64)),
    "depth-anything": (depth_anything, (56, 56)),
}


def build(name: str) -> nn.Module:
    """A network in evaluation mode, its batch norms with statistics of random images."""
    torch.manual_seed(0)
    make, size = NETWORKS[name]
    network = make()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_(0, 0.2)
        norm.momentum = None
    if norms:
        network.train()
        with torch.no_grad():
            for _ in range(2):
                network(torch.rand(4, 3, *size))
    return network.eval()
