"""docs/architecture.md names the folders that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def folders() -> set[str]:
    return {path.parent.name for path in (ROOT / "fcrn_mobile").glob("*/*.py")}


def test_every_folder_has_its_paragraph_and_no_other_has() -> None:
    paragraphs = re.findall(r"^- \*\*`(\w+)/`\*\*: ", TEXT, re.MULTILINE)
    assert len(paragraphs) == len(set(paragraphs))
    assert set(paragraphs) == folders()


def test_every_file_that_it_names_is_there() -> None:
    names = re.findall(r"`([\w/]+\.(?:py|md))`", TEXT)
    assert names
    assert [name for name in names if not (ROOT / "fcrn_mobile" / name).exists()] == []
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_tests_mirror_the_folders() -> None:
    """A folder that no tests folder mirrors is tested elsewhere by name: the command line by its journeys."""
    mirrored = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("**/test_*.py"))}
    assert folders() - mirrored == set()
