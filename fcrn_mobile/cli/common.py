"""What several commands share: the JSON option, progress, tables."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from fcrn_mobile.errors import InputError


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json FILE``; ``-`` puts the JSON alone on standard output."""
    return click.option("--json", "json_out", metavar="FILE", help="Write the result as JSON; - for standard output.")(command)


def write_json(target: str, value: object) -> None:
    """Write JSON to a file or, for ``-``, to standard output."""
    text = json.dumps(value, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text)
    except OSError as error:
        raise InputError(f"cannot write '{target}' ({error.strerror}): give a writable --json path") from error


def show_progress() -> bool:
    """Whether a progress bar helps: standard error is a terminal."""
    return sys.stderr.isatty()


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """One line per metric."""
    for key, value in metrics.items():
        print(f"{key:12} {value:.4f}" if isinstance(value, float) else f"{key:12} {value}")
