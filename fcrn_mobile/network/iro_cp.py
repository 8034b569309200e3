"""Weights of the paper's authors (github.com/iro-cp/FCRN-DepthPrediction, NYU_ResNet-UpProj.npy), read into our ``fcrn-resnet50-caffe``.

The file holds TensorFlow's layout: kernels height × width × input × output, batch norms of eps 1e-4, RGB in 0..255 without mean. Our
network pads, strides and interleaves as theirs does and ends in the same ReLU. What it has no place for goes exactly into the batch
norm behind: a bias is taken off the running mean, and the difference between their eps and torch's is added to the running variance.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig, preset
from fcrn_mobile.network.foreign_keys import require_fit, some
from fcrn_mobile.network.foreign_numpy import Layers, read_layers

__all__ = ["read_iro_cp"]

_PRESET = "fcrn-resnet50-caffe"
_EPS_CHANGE = 1e-4 - 1e-5

_UP_BLOCKS = ("layer2x", "layer4x", "layer8x", "layer16x")
#: Convolution of the phase (row, column) → theirs.
_PHASES = {"conv00": "ConvA", "conv10": "ConvB", "conv01": "ConvC", "conv11": "ConvD"}
_IN_UP_BLOCK = {
    "upper_conv1": "br1",
    "upper_bn1": "br1_BN",
    "upper_conv2": "Conv",
    "upper_bn2": "BN",
    "lower_conv": "br2",
    "lower_bn": "br2_BN",
}
_OUTSIDE = {"encoder.conv1": "conv1", "encoder.bn1": "bn_conv1", "conv": "layer1", "bn": "layer1_BN", "head": "ConvPred"}
_CONVOLUTION = {"weight": "weights", "bias": "biases"}
_BATCH_NORM = {"weight": "scale", "bias": "offset", "running_mean": "mean", "running_var": "variance"}
#: Their batch norms behind a convolution with a bias, where ours has none.
_BIASED = {"bn_conv1": "conv1", "layer1_BN": "layer1", **{f"{block}_BN": f"{block}_Conv" for block in _UP_BLOCKS}}


def read_iro_cp(path: Path) -> tuple[FCRNConfig, dict[str, Tensor]]:
    """Configuration and state dict of the network in the file; numbers that were computed for it are float64.

    Raises:
        InputError: not such a file, or weights that are missing, left over or of another shape.
    """
    layers = read_layers(path)
    config = preset(_PRESET, widths=_widths(path, layers))
    theirs = {f"{layer}/{name}": _in_our_order(array) for layer, parameters in layers.items() for name, array in parameters.items()}
    with torch.device("meta"):
        ours = FCRN(config).state_dict()
    sources = {key: _source(key) for key in ours if not key.endswith("num_batches_tracked")}
    shapes = {source: tuple(ours[key].shape) for key, source in sources.items()}
    shapes |= {f"{conv}/biases": shapes[f"{bn}/offset"] for bn, conv in _BIASED.items()}
    require_fit(path, "the ResNet-50 up-projection of iro-cp", {name: tuple(value.shape) for name, value in theirs.items()}, shapes)
    state = {key: _folded(source, theirs) for key, source in sources.items()}
    return config, {key: state.get(key, torch.zeros((), dtype=torch.int64)) for key in ours}


def _widths(path: Path, layers: Layers) -> tuple[int, ...]:
    kernels = [layers.get(layer, {}).get("weights") for layer in ("layer1", *(f"{block}_Conv" for block in _UP_BLOCKS))]
    widths = tuple(kernel.shape[3] for kernel in kernels if kernel is not None and kernel.ndim == 4)
    if len(widths) != len(kernels):
        raise InputError(f"'{path}' holds {some(sorted(layers))}, not the layers of iro-cp's FCRN: give NYU_ResNet-UpProj.npy")
    return widths


def _source(key: str) -> str:
    """Their name, layer/parameter, of a key of our state dict."""
    module, _, tensor = key.rpartition(".")
    layer = _OUTSIDE.get(module) or (_up_block_layer if module.startswith("decoder") else _encoder_layer)(module)
    is_batch_norm = layer.startswith("bn") or layer.endswith("_BN")
    return f"{layer}/{(_BATCH_NORM if is_batch_norm else _CONVOLUTION)[tensor]}"


def _up_block_layer(module: str) -> str:
    _, block, child, *phase = module.split(".")
    return "_".join((_UP_BLOCKS[int(block)], _IN_UP_BLOCK[child], *(_PHASES[name] for name in phase)))


def _encoder_layer(module: str) -> str:
    _, stage, block, child, *index = module.split(".")
    is_batch_norm = index == ["1"] or child.startswith("bn")
    branch = "branch1" if child == "downsample" else f"branch2{'abc'[int(child[-1]) - 1]}"
    # They count conv1 as the first stage, so torchvision's layer1 is their res2.
    return f"{'bn' if is_batch_norm else 'res'}{int(stage[-1]) + 1}{'abcdef'[int(block)]}_{branch}"


def _in_our_order(array: np.ndarray) -> Tensor:
    """Kernels as output × input × height × width; numbers in this machine's byte order."""
    values = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    return torch.from_numpy(np.array(values, values.dtype.newbyteorder("="), order="C"))


def _folded(source: str, theirs: dict[str, Tensor]) -> Tensor:
    layer, _, name = source.partition("/")
    value = theirs[source]
    if name == "variance":
        return value.double() + _EPS_CHANGE
    if name == "mean" and layer in _BIASED:
        return value.double() - theirs[f"{_BIASED[layer]}/biases"].double()
    return value
