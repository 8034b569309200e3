"""What each correction of compressed weights gains alone, and what each way of calibrating int8 activations gives.

    python benchmarks/correction.py [--data SPEC] [--images N] [--json benchmarks/results/correction.json]

The built-in checkpoint; corrected and calibrated on the #train part of the data, held against the float network on images spread over its
#val part. Without --data it takes nyu_train795.zip from the folder that FCRN_TEST_DATA names, or else the built-in sample. Packages run
in the MIL runtime in float16: simulated, not run on a device.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from shelf import RECIPES, default_data

from fcrn_mobile.conversion.activations import as_program, quantize_activations
from fcrn_mobile.conversion.calibration import calibration_images
from fcrn_mobile.conversion.capture import trace
from fcrn_mobile.conversion.compress import compress
from fcrn_mobile.conversion.coreml import convert, prepared
from fcrn_mobile.conversion.correct import Images, correct
from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.ranges import measure_ranges
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.source import Subset, evenly
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.drift import validate

SCHEMES = {"int8 per channel": "int8.toml", "int8 per tensor": "int8-per-tensor.toml", "palette6": "palette6.toml", "int4": "int4.toml"}
NOTHING = Correct(rounding=False, bias=False)
ALONE = {
    "nothing": NOTHING,
    "equalise": replace(NOTHING, equalise=True),
    "scale": replace(NOTHING, scale=True),
    "bias": replace(NOTHING, bias=True),
    "rounding": replace(NOTHING, rounding=True),
}
RECIPE = "the recipe's own"
#: Calibration images: for corrections, and for activations.
CORRECTED_ON, CALIBRATED_ON = 24, 64
#: Different draws of calibration images, of each of which the last image alone gives ranges.
DRAWS = 5
PERCENTILE = 99.99
LAYERS = {"recipe": "the recipe's layers left out", "none": "none left out"}

#: Core ML models to measure, each with what it is.
Models = Iterator[tuple[dict[str, str], Any]]


def main() -> None:
    """Make all packages, measure them in one pass over the images, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=default_data())
    parser.add_argument("--images", type=int, default=24, help="of #val to measure on")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.data, arguments.images, Path(folder))
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(data: str, count: int, folder: Path) -> dict[str, Any]:
    """All packages against the float network."""
    checkpoint = load_checkpoint("builtin")
    made: list[tuple[dict[str, str], Path]] = []
    train = f"{data}#train"
    for what, model in chain(corrections(checkpoint, train), calibrations(checkpoint, train)):
        path = folder / f"{len(made)}.mlpackage"
        with quiet_coremltools():
            model.save(str(path))
        made.append((what, path))
        print("made " + ", ".join(what.values()), flush=True)
    held_back = open_source(f"{data}#val")
    chosen = evenly(len(held_back), count)
    runtimes = [open_runtime(str(path), "mil", "float16") for _, path in made]
    found = validate(open_runtime("builtin"), runtimes, Subset(held_back, tuple(chosen)), protocol("eigen"))
    rows = [
        what | {"fidelity": drift.fidelity.abs_rel, "psnr_db": drift.fidelity.psnr_db, "abs_rel": drift.metrics["abs_rel"]}
        for (what, _), drift in zip(made, found.candidates, strict=True)
    ]
    return {
        "data": portable(f"{data}#val"),
        "images": len(chosen),
        "calibration": {"data": portable(f"{data}#train"), "corrections": CORRECTED_ON, "activations": CALIBRATED_ON, "draws": DRAWS},
        "reference_abs_rel": found.reference_metrics["abs_rel"],
        "checkpoint_sha256": checkpoint.sha256,
        "engine": found.candidates[0].engine,
        "corrections": [row for row in rows if "scheme" in row],
        "calibrations": [row for row in rows if "method" in row],
    }


def corrections(checkpoint: Checkpoint, data: str) -> Models:
    """Every scheme with nothing, with each correction alone, and with its recipe's."""
    images = drawn(data, CORRECTED_ON, 0)
    for scheme, file in SCHEMES.items():
        recipe = read_recipe(RECIPES / file)
        assert recipe.correct is not None
        compressed: dict[bool, tuple[Any, Any]] = {}
        for name, switches in (ALONE | {RECIPE: recipe.correct}).items():
            if name == "scale" and recipe.scheme.linear is None:
                continue  # a table has no scale
            if switches.equalise not in compressed:
                model = converted(checkpoint, replace(recipe, correct=replace(NOTHING, equalise=switches.equalise)))
                with quiet_coremltools():
                    compressed[switches.equalise] = model, compress(model, recipe)
            with quiet_coremltools():
                made = correct(*compressed[switches.equalise], switches, images)
            yield {"scheme": scheme, "correct": name}, made


def calibrations(checkpoint: Checkpoint, data: str) -> Models:
    """W8A8 with ranges of one image, the last of a draw, and of all images by every method; with its recipe's layers left out and none."""
    recipe = read_recipe(RECIPES / "w8a8.toml")
    model = converted(checkpoint, recipe)
    program = as_program(model)
    with quiet_coremltools():
        compressed = compress(model, recipe)
    draws = [drawn(data, CALIBRATED_ON, seed) for seed in range(DRAWS)]
    ranges = {f"last image, draw {seed}": measure_ranges(program, images[-1:], "minmax") for seed, images in enumerate(draws)}
    for method in ("minmax", "percentile", "mse"):
        ranges[method] = measure_ranges(program, draws[0], method, PERCENTILE)
    choosers: dict[str, Callable[..., bool]] = {"recipe": recipe.quantizes_activations, "none": lambda names: True}
    for method, found in ranges.items():
        for layers, chosen in choosers.items():
            with quiet_coremltools():
                made = quantize_activations(compressed, found, chosen)
            yield {"method": method, "layers": layers}, made


def drawn(data: str, count: int, seed: int) -> Images:
    """Images of a draw, as many as there are at most."""
    return calibration_images(data, min(count, len(open_source(data))), seed).images


def converted(checkpoint: Checkpoint, recipe: Recipe) -> Any:
    """The uncompressed model that a recipe compresses."""
    size = checkpoint.network.config.input_size
    with quiet_coremltools():
        return convert(trace(prepared(deploy(checkpoint.network, recipe.form), recipe), size), size, recipe)


def show(result: dict[str, Any]) -> None:
    """The tables of README.md in this folder."""
    where = f"{result['images']} images of {result['data']}; {result['engine']}, not run on a device"
    print(f"{where}; fidelity: mean abs_rel to the float output")
    names = [*ALONE, RECIPE]
    print("| weights | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for scheme in SCHEMES:
        row = {each["correct"]: f"{each['fidelity']:.4f}" for each in result["corrections"] if each["scheme"] == scheme}
        print(f"| {scheme} | " + " | ".join(row.get(name, "–") for name in names) + " |")
    print()
    print("| W8A8, ranges of | " + " | ".join(f"{text}: fidelity | abs_rel against truth" for text in LAYERS.values()) + " |")
    print("|---" * (2 * len(LAYERS) + 1) + "|")
    for method in dict.fromkeys(each["method"] for each in result["calibrations"]):
        row = {each["layers"]: each for each in result["calibrations"] if each["method"] == method}
        cells = [f"{row[key]['fidelity']:.4f} | {row[key]['abs_rel'] / result['reference_abs_rel'] - 1:+.2%}" for key in LAYERS]
        print(f"| {method} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
