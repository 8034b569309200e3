"""One entry for every kind of artefact, chosen by the destination's suffix."""

from pathlib import Path

from fcrn_mobile.conversion.completed import completed
from fcrn_mobile.conversion.ranges import OnImage
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.whole_file import check_destination

__all__ = ["SUFFIXES", "artefact_size", "export"]

SUFFIXES = (".mlpackage", ".onnx", ".aimodel")


def export(
    checkpoint: Checkpoint, recipe: Recipe, out: Path, force: bool = False, on_image: OnImage | None = None, correct: bool = True
) -> Recipe:
    """Write the artefact that ``out``'s suffix names.

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
        InputError: unknown suffix, existing destination, or a recipe that this kind of artefact cannot follow.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(f"'{out}' ends in '{out.suffix}': use one of {', '.join(SUFFIXES)}")
    if out.suffix != ".mlpackage":
        _check_plain(checkpoint, recipe, out.suffix)
    check_destination(out, force)
    recipe = completed(checkpoint, recipe, correct)
    if out.suffix == ".onnx":
        from fcrn_mobile.conversion.onnx import export_onnx

        export_onnx(checkpoint, recipe, out, force)
    elif out.suffix == ".aimodel":
        from fcrn_mobile.conversion.coreai import export_coreai

        export_coreai(checkpoint, recipe, out, force)
    else:
        from fcrn_mobile.conversion.coreml import export_coreml

        export_coreml(checkpoint, recipe, out, force, on_image)
    return recipe


def _check_plain(checkpoint: Checkpoint, recipe: Recipe, suffix: str) -> None:
    if checkpoint.quantization:
        trained = checkpoint.quantization.settings["precision"]
        raise InputError(f"'{checkpoint.name}' was trained as {trained}, which only an .mlpackage holds: export the float one to {suffix}")
    if recipe.ops or recipe.activations != "fp16":
        settings = "[[ops]]" if recipe.ops else "int8 activations"
        raise InputError(f"recipe '{recipe.name}' asks for {settings}, which only an .mlpackage can have: leave that out for {suffix}")


def artefact_size(path: Path) -> int:
    """Bytes on disk of a file or of all files in a package."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
