"""What the site is made with: its hooks, its menu, and the check of what was built."""

import re
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import click
import pytest

from fcrn_mobile.cli.main import COMMANDS, main
from fcrn_mobile.conversion.recipe import Settings, make_recipe
from fcrn_mobile.mil.ops import MIL
from tests.scripts import load_script

ROOT = Path(__file__).parents[1]
CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    return load_script(ROOT / "docs" / f"{name}.py")


hooks, check = script("site_hooks"), script("site_check")


@pytest.mark.parametrize(
    ("uri", "text", "expected"),
    [
        ("how-to/tune.md", "[a](../../export/README.md#keys)", "[a](../repository/export/README.md#keys)"),
        ("how-to/tune.md", "[a](../data.md) [b](#x) [c](https://a.b)", "[a](../data.md) [b](#x) [c](https://a.b)"),
        ("repository/ios_demo/README.md", "![a](docs/hud.png)", "![a](docs/hud.png)"),
        ("repository/benchmarks/training/README.md", "![a](../../docs/article.png)", "![a](../../../article.png)"),
        ("repository/CONTRIBUTING.md", "[a](docs/architecture.md) [b](export/)", "[a](../architecture.md) [b](export/README.md)"),
        ("repository/benchmarks/estimate/README.md", "[`a.toml`](../../fcrn_mobile/latency/chips.toml)", "`a.toml`"),
        ("index.md", "`[a](gone.py)`\n```sh x\n[a](gone.py)\n```\n", '`[a](gone.py)`\n```sh title="x"\n[a](gone.py)\n```\n'),
        ("your-own-network.md", "```python unet.py\nx\n```\n", '```python title="unet.py"\nx\n```\n'),
    ],
)
def test_links_lead_to_the_same_page_on_the_site(uri: str, text: str, expected: str) -> None:
    assert hooks.rewritten(text, uri) == expected


def test_every_option_of_every_command_is_on_its_page() -> None:
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", hooks.SECTIONS["commands"](), re.MULTILINE | re.DOTALL))
    assert list(sections) == list(COMMANDS)
    for name, section in sections.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None
        options = {opt for param in command.params if isinstance(param, click.Option) for opt in param.opts}
        assert {opt for opt in options if not re.search(rf"^\| `.*{re.escape(opt)}\b", section, re.MULTILINE)} == set()
        assert command.help and command.help.split()[0] in section


def test_every_key_that_a_recipe_may_have_is_described() -> None:
    keys = re.findall(r"^\| `(\w+)` \| (\S*)", hooks.SECTIONS["recipe keys"]().partition("\n## ")[0], re.MULTILINE)
    assert [key for key, _ in keys] == [field.name for field in fields(Settings)]
    written = {key: default.strip("`") for key, default in keys if default not in ("", "|")}
    made = make_recipe(written, "the page")
    assert made == make_recipe({}, "nothing")


def test_every_operator_is_described_once() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (never|yes) \|", hooks.SECTIONS["operators"](), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(MIL)
    assert dict(rows)["conv"] == "yes" and dict(rows)["relu"] == "never"


def test_every_page_is_in_the_menu_and_nothing_comes_from_elsewhere() -> None:
    menu = set(re.findall(r"([\w/.-]+\.md)$", CONFIGURATION, re.MULTILINE))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages - menu == set()
    repository = {page.removeprefix("repository/") for page in menu - pages}
    assert [page for page in repository if not (ROOT / page).is_file()] == []
    assert re.search(r"^  font: false$", CONFIGURATION, re.MULTILINE) and re.search(r"^strict: true$", CONFIGURATION, re.MULTILINE)
    assert re.findall(r"https?://|mermaid", CONFIGURATION) == []


def test_what_is_wrong_in_a_site_is_seen(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<link rel="canonical" href="https://a.b"><script src="//cdn/x.js"></script><img src="https://a.b/c.png">'
        '<a href="https://elsewhere">x</a><a href="sub/page.html#there">x</a><a href="sub/">x</a><a href="gone.html">x</a>'
    )
    (tmp_path / "sub" / "index.html").write_text('<p id="here"></p><a href="#here">x</a><a href="page.html#here">x</a>')
    (tmp_path / "sub" / "page.html").write_text('<h1 id="there"></h1><p style="background: url(https://a.b/d.png)"></p>')
    (tmp_path / "x.css").write_text("@import 'https://fonts/x.css'; a { background: url(data:image/png;base64,x) }")
    assert check.problems(tmp_path) == [
        "index.html loads //cdn/x.js",
        "index.html loads https://a.b/c.png",
        "index.html: gone.html leads nowhere",
        "sub/index.html: page.html#here has no such place",
        "sub/page.html loads https://a.b/d.png",
        "x.css loads https://fonts/x.css",
    ]
    assert check.problems(tmp_path / "nothing") == [f"{tmp_path / 'nothing'} holds no page"]
