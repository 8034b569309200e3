"""Reading of what a user writes as TOML."""

import tomllib
from collections.abc import Collection
from pathlib import Path
from types import UnionType
from typing import Any, get_args

from fcrn_mobile.errors import InputError

__all__ = ["checked", "known_keys", "read_toml", "read_toml_text"]


def read_toml(path: Path, what: str, example: str) -> dict[str, Any]:
    """The keys of a TOML file; arguments and errors as of ``read_toml_text``."""
    return read_toml_text(path, what, example)[0]


def read_toml_text(path: Path, what: str, example: str) -> tuple[dict[str, Any], str]:
    """The keys of a TOML file, and its text.

    Args:
        path: of the file.
        what: it is, in errors, such as ``recipe``.
        example: a file of its kind that comes with the project.

    Raises:
        InputError: no such file, unreadable, or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
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


def checked(value: Any, kind: Any, where: str) -> Any:
    """A value as the kind that its key asks for.

    Args:
        value: as TOML has it.
        kind: text, number, whole number, truth, or several of one of them, perhaps None besides, which TOML cannot say.
        where: names it in errors.

    Raises:
        InputError: it is of another kind.
    """
    expected: Any = next(iter(get_args(kind)), kind) if isinstance(kind, UnionType) else kind
    if expected == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise InputError(f"{where} is {value!r}: give a list of texts")
    if expected == tuple[float, ...]:
        if isinstance(value, list) and value and all(type(item) in (int, float) for item in value):
            return tuple(map(float, value))
        raise InputError(f"{where} is {value!r}: give numbers in brackets, such as [1.0, 1.25]")
    if expected == list[int]:
        if isinstance(value, list) and all(type(item) is int for item in value):
            return value
        raise InputError(f"{where} is {value!r}: give whole numbers in brackets, such as [228, 304]")
    if expected is float and type(value) is int:
        return float(value)
    if type(value) is not expected:
        name = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[expected]
        raise InputError(f"{where} is {value!r}: give {name}")
    return value
