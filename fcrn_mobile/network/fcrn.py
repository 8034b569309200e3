"""FCRN (Laina et al. 2016, arXiv 1606.00373): encoder, 1×1 convolution, up-blocks, 3×3 prediction."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.network.decoders import build_decoder
from fcrn_mobile.network.encoders import ENCODERS, encoder_named
from fcrn_mobile.network.laterals import CONCAT, LATERALS, NONE, build_laterals, cropped
from fcrn_mobile.network.unpooling import FORMS, Form

__all__ = ["FCRN", "PRESETS", "DepthNetwork", "FCRNConfig", "preset", "set_form"]


@dataclass(frozen=True)
class FCRNConfig:
    """All that rebuilds a network; stored in its checkpoint.

    Attributes:
        preset: name under which the network is known.
        encoder: one of ``encoders.ENCODERS``.
        decoder: one of ``decoders.DECODERS``.
        widths: channels after the 1×1 convolution and after each of the up-blocks: of these one fewer than the encoder halves its input, or
            as many, of which the last leads to full resolution.
        input_size: height and width in pixels that it is trained and exported for; other sizes run too.
        mean, std: normalisation of RGB in 0..1, applied inside the network.
        head_relu: whether the prediction ends in a ReLU, so that depth is never negative.
        inverse_depth: α and β if the prediction x stands for the inverse depth α·sigmoid(x) + β, which is always positive (Zhou et al.
            2017, arXiv 1704.07813, section 3.5); None if it is the depth itself.
        laterals: one of ``laterals.LATERALS``: how the encoder's finer maps enter the decoder.
    """

    preset: str
    encoder: str
    decoder: str
    widths: tuple[int, ...]
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    head_relu: bool = False
    inverse_depth: tuple[float, float] | None = None
    laterals: str = NONE

    def __post_init__(self) -> None:
        require_known("laterals", self.laterals, LATERALS)
        count = encoder_named(self.encoder).halvings
        if len(self.widths) not in (count, count + 1) or min(self.widths) < 1:
            blocks = f"one behind the encoder and {count - 1} up-blocks, or one more for an up-block to full resolution"
            raise InputError(f"decoder widths {self.widths}: give {count} positive channel counts, {blocks}")
        if len(self.input_size) != 2 or min(self.input_size) < 32:
            raise InputError(f"input size {self.input_size}: give height and width of at least 32 pixels")
        if self.inverse_depth is not None and not (len(self.inverse_depth) == 2 and min(self.inverse_depth) > 0):
            raise InputError(f"inverse depth {self.inverse_depth}: give its range and its least value, both positive")

    @property
    def first_prediction(self) -> float:
        """The x with which training in inverse depth starts: that of a depth of 1, or of the middle where the range doesn't reach it.

        At a depth of 1 a camera's motion by one unit moves the picture as much as its turn by one radian. Started nearer, a pose network
        explains turns as motions (seen with a hand-held camera).
        """
        assert self.inverse_depth is not None
        scale, least = self.inverse_depth
        share = (1 - least) / scale
        return math.log(share / (1 - share)) if 0 < share < 1 else 0.0

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "FCRNConfig":
        """The inverse of ``dataclasses.asdict`` followed by a trip through JSON, which turns tuples into lists."""
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        return cls(**values)


#: The networks this project ships. ``fcrn-resnet50`` is the paper's, ``fcrn-resnet50-caffe`` its authors' release, ``fcrn-plain`` is
#: described in ``plain``, ``fcrn-lite0-lateral`` is ``fcrn-lite0`` with lateral connections and interpolation in the last two steps,
#: ``fcrn-lite2-lateral`` the same on a larger encoder with up-blocks twice as wide.
PRESETS: dict[str, FCRNConfig] = {
    name: FCRNConfig(
        name,
        encoder,
        decoder,
        widths,
        size,
        ENCODERS[encoder].mean,
        ENCODERS[encoder].std,
        head_relu=decoder == "fastproj",
        laterals=laterals,
    )
    for name, encoder, decoder, widths, size, laterals in (
        ("fcrn-resnet50", "resnet50", "upproj", (1024, 512, 256, 128, 64), (228, 304), NONE),
        ("fcrn-resnet18", "resnet18", "upproj", (256, 128, 64, 32, 16), (228, 304), NONE),
        ("fcrn-lite0", "lite0", "upproj", (256, 128, 64, 32, 16), (224, 320), NONE),
        ("fcrn-lite0-lateral", "lite0", "upproj-bilinear", (256, 128, 64, 40, 24), (224, 320), CONCAT),
        ("fcrn-lite2-lateral", "lite2", "upproj-bilinear", (512, 256, 128, 64, 32), (224, 320), CONCAT),
        ("fcrn-plain", "plain", "deconv-upconv", (128, 512, 128, 64), (224, 304), NONE),
        ("fcrn-resnet50-caffe", "resnet50-caffe", "fastproj", (1024, 512, 256, 128, 64), (228, 304), NONE),
    )
}


def preset(name: str, **changes: object) -> FCRNConfig:
    """A preset's configuration, with some of its fields changed.

    Raises:
        InputError: unknown name.
    """
    require_known("preset", name, PRESETS)
    return replace(PRESETS[name], **changes)  # type: ignore[arg-type]


class DepthNetwork(nn.Module):
    """Depth of images, N×3×H×W RGB in 0..1 → N×1×h×w.

    Attributes:
        config: that it was built by.
    """

    config: FCRNConfig


class FCRN(DepthNetwork):
    """Monocular depth network.

    Args:
        config: what to build.
        form: how 5×5 convolutions over unpooled maps run; the weights are the same in every form.

    Shape:
        input N×3×H×W, RGB in 0..1 (the network normalises); output depth in metres, N×1×16⌈H/32⌉×16⌈W/32⌉
        (plain encoder: N×1×8⌈H/16⌉×8⌈W/16⌉), with laterals N×1×⌈H/2⌉×⌈W/2⌉; twice that with an up-block to full resolution, with
        laterals N×1×H×W.
    """

    mean: Tensor
    std: Tensor
    one: Tensor

    def __init__(self, config: FCRNConfig, form: Form = "four") -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1), persistent=False)
        if config.inverse_depth is not None:
            self.register_buffer("one", torch.ones(1, 1, 1, 1), persistent=False)
        self.encoder = encoder_named(config.encoder).build()
        self.conv = nn.Conv2d(self.encoder.out_channels, config.widths[0], 1, bias=False)
        self.bn = nn.BatchNorm2d(config.widths[0])
        self.decoder = build_decoder(config.decoder, config.widths, form)
        self.laterals = build_laterals(config.laterals, config.widths, self.encoder.channels[-2::-1])
        self.head = nn.Conv2d(config.widths[-1], 1, 3, padding=1)
        self._initialise()

    def forward(self, image: Tensor) -> Tensor:
        x = self.head(self.decoded(image)[-1])  # N×1×H/2×W/2, or at full resolution
        if self.config.inverse_depth is not None:
            # Not 1 / x, which becomes a reciprocal: Core ML adds 1e-4 to what it inverts.
            return torch.div(self.one, self.inverse_depth(x))
        return F.relu(x) if self.config.head_relu else x

    def decoded(self, image: Tensor) -> list[Tensor]:
        """What each step of the decoder gives of an image N×3×H×W in 0..1, up to N×widths[-1]×H/2×W/2 or full resolution."""
        *finer, x = self.encoder.maps((image - self.mean) / self.std)
        x = self.bn(self.conv(x))  # N×widths[0]×H/32×W/32 (plain: H/16×W/16), no ReLU
        steps = []
        for step, block in enumerate(self.decoder):
            x = block(x)
            if step < len(self.laterals):
                x = self.laterals[step](x, finer[-1 - step])
            elif self.laterals:
                x = cropped(x, image)
            steps.append(x)
        return steps

    def inverse_depth(self, raw: Tensor) -> Tensor:
        """What predictions stand for where the configuration says so: α·sigmoid(x) + β in 1/m, of any shape."""
        assert self.config.inverse_depth is not None
        scale, least = self.config.inverse_depth
        return scale * torch.sigmoid(raw) + least

    def _initialise(self) -> None:
        """He initialisation of everything behind the encoder, since ReLU networks of this depth train from it."""
        for module in (self.conv, *self.decoder.modules(), *self.laterals.modules(), self.head):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if self.config.inverse_depth is not None:
            # Where a sigmoid is flat nothing is learned.
            self.start_at(self.config.first_prediction)

    def start_at(self, prediction: float) -> None:
        """Begin anew with first predictions x that are nearly equal: set the head's bias, and small weights."""
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.constant_(self.head.bias, prediction)  # type: ignore[arg-type]


def set_form(network: FCRN, form: Form) -> FCRN:
    """Switch in place how the 5×5 convolutions over unpooled maps run; returns the network."""
    require_known("form", form, FORMS)
    for module in network.modules():
        if hasattr(module, "form"):
            module.form = form  # type: ignore[assignment]
    return network
