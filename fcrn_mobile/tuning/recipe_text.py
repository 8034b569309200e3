"""A recipe as the TOML that ``read_recipe`` reads back to the same recipe."""

import json
import tomllib
from collections.abc import Sequence
from typing import Any

from fcrn_mobile.conversion.recipe import Recipe, make_recipe

__all__ = ["recipe_text"]

_WIDTH = 118


def recipe_text(recipe: Recipe, comments: Sequence[str] = ()) -> str:
    """TOML of a recipe.

    Args:
        recipe: what to write.
        comments: lines above it.

    Raises:
        RuntimeError: it would not be read back as it is.
    """
    values = {key: value for key, value in recipe.to_json().items() if value is not None}
    tables = {key: values.pop(key) for key, value in recipe.to_json().items() if isinstance(value, dict) and key != "budget"}
    overrides = values.pop("ops", [])
    lines = [f"# {comment}" for comment in comments]
    lines += [f"{key} = {_value(value)}" for key, value in values.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items() if value is not None)]
    for override in overrides:
        lines += ["", "[[ops]]", *(f"{key} = {_value(value)}" for key, value in override.items())]
    text = "\n".join(lines) + "\n"
    if make_recipe(tomllib.loads(text), "its own text") != recipe:
        raise RuntimeError(f"recipe '{recipe.name}' is not read back as it was written: report this with the recipe")
    return text


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        items = [_value(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) < _WIDTH else "[\n" + "".join(f"    {item},\n" for item in items) + "]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings, booleans and whole numbers are TOML's too, but for the halves in which it escapes what lies beyond 16 bits.
    return json.dumps(value, ensure_ascii=False)
