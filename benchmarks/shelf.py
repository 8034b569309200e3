"""Every recipe of export/ made from the built-in checkpoint and held against the float network: size, metrics, drift, verdict.

    python benchmarks/shelf.py [--data SPEC] [--recipes NAME...] [--json benchmarks/results/shelf.json]

Recipes that correct or calibrate do so on the #train part of the data, and all are validated on its #val part. Without --data it takes
nyu_train795.zip from the folder that FCRN_TEST_DATA names, or else the built-in sample. With --recipes it measures those alone, and the
rows of the others stay as the file of --json has them. Packages run in the MIL runtime in float16: simulated, not run on a device.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.drift import validate

RECIPES = Path(__file__).parents[1] / "export"


def main() -> None:
    """Export, validate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=default_data())
    names = sorted(path.stem for path in RECIPES.glob("*.toml"))
    parser.add_argument("--recipes", nargs="+", choices=names, default=names, metavar="NAME", help="of export/; default: all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(arguments.data, arguments.recipes, Path(folder))
    if arguments.json and arguments.json.exists():
        result = completed(result, json.loads(arguments.json.read_text()))
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def default_data() -> str:
    """Real images where there are any."""
    real = Path(os.environ.get("FCRN_TEST_DATA", "")) / "nyu_train795.zip"
    return f"folder:{real}" if os.environ.get("FCRN_TEST_DATA") and real.is_file() else "sample"


def measure(data: str, names: Sequence[str], folder: Path) -> dict[str, Any]:
    """The package of each recipe named, and all of them against the float network in one pass over the images."""
    checkpoint = load_checkpoint("builtin")
    recipes = {f"{name}.toml": for_data(read_recipe(RECIPES / f"{name}.toml"), f"{data}#train") for name in names}
    packages = {}
    for name, recipe in recipes.items():
        packages[name] = folder / f"{Path(name).stem}.mlpackage"
        export(checkpoint, recipe, packages[name])
        print(f"made {name}", flush=True)
    runtimes = [open_runtime(str(path), "mil", "float16") for path in packages.values()]
    found = validate(open_runtime("builtin"), runtimes, open_source(f"{data}#val"), protocol("eigen"))
    rows = [
        {
            "recipe": name,
            "calibrated": recipes[name].calibration is not None,
            "target": recipes[name].target,
            "size_bytes": drift.size_bytes,
            "abs_rel": drift.metrics["abs_rel"],
            "delta1": drift.metrics["delta1"],
            "fidelity": drift.fidelity.to_json(),
            "overflow": drift.overflow,
            "verdict": drift.verdict,
        }
        for name, drift in zip(packages, found.candidates, strict=True)
    ]
    return {
        "data": portable(f"{data}#val"),
        "images": found.reference_metrics["images"],
        "reference": found.reference_metrics,
        "checkpoint_sha256": checkpoint.sha256,
        "engine": found.candidates[0].engine,
        "recipes": rows,
    }


def completed(result: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A result with the rows of an earlier one that it lacks, if that was of the same checkpoint, images and engine."""
    rows = {row["recipe"]: row for row in result["recipes"]}
    if all(result[key] == before[key] for key in ("checkpoint_sha256", "data", "images", "engine")):
        rows = {row["recipe"]: row for row in before["recipes"]} | rows
    return result | {"recipes": [rows[name] for name in sorted(rows)]}


def for_data(recipe: Recipe, images: str) -> Recipe:
    """A recipe that looks at images, with those."""
    return recipe.calibrated_on(images) if recipe.correct or recipe.activations == "int8" else recipe


def show(result: dict[str, Any]) -> None:
    """The table of README.md in this folder."""
    reference = result["reference"]
    print(f"{result['images']} images of {result['data']}; {result['engine']}, not run on a device")
    print("| recipe | calibrated | oldest system | MB | abs_rel | δ1 | fidelity | dB | float16 overflow | budget |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print(f"| float network | | | | {reference['abs_rel']:.4f} | {reference['delta1']:.4f} | | | | |")
    for row in result["recipes"]:
        fidelity = row["fidelity"]
        cells = [row["recipe"], "yes" if row["calibrated"] else "", row["target"], f"{row['size_bytes'] / 1e6:.2f}"]
        cells += [f"{row['abs_rel']:.4f}", f"{row['delta1']:.4f}", f"{fidelity['abs_rel']:.4f}", f"{fidelity['psnr_db']:.1f}"]
        print("| " + " | ".join([*cells, row["overflow"] or "none", row["verdict"]]) + " |")


if __name__ == "__main__":
    main()
