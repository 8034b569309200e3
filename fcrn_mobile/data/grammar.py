"""The text of a data spec, ``FORM:PATH?option=value&option=value#part``, taken apart and put together again.

A path may be written with %23 for ``#``, %3F for ``?`` and %25 for ``%``; an option's value with %26 for ``&`` too. A path that holds
such characters as they are is understood as well where it exists and the text has no other reading.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote, unquote

from fcrn_mobile.once import warn_once

__all__ = ["SpecText", "encoded", "parse", "portable", "split_off"]

_PARTS = re.compile(r"(?:\?(?P<query>\w+=[^&#?]*(?:&\w+=[^&#?]*)*))?(?:#(?P<part>[\w-]+))?")
#: The same for a text that nothing on disk explains: whatever stands behind the first ``?`` and the first ``#``.
_LOOSE_PARTS = re.compile(r"(?:\?(?P<query>[^#]*))?(?:#(?P<part>.*))?", re.DOTALL)
#: Slashes stay, for people read it; so does all else that the form does not use.
_SAFE = "".join(chr(code) for code in range(32, 127) if chr(code) not in "#?&%")


@dataclass(frozen=True)
class SpecText:
    """A data spec in its pieces.

    Attributes:
        form: ``folder``, ``kitti`` and so on, as written.
        path: decoded; None where the spec has none.
        query: what stands behind ``?``, as written.
        part: what stands behind ``#``.
    """

    form: str
    path: Path | None
    query: str = ""
    part: str = ""

    @property
    def whole(self) -> str:
        """The spec without its part, so written that it has one reading only."""
        path = "" if self.path is None else f":{encoded(str(self.path))}"
        return f"{self.form}{path}{'?' if self.query else ''}{self.query}"

    def options(self) -> Iterator[tuple[str, str]]:
        """Names and decoded values; a value is empty where the text has none."""
        for option in self.query.split("&") if self.query else ():
            name, _, value = option.partition("=")
            yield name, unquote(value)


def parse(spec: str) -> SpecText:
    """Take a data spec apart; whether its form and its options exist is not looked at."""
    form, colon, rest = re.fullmatch(r"([^:?#]*)(:?)(.*)", spec, re.DOTALL).groups()  # type: ignore[union-attr] # fits every text
    readings = list(_readings(rest)) if colon else []
    existing = [reading for reading in readings if reading.path is not None and _exists(reading.path)]
    if not existing:
        end = min((rest.find(mark) for mark in "?#" if mark in rest), default=len(rest))
        behind = _LOOSE_PARTS.fullmatch(rest, end)
        path = _decoded(rest[:end]) if colon and end else None
        return SpecText(form, path, behind["query"] or "", behind["part"] or "")  # type: ignore[index] # fits every text
    first, *others = existing
    if others:
        other = others[-1].path
        text = f"'{rest}' is read as '{first.path}' and what follows; if '{other}' is meant, write '{encoded(str(other))}'"
        warn_once(text, text)
    return SpecText(form, first.path, first.query, first.part)


def split_off(spec: str) -> tuple[str, str]:
    """A data spec without its part, and the part, which is empty where the spec names none."""
    text = parse(spec)
    return (text.whole, text.part) if text.part else (spec, "")


def encoded(path: str) -> str:
    """A path as a data spec can hold it."""
    return quote(path, safe=_SAFE, errors="surrogateescape") if any(mark in path for mark in "#?&%") else path


def portable(spec: str) -> str:
    """A data spec or path without its folders, for records that travel: ``list:/a/b/c.txt?root=/d/e#val`` → ``list:c.txt?root=e#val``."""
    text = parse(spec)
    if text.path is None or not re.fullmatch(r"[a-z][\w-]+", text.form):
        return re.sub(r"[^:=?&#]*/(?=[^/?&#])", "", spec)
    query = "&".join(f"{name}={encoded(PurePath(value).name or value)}" for name, value in text.options())
    return SpecText(text.form, Path(text.path.name or text.path), query).whole + (f"#{text.part}" if text.part else "")


def _readings(rest: str) -> Iterator[SpecText]:
    """All ways to divide path, options and part, the shortest path first."""
    ends = [place for place, mark in enumerate(rest) if mark in "?#"] + [len(rest)]
    for end in ends:
        behind = _PARTS.fullmatch(rest, end)
        if end and behind:
            yield SpecText("", _decoded(rest[:end]), behind["query"] or "", behind["part"] or "")


def _decoded(text: str) -> Path:
    """The path that a text means; the text itself where only that exists."""
    path, literal = Path(unquote(text, errors="surrogateescape")), Path(text)
    if text.startswith("~/") and not _exists(path):
        return path.expanduser()  # a shell leaves it alone behind a colon
    return literal if path != literal and not _exists(path) and _exists(literal) else path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or a folder that may not be looked into
        return False
