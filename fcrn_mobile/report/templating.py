"""Pages from templates: what all of them can use."""

import math
from functools import cache
from pathlib import Path

import jinja2

from fcrn_mobile import palette

__all__ = ["number", "template"]

_TEMPLATES = Path(__file__).with_name("templates")


@cache
def template(name: str, *folders: Path) -> jinja2.Template:
    """A template by name, of the report's or of other folders that include from there.

    Whatever stands in a page is escaped, and a value that was forgotten is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_TEMPLATES, *folders]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    environment.globals["palette"] = palette.PAGE
    return environment.get_template(name)


def number(value: float, form: str = ".4f") -> str:
    """A number for people; not finite ones as NaN and ∞."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return format(value, form).replace("-", "−")
