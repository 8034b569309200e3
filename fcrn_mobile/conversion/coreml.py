"""Checkpoint → ``.mlpackage``: deploy, trace, convert, compress, describe, save."""

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import fcrn_mobile
from fcrn_mobile.conversion.artefact import AUTHOR, INPUT_NAME, LICENCE, OUTPUT_NAME, Conversion
from fcrn_mobile.conversion.compressed import compressed
from fcrn_mobile.conversion.equalise import equalise
from fcrn_mobile.conversion.learned import check_stored, register_learned
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import plain
from fcrn_mobile.network.deploy import taking_pixels
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["arithmetic", "convert", "describe", "half_wanted", "prepared", "trace", "write_coreml"]


def write_coreml(conversion: Conversion, path: Path, on_image: OnStep | None = None) -> None:
    """Write a Core ML package.

    Args:
        conversion: what to write.
        path: where, ending in .mlpackage.
        on_image: progress of corrections, operator by operator, then of calibration, image by image.

    Raises:
        InputError: a recipe that does not suit the network; coremltools fails, or did not compress as it was asked to.
    """
    learned, recipe, images = conversion.checkpoint.quantization, conversion.recipe, conversion.images
    with quiet_coremltools():
        network = prepared(conversion.network, recipe)
        if learned:
            register_learned(network, learned)
        with conversion.errors:
            model = convert(trace(network, conversion.size), conversion.size, recipe)
            package = check_stored(model, learned) if learned else compressed(model, recipe, images, on_image)
        describe(package, conversion)
        package.save(str(path))


def prepared(network: FCRN, recipe: Recipe) -> FCRN:
    """Let a deployed network take pixels, and equalise it if the recipe asks for it (in place): the float network that is compressed."""
    network = taking_pixels(network)
    return equalise(network, recipe) if recipe.correct and recipe.correct.equalise else network


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
        compute_precision=arithmetic(recipe),
        skip_model_load=True,
    )


def arithmetic(recipe: Recipe) -> Any:
    """What coremltools is to compute in float16: nothing, everything, or all operators but those that the recipe wants as ``fp32``."""
    import coremltools as ct

    if {scheme.name for scheme in recipe.schemes} == {"fp32"}:
        return ct.precision.FLOAT32
    if "fp32" not in {scheme.name for scheme in recipe.schemes}:
        return ct.precision.FLOAT16
    return ct.transform.FP16ComputePrecision(op_selector=half_wanted(recipe))


def half_wanted(recipe: Recipe) -> Callable[[Any], bool]:
    """Whether a recipe wants a PyMIL operator in float16."""
    return lambda op: recipe.scheme_for(_names(op)).name != "fp32"


def _names(op: Any) -> set[str]:
    """What a recipe may call an operator: its own name and those of its weights, as they will be called in the package."""
    read = [var for value in op.inputs.values() for var in (value if isinstance(value, list | tuple) else (value,)) if var is not None]
    weights = {_final(var.name, "var_") for var in read if var.op is not None and var.op.op_type == "const"}
    return weights | {_final(op.name, "op_"), _final(op.name, "op_") + "_cast_fp16"}


def _final(name: str, prefix: str) -> str:
    """The name that coremltools gives in the end: letters, digits and underscores, no digit in front."""
    name = re.sub(r"\W", "_", plain(name))
    return prefix + name if name[:1].isdigit() else name


def describe(model: "ct.models.MLModel", conversion: Conversion) -> None:
    """Fill in what Xcode and the app show: units, author, version, preview, recipe, checkpoint, images."""
    (height, width), checkpoint, recipe = conversion.size, conversion.checkpoint, conversion.recipe
    unit = checkpoint.in_units
    precision = "mixed precision" if recipe.ops else recipe.precision
    model.short_description = f"Monocular depth {unit} ({checkpoint.network.config.preset}, {precision})."
    model.author = AUTHOR
    model.license = LICENCE
    model.version = fcrn_mobile.__version__
    model.input_description[INPUT_NAME] = f"RGB photo, {height}×{width} pixels (height × width)."
    kind = "one-channel Float16 image" if recipe.output == "image" else "1×1×h×w array"
    model.output_description[OUTPUT_NAME] = f"Depth {unit}, {_output_size(model)} pixels (height × width), as a {kind}."
    preview = {"com.apple.coreml.model.preview.type": "depthEstimation"}
    model.user_defined_metadata.update(preview | conversion.metadata)


def _output_size(model: "ct.models.MLModel") -> str:
    kind = model.get_spec().description.output[0].type
    sides = (kind.imageType.height, kind.imageType.width) if kind.HasField("imageType") else kind.multiArrayType.shape[-2:]
    return "×".join(map(str, sides))
