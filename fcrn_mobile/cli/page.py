"""``--html FILE``, as several commands have it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.whole_file import write_whole

if TYPE_CHECKING:
    from fcrn_mobile.report.html import Page

__all__ = ["html_options", "write_page"]


def html_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--html FILE`` and the ``--force`` that overwrites it."""
    command = click.option("--force", is_flag=True, help="Overwrite the file of --html.")(command)
    file = OutputFile(".html", ".htm")
    return click.option("--html", "html", metavar="FILE.html", type=file, help="Write a report: one page with everything in it.")(command)


def write_page(page: "Page", path: Path, force: bool) -> None:
    """Write it whole or not at all."""
    from datetime import UTC, datetime

    from fcrn_mobile.report.html import render

    write_whole(path, render(page, datetime.now(UTC)), force)
