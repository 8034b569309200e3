"""Results as JSON text."""

import json
import math
from typing import Any

from fcrn_mobile.text import printable


def json_text(value: object) -> str:
    """Indented JSON that any reader takes: NaN and infinity, which JSON lacks, become null; file names that are not UTF-8 are spelt out."""
    return json.dumps(_plain(value), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return printable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
