"""What CONTRIBUTING.md says that an addition takes: its blocks, applied to a copy of the package, do what they promise."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ADDITIONS = ("An operator", "An encoder", "A source of data", "A backend", "A metric", "A scheme")


@dataclass(frozen=True)
class Block:
    """A fenced block: ``python PATH`` is a new file, ``diff PATH`` lines that are added to one, ``python check`` what then holds."""

    language: str
    target: str
    text: str


def section(heading: str) -> str:
    (text,) = (part for part in re.split(r"^## ", TEXT, flags=re.MULTILINE) if part.startswith(f"{heading}\n"))
    return text


def blocks(heading: str) -> list[Block]:
    return [Block(*parts) for parts in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)]


def apply(block: Block, root: Path) -> None:
    """Write a new file, or add the lines with a plus behind those with a space before them, which have to be there once."""
    path = root / block.target
    if block.language == "python":
        assert not path.exists(), f"{block.target} is there already"
        path.write_text(block.text, encoding="utf-8")
        return
    lines = block.text.splitlines(keepends=True)
    assert all(line[0] in " +" for line in lines)
    before, after = ("".join(line[1:] for line in lines if line[0] in marks) for marks in (" ", " +"))
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{block.target} does not have these lines once:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.mark.parametrize("heading", ADDITIONS)
def test_an_addition_takes_two_files_at_most_and_works(heading: str, tmp_path: Path) -> None:
    *changes, check = blocks(heading)
    assert check.target == "check" and changes
    assert len({change.target for change in changes}) <= 2
    # With what is compiled already, which Python takes for files of the same size and time.
    shutil.copytree(ROOT / "fcrn_mobile", tmp_path / "fcrn_mobile")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-c", check.text], cwd=tmp_path, env=environment, capture_output=True, text=True)

    assert run().returncode != 0, "the check holds without the addition"
    for change in changes:
        apply(change, tmp_path)
    result = run()
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("heading", ADDITIONS)
def test_a_section_names_the_file_of_its_test(heading: str) -> None:
    (line,) = re.findall(r"^Test: (.*)$", section(heading), re.MULTILINE)
    files = re.findall(r"`(tests/[\w/]+\.py)`", line)
    assert files and [file for file in files if not (ROOT / file).is_file()] == []


def test_every_section_with_a_check_is_performed() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    assert {text.partition("\n")[0] for text in sections if "```python check" in text} == set(ADDITIONS)


@pytest.mark.parametrize("heading", ADDITIONS)
def test_new_files_are_formatted_as_the_package_is(heading: str, tmp_path: Path) -> None:
    for block in blocks(heading):
        if block.language == "python" and block.target != "check":
            for command in (["check", "--select", "E,F,I", "-"], ["format", "--check", "-"]):
                ruff = [sys.executable, "-m", "ruff", *command, "--line-length", "140"]
                result = subprocess.run(ruff, input=block.text, capture_output=True, text=True)
                assert result.returncode == 0, result.stdout + result.stderr
