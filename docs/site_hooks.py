"""What mkdocs is told beside mkdocs.yml: pages that lie elsewhere in the repository, links to them, and sections made from the code.

A page of the repository outside ``docs/`` is ``repository/PATH`` on the site. A link to a file that is no page, such as a module, becomes
its text: the site has no copy of the code. Where a page says ``<!-- generated: WHAT -->``, a section stands that the code itself tells.
"""

import inspect
import posixpath
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

__all__ = ["SECTIONS", "on_config", "on_files", "on_page_markdown", "rewritten"]

ROOT = Path(__file__).resolve().parents[1]
#: Pages of the repository that the site has too, beside those of ``docs/``.
FOLDERS = ("benchmarks", "export", "fcrn_mobile", "ios_demo")
PREFIX = "repository/"
PICTURES = (".png", ".svg", ".jpg")
#: A block of code, code in a line, or a link; what begins first counts, so that links may hold code and code no links.
_LINK = re.compile(r"^```.*?^```$|`[^`\n]+`|(!?)\[([^\]]*)\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL)


def pages() -> list[str]:
    """Paths of pages outside ``docs/``, from the repository's root."""
    others = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))]
    return ["CHANGELOG.md", "CONTRIBUTING.md", *others]


def pictures() -> list[str]:
    """Paths of pictures outside ``docs/`` that pages show."""
    shown = [
        posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        for page in [*pages(), *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))]
        for mark, _, target in _LINK.findall((ROOT / page).read_text(encoding="utf-8"))
        if mark and ":" not in target
    ]
    return sorted({path for path in shown if not path.startswith("docs/")})


def site_path(path: str) -> str | None:
    """Where a file of the repository is on the site; None if it is not there."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PREFIX + path if path.endswith((".md", *PICTURES)) and path != "README.md" else None


def repository_path(uri: str) -> str:
    """The same the other way round."""
    return uri.removeprefix(PREFIX) if uri.startswith(PREFIX) else f"docs/{uri}"


def rewritten(markdown: str, uri: str) -> str:
    """A page with links as the site has them, and titles in place of the names behind languages of code."""
    source = repository_path(uri)

    def link(match: "re.Match[str]") -> str:
        mark, text, target = match.groups()
        if target is None or re.match(r"[a-z]+:|#", target):
            return match[0]
        name, hash_mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), name))
        path = f"{path}/README.md" if (ROOT / path / "README.md").is_file() else path
        there = site_path(path)
        if path == "README.md":
            there = "index.md"
        if there is None:
            return text
        return f"{mark}[{text}]({posixpath.relpath(there, posixpath.dirname(uri) or '.')}{hash_mark}{anchor})"

    titled = re.sub(r"^```(\w+) (\S[^\n]*)$", r'```\1 title="\2"', _LINK.sub(link, markdown), flags=re.MULTILINE)
    return titled.replace("```sh\n", "```bash\n")


def on_config(config: Any) -> Any:
    """Let the package be found; mkdocs forgets what a hook does to the path while it is loaded."""
    sys.path.insert(0, str(ROOT))
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages and pictures that lie outside ``docs/``."""
    from mkdocs.structure.files import File

    for path in [*pages(), *pictures()]:
        files.append(File.generated(config, PREFIX + path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put generated sections where they belong, and links right."""
    for name, section in SECTIONS.items():
        mark = f"<!-- generated: {name} -->"
        markdown = markdown.replace(mark, section()) if mark in markdown else markdown
    return rewritten(markdown, page.file.src_uri)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown."""
    names = list(columns)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in line) + " |" for line in lines)


