"""Results as JSON text."""

import json
import math
from typing import Any


def json_text(value: object) -> str:
    """Indented JSON that any reader takes: NaN and infinity, which JSON lacks, become null."""
    return json.dumps(_finite(value), indent=2) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
