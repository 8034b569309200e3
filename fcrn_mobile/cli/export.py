"""``fcrn-mobile export``."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.calibration import calibration_options
from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.networks import FORMS_HELP, named_network, network_options
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.cli.shipped_file import recipe_option
from fcrn_mobile.cli.stored import NOT_CORRECTED, UNKNOWN_PART, unseen_part, weights_json, weights_line
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.conversion.recipe import Recipe
    from fcrn_mobile.doctor.diagnosis import Diagnosis
    from fcrn_mobile.network.float_network import FloatNetwork

__all__ = ["command"]


@click.command("export", cls=Command, epilog=FORMS_HELP)
@click.argument("model")
@network_options
@recipe_option("convert and compress")
@click.option("--precision", metavar="P", help="Of weights, instead of a recipe: fp32, fp16, int8, int4, palette6, sparse50, …")
@calibration_options
@click.option("--no-correct", is_flag=True, help="Leave compressed weights as they were rounded, without a correction on images.")
@click.option("--scale", type=float, metavar="S", help="Multiply depth: metres by 'predict --scale-from', folded into the last operator.")
@click.option("--out", required=True, type=OutputFile(), help="Destination, ending in .mlpackage, .onnx or .aimodel.")
@click.option("--force", is_flag=True, help="Overwrite what is at --out.")
@json_option
def command(
    model: str,
    recipe_file: Path | None,
    precision: str | None,
    data: str | None,
    images: int | None,
    seed: int | None,
    no_correct: bool,
    scale: float | None,
    out: Path,
    force: bool,
    json_out: str | None,
    **outside: Any,
) -> None:
    """Convert MODEL (builtin, a .safetensors file or a network from outside) for the phone."""
    from fcrn_mobile.conversion.artefact import in_units
    from fcrn_mobile.conversion.calibration import calibration_notes
    from fcrn_mobile.conversion.export import artefact_size, export
    from fcrn_mobile.conversion.weights import package_weights
    from fcrn_mobile.network.forms import open_network

    if recipe_file and precision:
        raise InputError("--recipe and --precision exclude each other: write the precision into the recipe")
    recipe = _read(recipe_file) if recipe_file else None
    model, input_size = _sized(model, **outside)
    loaded = open_network(model)
    recipe = _changed((recipe or _short(precision, loaded, out)).calibrated_on(data, images, seed), input_size, scale)
    if no_correct and data and recipe.activations != "int8":
        raise InputError(f"--no-correct leaves nothing that looks at --calibration {data}: give one of them")
    uncorrected = no_correct and recipe.correct and not loaded.quantization
    with progress("export") as on_image:
        recipe = export(loaded, recipe, out, force, on_image, correct=not no_correct)
    size_bytes = artefact_size(out)
    stored = package_weights(out) if out.suffix == ".mlpackage" else []
    diagnosis = _diagnosis(out)
    notes = calibration_notes(loaded, recipe)
    if graph := _graph(out):
        notes.append(f"its graph was taken by {graph}")
    if uncorrected:
        notes.append(NOT_CORRECTED)
    if json_out:
        made_of = {"weights": weights_json(stored), "doctor": diagnosis} if stored else {}
        write_json(json_out, {"path": str(out), "size_bytes": size_bytes, "recipe": recipe.to_json(), "notes": notes} | made_of)
    if json_out != "-":
        # The oldest system and the kind of output are Core ML's: the others have arrays.
        kind = f"{recipe.target}  output {recipe.output}" if out.suffix == ".mlpackage" else "output array"
        print(f"{out}  {size_bytes / 1e6:.1f} MB  {recipe.precision}  {kind}, depth {in_units(loaded, recipe)}")
        weights = [weights_line(stored), f"doctor: {diagnosis}"] if stored else []
        print(*weights, *notes, _next(model, loaded, recipe, out), sep="\n")


def _sized(model: str, weights: Path | None, config: Path | None, size: str | None) -> tuple[str, tuple[int, int] | None]:
    """The network's name with its options, and the input size where one was given."""
    from fcrn_mobile.network.forms import CHECKPOINT, form_of, parse_network, size_of

    form = form_of(model)
    if form is not None and form.shown == CHECKPOINT:  # of any size, which its recipe says
        return named_network(model, weights, config, None), size_of(size, "--input-size") if size else None
    model = named_network(model, weights, config, size)
    return model, parse_network(model).size


def _graph(out: Path) -> str | None:
    """By what the graph of a network from outside was taken."""
    from fcrn_mobile.package.metadata import Metadata
    from fcrn_mobile.package.reading import metadata, read_specification

    return Metadata.from_dict(metadata(read_specification(out)[0])).graph if out.suffix == ".mlpackage" else None


def _diagnosis(out: Path) -> "Diagnosis | None":
    """Published hazards in a package."""
    from fcrn_mobile.doctor.diagnosis import diagnose

    return diagnose(out) if out.suffix == ".mlpackage" else None


def _read(file: Path) -> "Recipe":
    from fcrn_mobile.conversion.recipe import read_recipe

    return read_recipe(file)


def _changed(recipe: "Recipe", input_size: tuple[int, int] | None, scale: float | None) -> "Recipe":
    """With what the command line says in the recipe's place."""
    from fcrn_mobile.conversion.recipe import make_scale

    recipe = replace(recipe, input_size=input_size) if input_size else recipe
    return recipe if scale is None else replace(recipe, scale=make_scale(scale))


def _short(precision: str | None, loaded: "FloatNetwork", out: Path) -> "Recipe":
    from fcrn_mobile.conversion.completed import short_recipe
    from fcrn_mobile.conversion.recipe import make_recipe

    if out.suffix == ".onnx":
        return make_recipe({"precision": precision or "fp32", "output": "array"}, "--precision")
    return short_recipe(precision, loaded)


def _next(model: str, loaded: "FloatNetwork", recipe: "Recipe", out: Path) -> str:
    """The command that validates a package, on frames that it has not seen, against the float network."""
    from fcrn_mobile.conversion.learned import float_start

    reference, images = float_start(loaded, model), recipe.calibration.data if recipe.calibration else ""
    data, unknown = unseen_part(images), []
    if reference is None:
        reference = "FLOAT"
        unknown.append(f"FLOAT: the float checkpoint '{loaded.training.start or 'unknown'}' that this one was trained from")
    if data == UNKNOWN_PART:
        unknown.append(f"{UNKNOWN_PART}: frames other than its calibration images of {images}")
    line = " ".join(["next: fcrn-mobile validate", *map(shlex.quote, (reference, str(out))), "--data", shlex.quote(data)])
    return f"{line} ({'; '.join(unknown)})" if unknown else line
