"""``fcrn-mobile tune``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_table, progress, write_json
from fcrn_mobile.cli.exits import end
from fcrn_mobile.cli.frames import rule_if_depth, rule_options
from fcrn_mobile.cli.model_config import config_words, model_config_option
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.cli.shipped_file import ShippedFile
from fcrn_mobile.shipped import RECIPES
from fcrn_mobile.text import counted

if TYPE_CHECKING:
    from fcrn_mobile.tuning.result import Tuning

__all__ = ["command", "print_tuning"]


@click.command("tune", cls=Command)
@click.argument("model")
@click.option("--data", required=True, metavar="SPEC", help="Images; without a #split, searched on #train and verified on #val.")
@click.option("--budget", "budgets", multiple=True, required=True, metavar="M=X", help="Such as fidelity=0.02 or abs_rel=1%; repeatable.")
@click.option("--out", required=True, type=OutputFolder(), metavar="DIR", help="Results; a search that was stopped goes on.")
@click.option("--objective", default="size", show_default=True, metavar="size|bits|latency-estimate", help="What is minimised.")
@click.option("--images", default=8, show_default=True, type=click.IntRange(min=1), help="To search on.")
@click.option("--verify-images", default=32, show_default=True, type=click.IntRange(min=2), help="To verify on, others.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Chooses the images.")
@click.option("--recipe", type=ShippedFile(RECIPES), metavar="NAME|FILE", help="All else; its target bounds the schemes.")
@rule_options
@model_config_option()
@click.option("--force", is_flag=True, help="Overwrite the results of an earlier search.")
@json_option
def command(
    model: str,
    data: str,
    budgets: tuple[str, ...],
    out: Path,
    objective: str,
    images: int,
    verify_images: int,
    seed: int,
    recipe: Path | None,
    model_config: Path | None,
    force: bool,
    json_out: str | None,
    **how: Any,
) -> None:
    """The smallest package of MODEL (builtin, .safetensors or a float .mlpackage) that holds a drift budget, a precision for each operator.

    Exit code 1 if no assignment holds it.
    """
    from fcrn_mobile.evaluation.budget import parse_limit
    from fcrn_mobile.report.pareto import save_pareto
    from fcrn_mobile.tuning.publish import publish
    from fcrn_mobile.tuning.tune import Request, base_recipe, tune

    limits = tuple(parse_limit(text) for text in budgets)
    rule = rule_if_depth(data, **how)
    base = base_recipe(model, recipe)
    request = Request(model, data, limits, rule, base, objective, images, verify_images, seed, model_config=model_config)
    result = publish(tune(request, out, force, progress), out, save_pareto)
    if json_out:
        write_json(json_out, result.to_json())
    if json_out != "-":
        print_tuning(result, model, out, model_config)
    end(result.held)


def print_tuning(result: "Tuning", model: str, out: Path, model_config: Path | None = None) -> None:
    """The table of what was chosen beside the uniform schemes, the model's prediction, and the verdict."""
    from fcrn_mobile.data.grammar import split_off

    shown = [point for point in result.points if point.kind != "front"]
    rows = [
        [
            point.name or ("chosen" if result.held else "nearest"),
            f"{point.size_bytes / 1e6:.2f}",
            f"{point.size_bytes / result.float_bytes:.3f}",
            f"{point.drift:.4f}",
            "measured" if point.size_measured else "predicted",
            point.on,
        ]
        for point in sorted(shown, key=lambda point: -point.size_bytes)
    ]
    print_table(
        f"One precision for all weights, and one for each, on {result.data}", ["weights", "MB", "of fp32", "drift", "size", "images"], rows
    )
    fit = result.chosen.fit
    print(f"chosen by operator: {', '.join(f'{name}: {count}' for name, count in _counts(result).items())}")
    print(f"{result.mean_bits:.2f} bits per weight; {result.latency_ms:.2f} ms is an estimate, mean over chips, not run on a device")
    print(f"drift on the images searched on: predicted {fit.predicted:.4f}, measured {fit.measured:.4f}; {len(result.attempts)} verified")
    print(f"simulated float16, not run on a device; {counted(result.verified, 'image')} to verify on, none of them searched on")
    if result.rule:
        print(f"metrics: {result.rule.text}")
    for promise in result.chosen.promises:
        print(promise.text)
    print("the bound is of the mean over images drawn as these were: it says nothing of other cameras and other kinds of rooms")
    for warning in result.warnings:
        print(f"warning: {warning}")
    if result.package:
        print(f"written: {result.package}, {out / 'recipe.toml'}, {out / 'pareto.json'}, {out / 'pareto.png'}")
        whole, part = split_off(result.data)
        unseen = result.data if part else f"{whole}#val"
        words = ["fcrn-mobile", "validate", model, str(result.package), "--data", unseen, *config_words(model_config)]
        print(f"next: {shlex.join(words)}")
    else:
        print("no assignment holds the budget; the nearest is shown: allow more drift, or fine-tune the network with quantization")
        print(f"written: {out / 'pareto.json'}, {out / 'pareto.png'}")


def _counts(result: "Tuning") -> dict[str, int]:
    return next(point.weights for point in result.points if point.kind == "chosen")
