"""``--html FILE``, as several commands have it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.common import check_output
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.report.html import Page


def html_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--html FILE`` and the ``--force`` that overwrites it."""
    command = click.option("--force", is_flag=True, help="Overwrite the file of --html.")(command)
    path = click.Path(path_type=Path)
    return click.option("--html", "html", metavar="FILE.html", type=path, help="Write a report: one page with everything in it.")(command)


def check_page(path: Path | None, force: bool) -> None:
    """Refuse, before any work, a page that could not be written."""
    if path is None:
        return
    if path.suffix not in (".html", ".htm"):
        raise InputError(f"--html '{path}' does not end in .html: name the page's file")
    check_output(path, "--html", force)
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write into '{path.parent}': choose another --html")


def write_page(page: "Page", path: Path, force: bool) -> None:
    """Write it whole or not at all."""
    from datetime import UTC, datetime

    from fcrn_mobile.conversion.artefact import written_whole
    from fcrn_mobile.report.html import render

    text = render(page, datetime.now(UTC))
    with written_whole(path, force) as file:
        # Names of files need not be valid text.
        file.write_text(text, encoding="utf-8", errors="replace")