def commands() -> str:
    """Usage and options of every command, as click has them."""
    import click

    from fcrn_mobile.cli.main import COMMANDS, main

    parts = []
    context = click.Context(main, info_name="fcrn-mobile")
    for name in COMMANDS:
        command = main.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join(["fcrn-mobile", name, *command.collect_usage_pieces(inner)])
        records = [record for param in command.get_params(inner) if (record := param.get_help_record(inner))]
        options = table(("option", ""), ([f"`{option}`", html_text(text)] for option, text in records))
        help_text = re.sub(r"\s*\n\s*\n\s*", "\n\n", html_text(inspect.cleandoc(command.help or "")))
        parts.append(f"## {name}\n\n```text\n{usage}\n```\n\n{help_text}\n\n<div class='options' markdown>\n\n{options}\n\n</div>\n")
    return "\n".join(parts)


def html_text(text: str) -> str:
    """A sentence of help, in which nothing is markup."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", text).replace("\\|", "|")


def recipe_keys() -> str:
    """Keys of a recipe and of its tables, from the dataclasses that hold them."""
    from fcrn_mobile.conversion.correct_table import Correct
    from fcrn_mobile.conversion.recipe import Calibration, Override, Settings

    kinds = {"Keys": Settings, "Keys of `[[ops]]`": Override, "Keys of `[calibration]`": Calibration, "Keys of `[correct]`": Correct}
    parts = [
        f"## {title}\n\n{table(('key', 'default', 'what'), map(key_row, fields(kind), meanings(kind)))}\n" for title, kind in kinds.items()
    ]
    return "\n".join(parts)


def key_row(field: "Field[Any]", meaning: str) -> list[str]:
    """Name, default and meaning of a key."""
    default = field.default if field.default is not MISSING else field.default_factory() if field.default_factory is not MISSING else None
    shown = "" if default in (None, "", (), {}) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    return [f"`{field.name}`", shown, meaning]


def meanings(kind: type) -> list[str]:
    """What the attributes of a dataclass are, from its docstring; those that are described together have one text."""
    section = inspect.getdoc(kind) or ""
    entries = re.findall(
        r"^    (\w+(?:, \w+)*): (.*?)(?=^    \w+(?:, \w+)*: |\Z)", section.partition("Attributes:\n")[2], re.MULTILINE | re.DOTALL
    )
    texts = {name: " ".join(text.split()) for names, text in entries for name in names.split(", ")}
    return [texts[field.name].replace("``", "`") for field in fields(kind)]


def operators() -> str:
    """What is known of every operator, from its record."""
    from fcrn_mobile.mil.ops import FAMILIES

    rounds = {"moved": "never", "picked": "never", "exact": "never", "scaled": "yes", "computed": "yes"}
    parts = []
    for family in FAMILIES:
        rows = [
            [
                f"`{kind}`",
                rounds[operator.results],
                "yes" if operator.is_product else "",
                "yes" if operator.quantizable else "",
                "yes" if operator.refusal else "",
            ]
            for kind, operator in sorted(family.OPERATORS.items())
        ]
        columns = ("operator", "rounded in half precision", "product of matrices", "int8 activations", "Core ML refuses some")
        parts.append(f"## {family.__name__.rpartition('.')[2]}\n\n{table(columns, rows)}\n")
    return "\n".join(parts)


def docstrings() -> str:
    """What mkdocstrings makes of the public names; it reads the sources without importing them. Of a class, what the page promises."""
    import fcrn_mobile

    promised = re.findall(r"^\| `Program\.(\w+)\(", (ROOT / "docs/reference/api.md").read_text(encoding="utf-8"), re.MULTILINE)
    members = {"fcrn_mobile.mil.Program": promised, "fcrn_mobile.Recipe": ["__init__"]}
    names = [*(f"fcrn_mobile.{name}" for name in fcrn_mobile.__all__ if name != "Program"), *members, "fcrn_mobile.mil.simulated_core_ml"]
    options = {name: f"\n    options:\n      members: {promised}" for name, promised in members.items()}
    blocks = [f"::: {name}{options.get(name, '')}" for name in dict.fromkeys(names)]
    return "\n\n".join(["## Docstrings", *blocks])


#: What stands for ``<!-- generated: WHAT -->``.
SECTIONS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "docstrings": docstrings,
    "operators": operators,
    "recipe keys": recipe_keys,
}
