"""Options that take a file, or the name of one that comes with the tool."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from fcrn_mobile.shipped import Shelf

__all__ = ["ShippedFile"]


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
