"""What a search leaves in its folder: package, recipe, and the Pareto front as JSON and picture; all of it is made before any is there."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fcrn_mobile.json_text import json_text
from fcrn_mobile.tuning.recipe_text import recipe_text
from fcrn_mobile.tuning.result import Tuning

__all__ = ["FRONT", "PICTURE", "RECIPE", "WORK", "outputs", "publish"]

#: Packages of the candidates and unfinished results, kept in the folder until the search is done.
WORK = ".work"
RECIPE, FRONT, PICTURE = "recipe.toml", "pareto.json", "pareto.png"


def outputs(out: Path, name: str) -> list[Path]:
    """What a search whose recipe has a name leaves in its folder beside the measurements."""
    return [out / f"{name}.mlpackage", *(out / file for file in (RECIPE, FRONT, PICTURE))]


def publish(result: Tuning, out: Path, draw: Callable[[Tuning, Path], None]) -> Tuning:
    """Move a search's results to its folder, in place of those of an earlier one.

    Args:
        result: of ``tune``; without a package that holds the budget, only the front is written.
        out: the folder.
        draw: makes the picture of the front at a path.

    Returns:
        The result with its package where it is now.
    """
    work = out / WORK
    recipe = result.chosen.recipe
    package = out / f"{recipe.name}.mlpackage"
    published = result
    if result.package:
        drift = replace(result.chosen.drift, path=str(package), name=package.stem)
        published = replace(result, package=package, chosen=replace(result.chosen, drift=drift))
        (work / RECIPE).write_text(recipe_text(recipe, _comments(result)), encoding="utf-8")
    (work / FRONT).write_text(json_text(published.to_json()), encoding="utf-8")
    draw(published, work / PICTURE)
    for path in outputs(out, recipe.name):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    if result.package:
        result.package.rename(package)
    for file in (RECIPE, FRONT, PICTURE):
        if (work / file).exists():
            (work / file).rename(out / file)
    shutil.rmtree(work)
    return published


def _comments(result: Tuning) -> list[str]:
    drift = result.chosen.drift
    promises = "; ".join(promise.text for promise in result.chosen.promises)
    share = drift.size_bytes / result.float_bytes
    return [
        f"Found by fcrn-mobile tune: {share:.3f} of the fp32 package's size, {result.mean_bits:.2f} bits per weight.",
        f"On frames that were not searched on (simulated float16, not run on a device): {promises}.",
    ]
