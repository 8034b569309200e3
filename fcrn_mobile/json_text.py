"""Results as JSON text: the one place where what is typed inside becomes plain values, and reports that are read back."""

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn

from fcrn_mobile.text import printable

__all__ = ["json_text", "misfit", "plain", "strict_json"]


def json_text(value: object) -> str:
    """Indented JSON that any reader takes: NaN and infinity, which JSON lacks, become null; file names that are not UTF-8 are spelt out.

    A dataclass becomes an object with its fields as keys, unless it has a ``to_json`` of its own for other keys.
    """
    return json.dumps(plain(value), indent=2) + "\n"


def plain(value: Any) -> Any:
    """A result as what JSON knows: objects, lists, text, numbers, null."""
    if hasattr(value, "to_json"):
        return plain(value.to_json())
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def strict_json(text: str) -> Any:
    """What a report holds.

    Raises:
        ValueError: it is no JSON, or has NaN or infinity, which JSON lacks.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse)


def misfit(content: object, schema: dict[str, Any]) -> str:
    """Where content does not fit a JSON schema, and why; empty if it does."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    wrong = best_match(Draft202012Validator(schema).iter_errors(content))
    return f"{wrong.json_path}: {' '.join(wrong.message.split())[:120]}" if wrong else ""


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number of JSON")
