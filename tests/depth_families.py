"""Folders of Hugging Face form with random weights: the architectures that people have, small or at their true size."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

__all__ = ["FAMILIES", "DepthFamily", "save_folder"]

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


@dataclass(frozen=True)
class DepthFamily:
    """One architecture.

    Attributes:
        small: configuration with few layers and channels.
        true: of the published model.
        preparation: its preprocessor_config.json.
        size: at which the small one is run here.
    """

    small: Callable[[], Any]
    true: Callable[[], Any]
    preparation: dict[str, Any]
    size: tuple[int, int]


def save_folder(name: str, folder: Path, true_size: bool = False) -> nn.Module:
    """Build a network and save it as ``save_pretrained`` does, with its preparation; returns it, in evaluation mode.

    Maps of a random transformer hardly vary; convolutions are drawn anew as He et al. do, and the prediction is brought to 3 ± 0.4 in front
    of its last activation, so that compression has something to spoil.
    """
    from transformers import AutoModelForDepthEstimation, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    family = FAMILIES[name]
    torch.manual_seed(0)
    network = AutoModelForDepthEstimation.from_config((family.true if true_size else family.small)()).eval()
    parts = [getattr(network, part) for part in ("neck", "decoder", "head") if hasattr(network, part)]
    for part in parts:
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    convolutions = [module for module in parts[-1].modules() if isinstance(module, nn.Conv2d) and module.out_channels == 1]
    if name in ("depth_anything", "dpt"):
        _centre(network, convolutions[-1], family.size)
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(family.preparation))
    return network


def _centre(network: Any, last: nn.Conv2d, size: tuple[int, int]) -> None:
    outputs: list[torch.Tensor] = []
    handle = last.register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.no_grad():
        network(torch.randn(1, 3, *size))
        scale = 0.4 / outputs[0].std()
        last.weight.mul_(scale)
        assert last.bias is not None
        last.bias.copy_(3 - scale * outputs[0].mean())
    handle.remove()


def _depth_anything(small: bool) -> Any:
    from transformers import DepthAnythingConfig

    backbone = {"model_type": "dinov2", "image_size": 518, "patch_size": 14, "reshape_hidden_states": False}
    if not small:
        stages = {"out_features": ["stage3", "stage6", "stage9", "stage12"]}
        return DepthAnythingConfig(
            backbone_config=backbone | stages | {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6}
        )
    layers = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 70}
    stages = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
    widths = {"fusion_hidden_size": 16, "head_hidden_size": 8, "neck_hidden_sizes": [8, 8, 16, 16], "reassemble_hidden_size": 32}
    return DepthAnythingConfig(backbone_config=backbone | layers | stages, **widths)


def _dpt(small: bool) -> Any:
    from transformers import DPTConfig

    if not small:
        return DPTConfig()
    layers = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 64}
    return DPTConfig(**layers, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16)


def _glpn(small: bool) -> Any:
    from transformers import GLPNConfig

    if not small:
        return GLPNConfig(hidden_sizes=[64, 128, 320, 512], depths=[3, 8, 27, 3])
    return GLPNConfig(hidden_sizes=[16, 16, 32, 32], num_attention_heads=[1, 1, 2, 2], depths=[1, 1, 1, 1], decoder_hidden_size=16)


def _zoedepth(_: bool) -> Any:
    from transformers import ZoeDepthConfig

    layers = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 64}
    stages = {"out_features": ["stage1", "stage2", "stage3", "stage4"]}
    backbone = (
        {"model_type": "beit", "patch_size": 16, "use_relative_position_bias": True, "reshape_hidden_states": False} | layers | stages
    )
    widths = {"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16, "bottleneck_features": 16, "num_relative_features": 8}
    bins = {"bin_configurations": [{"name": "nyu", "n_bins": 8, "min_depth": 1e-3, "max_depth": 10.0}], "bin_embedding_dim": 16}
    return ZoeDepthConfig(backbone_config=backbone, **widths, **bins)


#: Preparations are those of the published models (Depth Anything V2 small, DPT large, GLPN NYU, ZoeDepth NYU), sizes apart.
FAMILIES = {
    "depth_anything": DepthFamily(
        lambda: _depth_anything(True),
        lambda: _depth_anything(False),
        {"ensure_multiple_of": 14, "keep_aspect_ratio": True, "size": {"height": 518, "width": 518}, **_IMAGENET},
        (56, 84),
    ),
    "dpt": DepthFamily(lambda: _dpt(True), lambda: _dpt(False), {"size": 384, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}, (64, 64)),
    "glpn": DepthFamily(lambda: _glpn(True), lambda: _glpn(False), {"do_rescale": True, "size_divisor": 32}, (64, 96)),
    "zoedepth": DepthFamily(
        lambda: _zoedepth(True), lambda: _zoedepth(True), {"ensure_multiple_of": 32, "size": {"height": 384, "width": 512}}, (64, 96)
    ),
}
