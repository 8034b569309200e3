"""Options that take a file, or the name of one that comes with the tool."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from fcrn_mobile.shipped import RECIPES, Shelf

__all__ = ["ShippedFile", "recipe_option"]


class ShippedFile(click.Path):
    """The type of an option whose value is a path, or the name of a file on a shelf; the reader of the file tells them apart."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(path_type=Path)
        self.shelf = shelf

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so; files where none does."""
        names = [CompletionItem(name) for name in self.shelf.names if name.startswith(incomplete)]
        # Bash forgets what came before the item that asks for files.
        return [*super().shell_complete(ctx, param, incomplete), *names]


def recipe_option(action: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--recipe``, as ``recipe_file``, of a command that does with a recipe what ``action`` says."""
    text = f"How to {action}: int8 … (see fcrn-mobile recipes), or mine.toml."
    return click.option("--recipe", "recipe_file", type=ShippedFile(RECIPES), metavar="NAME|FILE", help=text)
