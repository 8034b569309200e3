"""What several commands share: the JSON option, progress, tables."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.json_text import json_text
from fcrn_mobile.network.forms import size_of
from fcrn_mobile.progress import OnStep
from fcrn_mobile.runtimes.backends import BACKENDS
from fcrn_mobile.text import enumerated
from fcrn_mobile.whole_file import write_whole

__all__ = [
    "EVERY_SIZE",
    "backend_option",
    "function_option",
    "json_option",
    "print_metrics",
    "print_table",
    "progress",
    "show_progress",
    "size_option",
    "sizes_option",
    "write_json",
]

#: Width of tables where standard output is no terminal: nothing is folded in a pipe.
_PIPE_WIDTH = 160


class _Console(Console):
    """A console that leaves it to the command line what becomes of a reader that left; Rich would end the process with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json FILE``; ``-`` puts the JSON alone on standard output."""
    file = OutputFile(overwrites=True, allow_dash=True, path_type=str)
    return click.option("--json", "json_out", type=file, metavar="FILE", help="Write the result as JSON; - for standard output.")(command)


def backend_option(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--backend NAME`` of a command with one; ``what`` names whose it is."""
    text = f"What runs {what}: {enumerated(list(BACKENDS), 'or')}."
    return click.option("--backend", default="auto", show_default=True, metavar="NAME", help=text)


def function_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--function NAME``."""
    return click.option("--function", metavar="NAME", help="Which one, of a package with several functions; else its default.")(command)


#: What stands for every size of a package.
EVERY_SIZE = "all"


class _Size(click.ParamType):
    """Height and width of ``HxW``."""

    name = "HxW"

    def __init__(self, every: bool = False) -> None:
        self._every = every

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return size_of(value, "--size") if isinstance(value, str) and not (self._every and value == EVERY_SIZE) else value


def size_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--size HxW`` as ``size``: height and width of the pictures."""
    return click.option("--size", type=_Size(), metavar="HxW", help="Of the pictures, of a model that takes several sizes.")(command)


def sizes_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, or ``EVERY_SIZE``."""
    text = "Of the pictures, of a model that takes several sizes; all: each of them in turn."
    return click.option("--size", type=_Size(every=True), metavar="HxW|all", help=text)(command)


def write_json(target: str, value: object) -> None:
    """Write JSON to a file, whole or not at all, or, for ``-``, to standard output. NaN and infinity, which JSON lacks, become null."""
    text = json_text(value)
    if target == "-":
        sys.stdout.write(text)
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")  # a pipe or a device is no file to put another in the place of
    else:
        write_whole(path, text)


def show_progress() -> bool:
    """Whether a progress bar helps: standard error is a terminal."""
    return sys.stderr.isatty()


@contextmanager
def progress(title: str) -> Iterator[OnStep]:
    """A bar with the remaining time on standard error; call what it yields with done and total."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_Console(stderr=True), transient=True, disable=not show_progress()) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on standard output; the first column is left-aligned, the others right. One too wide for the terminal stands on its side."""
    console = _Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    if _width(columns, rows) > console.width:
        lines = [columns, *rows]
        columns, *rows = ([line[index] for line in lines] for index in range(len(columns)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    if title:
        # Not the table's own title, which is folded at the table's width.
        console.print(title, style="italic", markup=False, highlight=False, soft_wrap=True)
    console.print(table)


def _width(columns: list[str], rows: list[list[str]]) -> int:
    """Characters that a table takes side by side."""
    return sum(max(len(line[index]) for line in (columns, *rows)) + 2 for index in range(len(columns))) - 2


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """One line per metric."""
    for key, value in metrics.items():
        print(f"{key:12} {value:.4f}" if isinstance(value, float) else f"{key:12} {value}")
