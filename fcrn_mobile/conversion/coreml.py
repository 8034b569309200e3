"""Checkpoint → ``.mlpackage``: deploy, trace, convert, compress, describe, save."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import fcrn_mobile
from fcrn_mobile.conversion.artefact import provenance, written_whole
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    import coremltools as ct

AUTHOR = "fcrn-mobile"
LICENCE = "MIT (converter); weights as stated in the training data of the checkpoint"
INPUT_NAME, OUTPUT_NAME = "image", "depth"


def export_coreml(checkpoint: Checkpoint, recipe: Recipe, out: Path, force: bool = False) -> None:
    """Write a Core ML package; it appears at ``out`` whole or not at all.

    Args:
        checkpoint: the float network.
        recipe: what to make of it.
        out: destination, ending in .mlpackage.
        force: overwrite.

    Raises:
        InputError: ``out`` exists, or its folder does not.
    """
    with written_whole(out, force) as partial, quiet_coremltools():
        size = recipe.input_size or checkpoint.network.config.input_size
        traced = trace(taking_pixels(deploy(checkpoint.network, recipe.form)), size)
        model = convert(traced, size, recipe)
        if recipe.precision == "int8":
            model = quantize_weights(model)
        describe(model, checkpoint, recipe, size)
        model.save(str(partial))


def taking_pixels(network: FCRN) -> FCRN:
    """Let a deployed network take RGB in 0..255 instead of 0..1 (in place).

    In half precision the order matters: a pixel minus the mean is exact, a pixel divided by 255 is not, and subtracting the
    mean from it afterwards magnifies the error.
    """
    network.mean = network.mean * 255
    network.std = network.std * 255
    return network


def trace(network: nn.Module, size: tuple[int, int]) -> torch.jit.ScriptModule:
    """TorchScript of the network for one image of the given height and width."""
    example = torch.rand(1, 3, *size) * 255
    with torch.no_grad(), warnings.catch_warnings():
        # Padding is computed from the input's size, which is fixed here on purpose.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(network, example, check_trace=False)
    return traced


def convert(traced: torch.jit.ScriptModule, size: tuple[int, int], recipe: Recipe) -> "ct.models.MLModel":
    """ML program with an RGB image input (0..255) and depth in metres as output."""
    import coremltools as ct

    output = (
        ct.ImageType(name=OUTPUT_NAME, color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)
        if recipe.output == "image"
        else ct.TensorType(name=OUTPUT_NAME)
    )
    return ct.convert(
        traced,
        convert_to="mlprogram",
        inputs=[ct.ImageType(name=INPUT_NAME, shape=(1, 3, *size), color_layout=ct.colorlayout.RGB)],
        outputs=[output],
        minimum_deployment_target=getattr(ct.target, recipe.target),
        compute_precision=ct.precision.FLOAT32 if recipe.precision == "fp32" else ct.precision.FLOAT16,
        skip_model_load=True,
    )


def quantize_weights(model: "ct.models.MLModel") -> "ct.models.MLModel":
    """Weights as int8, symmetric, one scale per output channel; arithmetic stays fp16."""
    from coremltools.optimize.coreml import OpLinearQuantizerConfig, OptimizationConfig, linear_quantize_weights

    # Small tensors cost accuracy and save nothing.
    config = OptimizationConfig(global_config=OpLinearQuantizerConfig(mode="linear_symmetric", dtype="int8", weight_threshold=512))
    return linear_quantize_weights(model, config)


def describe(model: "ct.models.MLModel", checkpoint: Checkpoint, recipe: Recipe, size: tuple[int, int]) -> None:
    """Fill in what Xcode and the app show: units, author, version, preview, recipe, checkpoint."""
    height, width = size
    model.short_description = f"Monocular depth in metres ({checkpoint.network.config.preset}, {recipe.precision})."
    model.author = AUTHOR
    model.license = LICENCE
    model.version = fcrn_mobile.__version__
    model.input_description[INPUT_NAME] = f"RGB photo, {height}×{width} pixels (height × width)."
    kind = "one-channel Float16 image" if recipe.output == "image" else "1×1×h×w array"
    model.output_description[OUTPUT_NAME] = f"Depth in metres at half the input's resolution, as a {kind}."
    preview = {"com.apple.coreml.model.preview.type": "depthEstimation"}
    model.user_defined_metadata.update(preview | provenance(checkpoint, recipe, coreml=True))
