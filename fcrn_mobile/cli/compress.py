"""``fcrn-mobile compress``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.calibration import calibration_options
from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.model_config import config_words, model_config_option
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.cli.shipped_file import recipe_option
from fcrn_mobile.cli.stored import NOT_CORRECTED, unseen_part, weights_json, weights_line
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.conversion.float_package import FloatPackage
    from fcrn_mobile.conversion.recipe import Recipe

__all__ = ["command"]


@click.command("compress", cls=Command)
@click.argument("package")
@recipe_option("compress")
@click.option("--precision", metavar="P", help="Of weights, instead of a recipe: fp16, int8, int4, palette6, sparse50, …")
@calibration_options
@model_config_option()
@click.option("--no-correct", is_flag=True, help="Leave compressed weights as they were rounded, without a correction on images.")
@click.option("--out", required=True, type=OutputFile(), help="Destination, ending in .mlpackage.")
@click.option("--force", is_flag=True, help="Overwrite what is at --out.")
@json_option
def command(
    package: str,
    recipe_file: Path | None,
    precision: str | None,
    data: str | None,
    images: int | None,
    seed: int | None,
    model_config: Path | None,
    no_correct: bool,
    out: Path,
    force: bool,
    json_out: str | None,
) -> None:
    """Compress PACKAGE, a float .mlpackage of any maker, as an export would have stored it.

    Metadata stay; the recipe and the hash of PACKAGE are added.
    """
    from fcrn_mobile.conversion.completed import short_recipe
    from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
    from fcrn_mobile.conversion.export import artefact_size
    from fcrn_mobile.conversion.float_package import open_float_package
    from fcrn_mobile.conversion.recipe import read_recipe
    from fcrn_mobile.conversion.weights import package_weights

    if bool(recipe_file) == bool(precision):
        problem = "--recipe and --precision exclude each other" if precision else "nothing says how"
        raise InputError(f"{problem}: give --recipe NAME|FILE or --precision P, such as int8")
    recipe = read_recipe(recipe_file) if recipe_file else short_recipe(precision)
    recipe = recipe.calibrated_on(data, images, seed)
    source = open_float_package(Path(package), model_config)
    uncorrected = no_correct and recipe.correct
    recipe = package_recipe(source, recipe, correct=not no_correct)
    with progress("compress") as on_step:
        compress_package(source, recipe, out, force, on_step)
    notes = _notes(source, recipe, no_correct, bool(uncorrected))
    weights, size = package_weights(out), artefact_size(out)
    if json_out:
        of = {"path": package, "sha256": source.sha256, "size_bytes": artefact_size(source.path)}
        facts = {"path": str(out), "size_bytes": size, "source": of}
        write_json(json_out, facts | {"recipe": recipe.to_json(), "notes": notes, "weights": weights_json(weights)})
    if json_out != "-":
        print(f"{out}  {size / 1e6:.1f} MB of {artefact_size(source.path) / 1e6:.1f} MB  {recipe.precision}")
        print(weights_line(weights))
        for line in notes:
            print(line)
        if source.problem is None:
            print(_next(package, recipe.calibration.data if recipe.calibration else "", out, model_config))


def _notes(source: "FloatPackage", recipe: "Recipe", no_correct: bool, uncorrected: bool) -> list[str]:
    """What a user should know of the images that were looked at, or were not, a sentence each."""
    from fcrn_mobile.conversion.calibration import image_notes

    trained = source.metadata.training_data or "unknown data"
    notes = image_notes(source.path.stem, trained, recipe)
    if uncorrected:
        notes.append(NOT_CORRECTED)
    if source.problem and not no_correct and recipe.correct and not recipe.correct.sees_images:
        notes.append(f"corrected without images: {source.problem}")
    return notes


def _next(package: str, images: str, out: Path, model_config: Path | None) -> str:
    """The command that validates the result, on frames that it has not seen."""
    return "next: " + shlex.join(["fcrn-mobile", "validate", package, str(out), "--data", unseen_part(images), *config_words(model_config)])
