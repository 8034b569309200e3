"""``fcrn-mobile export``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.conversion.recipe import Recipe
    from fcrn_mobile.network.checkpoints import Checkpoint

__all__ = ["command"]


@click.command("export", cls=Command)
@click.argument("checkpoint")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), metavar="FILE", help="Recipe, such as export/int8.toml.")
@click.option("--precision", metavar="P", help="fp32, fp16, int8, int4, palette6, sparse50, … instead of a recipe.")
@click.option("--calibration", metavar="SPEC", help="Images to correct and measure on, such as folder:PATH#train.")
@click.option("--calibration-images", "count", type=int, metavar="N", help="How many of them, instead of the recipe's number.")
@click.option("--calibration-seed", "seed", type=int, metavar="N", help="Chooses which.")
@click.option("--no-correct", is_flag=True, help="Leave compressed weights uncorrected.")
@click.option("--out", required=True, type=OutputFile(), help="Destination, ending in .mlpackage, .onnx or .aimodel.")
@click.option("--force", is_flag=True, help="Overwrite.")
@json_option
def command(
    checkpoint: str,
    recipe_file: Path | None,
    precision: str | None,
    calibration: str | None,
    count: int | None,
    seed: int | None,
    no_correct: bool,
    out: Path,
    force: bool,
    json_out: str | None,
) -> None:
    """Convert CHECKPOINT (builtin or a .safetensors file) for the phone."""
    from fcrn_mobile.conversion.calibration import calibration_notes
    from fcrn_mobile.conversion.export import artefact_size, export
    from fcrn_mobile.conversion.recipe import read_recipe
    from fcrn_mobile.conversion.weights import package_weights, summary
    from fcrn_mobile.network.checkpoints import load_checkpoint

    if recipe_file and precision:
        raise InputError("--recipe and --precision exclude each other: write the precision into the recipe")
    recipe = read_recipe(recipe_file) if recipe_file else None
    loaded = load_checkpoint(checkpoint)
    recipe = (recipe or _short(precision, loaded, out)).calibrated_on(calibration, count, seed)
    if no_correct and calibration and recipe.activations != "int8":
        raise InputError(f"--no-correct leaves nothing that looks at --calibration {calibration}: give one of them")
    uncorrected = no_correct and recipe.correct and not loaded.quantization
    with progress("export") as on_image:
        recipe = export(loaded, recipe, out, force, on_image, correct=not no_correct)
    size = artefact_size(out)
    weights = package_weights(out) if out.suffix == ".mlpackage" else []
    notes = calibration_notes(loaded, recipe)
    if uncorrected:
        notes.append("weights not corrected (--no-correct)")
    if json_out:
        made_of = {"summary": summary(weights), "ops": [weight.to_json() for weight in weights]}
        facts = {"path": str(out), "size_bytes": size, "recipe": recipe.to_json(), "notes": notes}
        write_json(json_out, facts | ({"weights": made_of} if weights else {}))
    if json_out != "-":
        # The oldest system and the kind of output are Core ML's: the others have arrays.
        kind = f"{recipe.target}  output {recipe.output}" if out.suffix == ".mlpackage" else "output array"
        print(f"{out}  {size / 1e6:.1f} MB  {recipe.precision}  {kind}, depth {loaded.in_units}")
        if weights:
            print(f"weights: {', '.join(f'{kind}: {count} ops' for kind, count in summary(weights).items())}")
        for line in (*notes, _next(checkpoint, loaded, recipe, out)):
            print(line)


def _short(precision: str | None, loaded: "Checkpoint", out: Path) -> "Recipe":
    from fcrn_mobile.conversion.completed import short_recipe
    from fcrn_mobile.conversion.recipe import make_recipe

    if out.suffix == ".onnx":
        return make_recipe({"precision": precision or "fp32", "output": "array"}, "--precision")
    return short_recipe(precision, loaded)


def _next(checkpoint: str, loaded: "Checkpoint", recipe: "Recipe", out: Path) -> str:
    """The command that validates a package, on frames that it has not seen, against the float network."""
    from fcrn_mobile.conversion.learned import float_start

    reference, images = float_start(loaded, checkpoint), recipe.calibration.data if recipe.calibration else ""
    data, unknown = images.removesuffix("#train") + "#val" if images else "sample", []
    if reference is None:
        reference = "FLOAT"
        unknown.append(f"FLOAT: the float checkpoint '{loaded.training.start or 'unknown'}' that this one was trained from")
    if images and not images.endswith("#train"):
        data = "SPEC#split"
        unknown.append(f"SPEC#split: frames other than its calibration images of {images}")
    line = " ".join(["next: fcrn-mobile validate", *map(shlex.quote, (reference, str(out))), "--data", shlex.quote(data)])
    return f"{line} ({'; '.join(unknown)})" if unknown else line
