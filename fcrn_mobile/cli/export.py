"""``fcrn-mobile export``."""

from pathlib import Path

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.outputs import OutputFile


@click.command("export", cls=Command)
@click.argument("checkpoint")
@click.option("--recipe", type=click.Path(path_type=Path), metavar="FILE", help="Recipe, such as export/int8.toml.")
@click.option("--precision", metavar="P", help="fp32, fp16, int8, int4, palette6, sparse50, … instead of a recipe.")
@click.option("--calibration", metavar="SPEC", help="Images for a recipe that measures on some, such as folder:PATH#train.")
@click.option("--calibration-images", "count", type=int, metavar="N", help="How many of them, instead of the recipe's number.")
@click.option("--calibration-seed", "seed", type=int, metavar="N", help="Chooses which.")
@click.option("--out", required=True, type=OutputFile(), help="Destination, ending in .mlpackage, .onnx or .aimodel.")
@click.option("--force", is_flag=True, help="Overwrite.")
@json_option
def command(
    checkpoint: str,
    recipe: Path | None,
    precision: str | None,
    calibration: str | None,
    count: int | None,
    seed: int | None,
    out: Path,
    force: bool,
    json_out: str | None,
) -> None:
    """Convert CHECKPOINT (builtin or a .safetensors file) for the phone."""
    from fcrn_mobile.conversion.artefact import check_destination
    from fcrn_mobile.conversion.calibration import calibration_notes
    from fcrn_mobile.conversion.export import artefact_size, export
    from fcrn_mobile.conversion.recipe import Recipe, make_recipe, read_recipe
    from fcrn_mobile.conversion.weights import package_weights, summary
    from fcrn_mobile.errors import InputError
    from fcrn_mobile.network.checkpoints import load_checkpoint

    if recipe and precision:
        raise InputError("--recipe and --precision exclude each other: write the precision into the recipe")
    if recipe:
        chosen = read_recipe(recipe)
    elif out.suffix == ".onnx":
        chosen = make_recipe({"precision": precision or "fp32", "output": "array"}, "--precision")
    else:
        chosen = make_recipe({"precision": precision}, "--precision") if precision else Recipe()
    chosen = chosen.calibrated_on(calibration, count, seed)
    check_destination(out, force)
    loaded = load_checkpoint(checkpoint)
    with progress("calibrate") as on_image:
        export(loaded, chosen, out, force, on_image)
    size = artefact_size(out)
    weights = package_weights(out) if out.suffix == ".mlpackage" else []
    if json_out:
        made_of = {"summary": summary(weights), "ops": [weight.to_json() for weight in weights]}
        facts = {"path": str(out), "size_bytes": size, "recipe": chosen.to_json()}
        write_json(json_out, facts | ({"weights": made_of} if weights else {}))
    if json_out != "-":
        # The oldest system and the kind of output are Core ML's: the others have arrays.
        made = f"{chosen.target}  output {chosen.output}" if out.suffix == ".mlpackage" else "output array"
        print(f"{out}  {size / 1e6:.1f} MB  {chosen.precision}  {made}, depth {loaded.in_units}")
        if weights:
            print(f"weights: {', '.join(f'{kind}: {count} ops' for kind, count in summary(weights).items())}")
        for note in calibration_notes(loaded, chosen):
            print(note)
        unseen = "SPEC#split, without its calibration images" if chosen.calibration else "sample"
        print(f"next: fcrn-mobile validate {checkpoint} {out} --data {unseen}")
