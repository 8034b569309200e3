"""Reading of what a user writes as TOML."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fcrn_mobile.errors import InputError

__all__ = ["known_keys", "read_toml"]


def read_toml(path: Path, what: str, example: str) -> dict[str, Any]:
    """The keys of a TOML file.

    Args:
        path: of the file.
        what: it is, in errors, such as ``recipe``.
        example: a file of its kind that comes with the project.

    Raises:
        InputError: no such file, unreadable, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no {what} at '{path}': give an existing .toml file, such as {example}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {what} '{path}': {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{what} '{path}' is not valid TOML: {error}") from error


def known_keys(values: dict[str, Any], allowed: Collection[str]) -> dict[str, Any]:
    """A table, once all of its keys are allowed.

    Raises:
        InputError: one is not; names it, and those that are.
    """
    for key in values:
        if key not in allowed:
            raise InputError(f"unknown key '{key}': allowed are {', '.join(sorted(allowed))}")
    return values
