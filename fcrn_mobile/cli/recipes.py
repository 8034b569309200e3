"""``fcrn-mobile recipes``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_table, write_json
from fcrn_mobile.cli.exits import BAD_INPUT, message
from fcrn_mobile.cli.shipped_file import ShippedFile
from fcrn_mobile.errors import InputError
from fcrn_mobile.shipped import RECIPES

if TYPE_CHECKING:
    from fcrn_mobile.conversion.recipe import Recipe

__all__ = ["command"]


@click.command("recipes", cls=Command)
@click.argument("files", nargs=-1, type=ShippedFile(RECIPES), metavar="[NAME|FILE]...")
@json_option
def command(files: tuple[Path, ...], json_out: str | None) -> None:
    """List the recipes that come along, or check those given: exit code 2 if one is not valid, a line for each that is not."""
    from fcrn_mobile.conversion.recipe import read_recipe

    recipes: dict[str, Recipe] = {}
    problems = []
    for file in files or map(Path, RECIPES.names):
        try:
            recipes[str(file)] = read_recipe(file)
        except InputError as error:
            problems.append(message(error))
    if json_out:
        write_json(json_out, {"recipes": recipes, "problems": problems})
    for line in problems:
        print(f"fcrn-mobile: {line}", file=sys.stderr)
    if recipes and json_out != "-":
        print_table("", ["recipe", "precision", "target", "budget"], [_row(name, recipe) for name, recipe in recipes.items()])
    if problems:
        click.get_current_context().exit(BAD_INPUT)


def _row(name: str, recipe: "Recipe") -> list[str]:
    return [name, recipe.precision, recipe.target, ", ".join(f"{metric}={amount}" for metric, amount in recipe.budget.items()) or "none"]
