"""The pages: links lead somewhere, command lines are such that the tool takes them, and the first page is one screen."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fcrn_mobile.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "export", "benchmarks", "ios_demo", "fcrn_mobile")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(page for folder in FOLDERS for page in sorted((ROOT / folder).rglob("*.md")))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]


def prose(text: str) -> str:
    """A page without its code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text: str) -> set[str]:
    """What the headings of a page are linked by: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8"))):
        if re.match(r"https?:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every line of code that calls the tool, without comments and prompts."""
    text = re.sub(r"\\\n\s*", " ", text)
    for line in re.findall(r"^(?:\$ | {4})?fcrn-mobile (.*)$", text, re.MULTILINE):
        yield shlex.split(line, comments=line.count(" #") > 0)


def refusal(words: list[str]) -> str | None:
    """What the tool has against a command line before it looks at any value; None if nothing."""
    context = click.Context(main)
    try:
        _, command, rest = main.resolve_command(context, words)
        assert command is not None
        command.make_parser(click.Context(command)).parse_args(rest)
    except click.UsageError as error:
        return error.format_message()
    return None


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    assert dead_links(ROOT / name) == []


@pytest.mark.parametrize("name", NAMES)
def test_command_lines_are_taken(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert [(words, problem) for words in command_lines(text) if (problem := refusal(words))] == []


def test_what_is_wrong_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](page.md#one-thing) [b](#other) [c](missing.md) `[d](code.md)`\n")
    assert dead_links(page) == ["#other", "missing.md"]
    lines = [*command_lines("$ fcrn-mobile validate a b --data 'x#val'\n$ fcrn-mobile bench a \\\n    --rnus 3\nfcrn-mobile exprot a\n")]
    assert lines[0] == ["validate", "a", "b", "--data", "x#val"]
    problems = [refusal(words) for words in lines]
    assert problems[0] is None and "--rnus" in str(problems[1]) and "exprot" in str(problems[2])


def test_the_first_page_is_one_screen() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 80


def test_the_table_of_commands_has_each_once() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)
