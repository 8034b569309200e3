"""Networks with faults planted into them, and their packages as coremltools makes them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from fcrn_mobile.mil import Program
from fcrn_mobile.network.decoders import UpProj
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.package.pymil import seldom_checked
from tests.mil.build import convert, ct, quiet_coremltools

with quiet_coremltools():
    from coremltools.converters.mil.frontend.milproto.load import load as load_pymil
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY
    from coremltools.optimize import coreml as cto

SIZE = (24, 32)


class Small(nn.Module):
    """Two convolutions, a residual sum, a transposed convolution, and depth around 10 m."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.up, self.head = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(8, 1, 3, padding=1)
        self.head.weight.data *= 10
        self.head.bias.data.fill_(10.0)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.first(image / 255))
        x = F.relu(x + self.second(x))
        return self.head(F.relu(self.up(x)))  # 1×1×2H×2W


def pictures(count: int = 2, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    return [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]


def save_small(folder: Path, name: str, precision: str, size: tuple[int, int] = SIZE, network: nn.Module | None = None) -> Path:
    shape = (1, 3, *size)
    inputs = [ct.ImageType("image", shape=shape, color_layout=ct.colorlayout.RGB)]
    settings = {"inputs": inputs, "outputs": [ct.TensorType("depth")], "compute_precision": getattr(ct.precision, precision)}
    return convert(network or Small(), [torch.rand(shape) * 255], folder, name, **settings)


def scale_inside(network: FCRN, block: int, factor: float, channels: slice = slice(None)) -> None:
    """Scale what runs between the two convolutions of an up-projection, and scale it back: ReLU lets any positive factor through."""
    up = network.decoder[block]
    assert isinstance(up, UpProj)
    up.upper_bn1.weight.data[channels] *= factor
    up.upper_bn1.bias.data[channels] *= factor
    up.upper_conv2.weight.data[:, channels] /= factor


def quantize(path: Path, out: Path, only: str | None = None, **settings: Any) -> Path:
    """Weights of a package as int8 by coremltools; only of the operator with this result, if one is named."""
    config = cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0, **settings)
    with quiet_coremltools(), seldom_checked():
        model = ct.models.MLModel(str(path), skip_model_load=True)
        cto.linear_quantize_weights(model, _wanted(config, _program(model), only)).save(str(out))
    return out


def quantize_activations(
    path: Path, out: Path, images: list[np.ndarray], shrink: dict[str, float] | None = None, only: str | None = None
) -> Path:
    """Activations of a half-precision package as int8, with the ranges that occur on the images; those of ``shrink`` cut down."""
    program = Program.load(path)
    ranges: dict[str, dict[str, float]] = {}
    for image in images:
        for name, tensor in program.trace({"image": image}):
            held = ranges.setdefault(name, {"rmin": 0.0, "rmax": 0.0})
            held["rmin"], held["rmax"] = min(held["rmin"], float(tensor.min())), max(held["rmax"], float(tensor.max()))
    for name, factor in (shrink or {}).items():
        ranges[name] = {key: value * factor for key, value in ranges[name].items()}
    config = cto.experimental.OpActivationLinearQuantizerConfig(mode="linear_symmetric")
    with quiet_coremltools(), seldom_checked():
        model = ct.models.MLModel(str(path), skip_model_load=True)
        pymil = _program(model)
        wanted = _wanted(config, pymil, only)
        # Of one operator only its inputs, not its result.
        for name in ("insert_prefix_quantize_dequantize_pair", "insert_suffix_quantize_dequantize_pair")[: 1 if only else 2]:
            graph_pass = PASS_REGISTRY[f"compression::{name}"]
            graph_pass.config, graph_pass.activation_stats = wanted, ranges
            graph_pass.apply(pymil)
        PASS_REGISTRY["common::dequantize_quantize_pair_elimination"].apply(pymil)
        converted = ct.convert(pymil, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
        # The program itself does not know that its input is a picture.
        specification = converted.get_spec()
        specification.description.CopyFrom(model.get_spec().description)
        ct.models.MLModel(specification, weights_dir=converted.weights_dir, skip_model_load=True).save(str(out))
    return out


def mean_abs_rel(candidate: Path, reference: Path, images: list[np.ndarray]) -> float:
    """Mean over images of |c - r|/max(r, 1 mm), by hand, both packages run whole in float32 arithmetic."""
    errors = []
    for image in images:
        c, r = (_depth(path, image) for path in (candidate, reference))
        errors.append(np.mean(np.abs(c - r) / np.maximum(r, 1e-3)))
    return float(np.mean(errors))


def _depth(path: Path, image: np.ndarray) -> np.ndarray:
    program = Program.load(path)
    height, width = program.inputs[0].shape
    resized = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(program.predict({"image": resized})["depth"], np.float64)


def _program(model: Any) -> Any:
    return load_pymil(model.get_spec(), model.get_spec().specificationVersion, model.weights_dir)


def _wanted(config: Any, program: Any, only: str | None) -> Any:
    if only is None:
        return cto.OptimizationConfig(config)
    (name,) = (op.name for op in program.functions["main"].operations if op.outputs[0].name == only)
    return cto.OptimizationConfig(op_name_configs={name: config})
