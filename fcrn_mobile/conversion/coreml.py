"""Float network → ``.mlpackage``: deploy, capture its graph, convert, compress, describe, save."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

import fcrn_mobile
from fcrn_mobile.conversion.activations import as_program
from fcrn_mobile.conversion.artefact import AUTHOR, INPUT_NAME, LICENCE, OUTPUT_NAME, Conversion
from fcrn_mobile.conversion.capture import CAPTURES, TRACE, trace
from fcrn_mobile.conversion.compressed import compressed
from fcrn_mobile.conversion.equalise import equalise
from fcrn_mobile.conversion.equalise_program import equalise_program
from fcrn_mobile.conversion.learned import check_stored, register_learned
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.conversion.weights import plain
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.network.deploy import taking_pixels
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.float_network import ContractedNetwork
from fcrn_mobile.package.errors import MilError
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.pymil import FAILING_PASSES, seldom_checked
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quiet import quiet_coremltools

if TYPE_CHECKING:
    import coremltools as ct

__all__ = ["arithmetic", "convert", "describe", "equalised", "float_model", "half_wanted", "prepared", "write_coreml"]

#: Largest mean difference of a program from its network, relative to the mean, that half precision of weights explains.
_SAME = 0.02
#: Characters of what a converter says.
_LONGEST_REASON = 120
#: Of errors of ``FAILING_PASSES``.
_NO_BATCH_NORM = ("doesn't have compatible subtype", "of type batch_norm")
#: What stands in a converter's message → what to do about it.
_REMEDIES = {
    "bicubic": "Core ML has no bicubic resize of what depends on the picture, so write mode='bilinear' there",
    "decides by the picture": "leave out what branches on values of the picture",
}


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
            model, graph = float_model(network, conversion.size, recipe)
            if recipe.input_sizes:
                _check_sizes(model, network, recipe)
            model = equalised(model, network, recipe)
            package = check_stored(model, learned) if learned else compressed(model, recipe, images, on_image)
        describe(package, conversion)
        if isinstance(network, ContractedNetwork):
            package.user_defined_metadata.update(Metadata(graph=graph).to_dict())
        package.save(str(path))


def prepared(network: nn.Module, recipe: Recipe) -> nn.Module:
    """Let a deployed network take pixels, and equalise an FCRN if the recipe asks for it (in place): the float network to be compressed."""
    network = taking_pixels(network)
    return equalise(network, recipe) if recipe.equalises and isinstance(network, FCRN) else network


def equalised(model: "ct.models.MLModel", network: nn.Module, recipe: Recipe) -> "ct.models.MLModel":
    """The float model of a network, equalised if the recipe asks for it and the network, which is no FCRN, is not yet."""
    return equalise_program(model, recipe) if recipe.equalises and not isinstance(network, FCRN) else model


def float_model(network: nn.Module, size: tuple[int, int], recipe: Recipe) -> tuple["ct.models.MLModel", str]:
    """The uncompressed model of a deployed network that takes pixels, and by what its graph was taken, one of ``CAPTURES``.

    Args:
        network: of a network from outside, what does not depend on the picture becomes constant (in place).
        size: height and width of the input.
        recipe: what else is asked.

    Raises:
        InputError: a network from outside that neither way converts; says what stopped each, and the remedy where it is known.
    """
    if recipe.input_sizes and isinstance(network, ContractedNetwork):
        raise InputError(f"recipe '{recipe.name}' has input_sizes; a network from outside is fixed to one: use input_size")
    if not isinstance(network, ContractedNetwork):
        return convert(trace(network, size), size, recipe), TRACE
    failures = {}
    for name, capture in CAPTURES.items():
        try:
            return _converted(capture(network, size), size, recipe), name
        except (InputError, OSError, MemoryError):
            raise
        except Exception as error:  # converters raise whatever occurs to them
            failures[name] = brief(error, _LONGEST_REASON) or type(error).__name__
    remedies = [remedy for word, remedy in _REMEDIES.items() if any(word in reason for reason in failures.values())]
    stopped = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    raise InputError(f"neither way leads to Core ML ({stopped}): {'; '.join(remedies) or 'write that part with other operators'}")


def _converted(
    graph: "torch.jit.ScriptModule | torch.export.ExportedProgram", size: tuple[int, int], recipe: Recipe
) -> "ct.models.MLModel":
    """As ``convert``, without the pass of coremltools that takes a sum of other shapes for a batch norm, if it fails so."""
    try:
        return convert(graph, size, recipe)
    except ValueError as error:
        if not any(sign in str(error) for sign in _NO_BATCH_NORM):
            raise
        return convert(graph, size, recipe, FAILING_PASSES)


def convert(
    graph: "torch.jit.ScriptModule | torch.export.ExportedProgram",
    size: tuple[int, int],
    recipe: Recipe,
    without: frozenset[str] = frozenset(),
) -> "ct.models.MLModel":
    """ML program with an RGB image input (0..255) of all sizes that the recipe has, and depth as output.

    Args:
        graph: captured at ``size``.
        size: height and width of the input by default.
        recipe: what else is asked.
        without: passes of coremltools that are left out.
    """
    import coremltools as ct

    shape: Any = (1, 3, *size)
    if recipe.input_sizes:
        shape = ct.EnumeratedShapes([(1, 3, *each) for each in recipe.input_sizes], default=shape)
    pipeline = ct.PassPipeline()
    pipeline.remove_passes(without)
    output = (
        ct.ImageType(name=OUTPUT_NAME, color_layout=ct.colorlayout.GRAYSCALE_FLOAT16)
        if recipe.output == "image"
        else ct.TensorType(name=OUTPUT_NAME)
    )
    with seldom_checked():
        return ct.convert(
            graph,
            convert_to="mlprogram",
            inputs=[ct.ImageType(name=INPUT_NAME, shape=shape, color_layout=ct.colorlayout.RGB)],
            outputs=[output],
            minimum_deployment_target=getattr(ct.target, recipe.target),
            compute_precision=arithmetic(recipe),
            pass_pipeline=pipeline,
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
    checkpoint, recipe = conversion.checkpoint, conversion.recipe
    unit = conversion.in_units
    sizes = " or ".join(by(size) for size in recipe.input_sizes or (conversion.size,))
    precision = "mixed precision" if recipe.ops else recipe.precision
    model.short_description = f"Monocular depth {unit} ({checkpoint.kind}, {precision})."
    model.author = AUTHOR
    model.license = LICENCE
    model.version = fcrn_mobile.__version__
    model.input_description[INPUT_NAME] = f"RGB photo, {sizes} pixels (height × width)."
    kind = "one-channel Float16 image" if recipe.output == "image" else "1×1×h×w array"
    model.output_description[OUTPUT_NAME] = f"Depth {unit}, {_output_size(model)}, as a {kind}."
    preview = {"com.apple.coreml.model.preview.type": "depthEstimation"}
    model.user_defined_metadata.update(preview | conversion.metadata)


def _check_sizes(model: "ct.models.MLModel", network: nn.Module, recipe: Recipe) -> None:
    """Compare the program with the network at every size: what was traced at one may have become fixed.

    Raises:
        InputError: it gives something else at one of them.
    """
    program = as_program(model)
    (picture,), (output,) = program.inputs, program.outputs
    for size in recipe.input_sizes:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
        with torch.no_grad():
            expected = network(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0, 0].numpy()
        try:
            depth = np.asarray(program.predict({picture.name: image})[output.name]).reshape(expected.shape)
            differs = not np.abs(depth - expected).mean() <= _SAME * np.abs(expected).mean()
        except (MilError, ValueError):
            differs = True
        if differs:
            first = by(recipe.input_sizes[0])
            raise InputError(
                f"recipe '{recipe.name}': traced at {first}, the network gives something else at {by(size)}: use sizes whose sides are "
                "multiples of 32"
            )


def _output_size(model: "ct.models.MLModel") -> str:
    kind = model.get_spec().description.output[0].type
    is_image = kind.HasField("imageType")
    sides = (kind.imageType.height, kind.imageType.width) if is_image else kind.multiArrayType.shape[-2:]
    is_open = kind.imageType.HasField("imageSizeRange") if is_image else not sides
    return "of a size that follows the photo's" if is_open else f"{by(sides)} pixels (height × width)"
