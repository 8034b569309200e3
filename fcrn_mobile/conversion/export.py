"""One entry for every kind of artefact, chosen by the destination's suffix."""

from pathlib import Path

from fcrn_mobile.conversion.artefact import Conversion
from fcrn_mobile.conversion.completed import completed
from fcrn_mobile.conversion.learned import check_learned
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.progress import OnStep
from fcrn_mobile.whole_file import check_destination, written_whole

__all__ = ["SUFFIXES", "artefact_size", "export"]

SUFFIXES = (".mlpackage", ".onnx", ".aimodel")
#: Of those that cannot have every one.
_PRECISIONS = {".onnx": ("fp32",), ".aimodel": ("fp16", "fp32")}


def export(
    checkpoint: FloatNetwork, recipe: Recipe, out: Path, force: bool = False, on_image: OnStep | None = None, correct: bool = True
) -> Recipe:
    """Write the artefact that ``out``'s suffix names; it appears there whole or not at all.

    Args:
        checkpoint: the network.
        recipe: what to make of it.
        out: destination.
        force: overwrite.
        on_image: progress of corrections and calibration.
        correct: whether compressed weights are corrected where the recipe has a table for it, on the built-in sample if it names no images.

    Returns:
        The recipe that was followed, with what it left open.

    Raises:
        InputError: unknown suffix; existing destination, or its folder does not; a recipe that does not suit the network or this kind
            of artefact; a library fails, or does otherwise than it was asked to.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(f"'{out}' ends in '{out.suffix}': use one of {', '.join(SUFFIXES)}")
    if out.suffix != ".mlpackage":
        _check_plain(checkpoint, recipe, out.suffix)
    check_destination(out, force)
    recipe = completed(checkpoint, recipe, correct)
    precisions = _PRECISIONS.get(out.suffix, (recipe.precision,))
    if recipe.precision not in precisions:
        raise InputError(f"precision '{recipe.precision}' is not available for {out.suffix}: use --precision {' or '.join(precisions)}")
    check_learned(checkpoint, recipe)
    if recipe.input_size and not checkpoint.contract.allows(recipe.input_size):
        raise InputError(
            f"recipe '{recipe.name}' has input_size {list(recipe.input_size)}, which '{checkpoint.name}' does not take: "
            f"use {checkpoint.contract.allowed}"
        )
    conversion = Conversion.of(checkpoint, recipe, coreml=out.suffix == ".mlpackage")
    with written_whole(out, force) as partial:
        if out.suffix == ".onnx":
            from fcrn_mobile.conversion.onnx import write_onnx

            write_onnx(conversion, partial)
        elif out.suffix == ".aimodel":
            from fcrn_mobile.conversion.coreai import write_coreai

            write_coreai(conversion, partial)
        else:
            from fcrn_mobile.conversion.coreml import write_coreml

            write_coreml(conversion, partial, on_image)
    return recipe


def _check_plain(checkpoint: FloatNetwork, recipe: Recipe, suffix: str) -> None:
    if checkpoint.quantization:
        trained = checkpoint.quantization.settings["precision"]
        raise InputError(f"'{checkpoint.name}' was trained as {trained}, which only an .mlpackage holds: export the float one to {suffix}")
    if recipe.ops or recipe.activations != "fp16" or recipe.input_sizes:
        settings = "[[ops]]" if recipe.ops else "input_sizes" if recipe.input_sizes else "int8 activations"
        raise InputError(f"recipe '{recipe.name}' asks for {settings}, which only an .mlpackage can have: leave that out for {suffix}")


def artefact_size(path: Path) -> int:
    """Bytes on disk of a file or of all files in a package."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
