"""Results as JSON text: the one place where what is typed inside becomes plain values."""

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from fcrn_mobile.text import printable

__all__ = ["json_text", "plain"]


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
