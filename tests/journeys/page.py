"""A page of the documentation, done as a reader does it: files are written, Python and commands run, in their order."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from tests.journeys.command import Result

__all__ = ["blocks", "perform", "read_page"]

ROOT = Path(__file__).parents[2]


def read_page(name: str) -> str:
    """The text of a page below docs/."""
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Language, name of a file where there is one, and text of every fenced block."""
    return re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def perform(text: str, folder: Path, call: Callable[..., Result]) -> list[Result]:
    """Do all that a page says, in a folder that is the working folder.

    A block with a name is a file; Python without one is run; lines of ``sh`` are commands of the tool, which end with 0, or with what a
    comment ``# exit code N`` on the line says, or ``mkdir``. Other blocks are for reading.
    """
    results = []
    for language, name, code in blocks(text):
        if name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(code, encoding="utf-8")
        elif language == "python":
            exec(compile(code, "page", "exec"), {})
        elif language == "sh":
            for line in code.splitlines():
                expected = re.search(r"# exit code (\d)$", line)
                tool, *words = shlex.split(line[: expected.start()] if expected else line)
                if tool == "mkdir":
                    (folder / words[0]).mkdir()
                    continue
                result = call(*words)
                assert tool == "fcrn-mobile" and result.returncode == int(expected[1] if expected else 0), (line, result.stderr)
                results.append(result)
    return results
