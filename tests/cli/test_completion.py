"""Completion in the shells, colour, and the version."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fcrn_mobile

BASH = """
source <(_FCRN_MOBILE_COMPLETE=bash_source fcrn-mobile)
complete -p fcrn-mobile
COMP_WORDS=({words}) COMP_CWORD={place} COMPREPLY=()
_fcrn_mobile_completion fcrn-mobile
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With the command on the path, whatever is installed."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/fcrn-mobile"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m fcrn_mobile "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("fcrn-mobile val", ["validate"]),
        ("fcrn-mobile export builtin --recipe int", ["int4", "int8", "int8-per-tensor"]),
        ("fcrn-mobile train --config art", ["article-1", "article-2"]),
        ("fcrn-mobile check --ju", ["--junit"]),
    ],
)
def test_bash_completes_commands_options_and_names(words: str, answers: list[str], environment: dict[str, str]) -> None:
    script = BASH.format(words=words, place=len(words.split()) - 1)
    lines = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines[0].split()[-3:] == ["-F", "_fcrn_mobile_completion", "fcrn-mobile"]
    assert lines[1:] == answers


@pytest.mark.parametrize(
    ("shell", "word", "answer"),
    # As the scripts of these shells ask, and read the answer: zsh by the word's place, three lines a completion; fish by the word itself.
    [("zsh", "3", ["plain", "int8", "_"]), ("fish", "int8", ["plain,int8"])],
)
def test_other_shells_get_their_script_and_answers(shell: str, word: str, answer: list[str], environment: dict[str, str]) -> None:
    def ask(task: str, **variables: str) -> str:
        own = environment | {"_FCRN_MOBILE_COMPLETE": f"{shell}_{task}"} | variables
        return subprocess.run(["fcrn-mobile"], env=own, capture_output=True, text=True, check=True).stdout

    assert f"_FCRN_MOBILE_COMPLETE={shell}_complete" in ask("source")
    lines = ask("complete", COMP_WORDS="fcrn-mobile export --recipe int8", COMP_CWORD=word).splitlines()
    groups = [lines[place : place + len(answer)] for place in range(0, len(lines), len(answer))]
    assert answer in groups


@pytest.mark.parametrize(("variable", "coloured"), [({"NO_COLOR": "1"}, False), ({}, True)])
def test_colour_is_left_out_where_it_is_not_wanted(variable: dict[str, str], coloured: bool) -> None:
    """A terminal gets a bar that moves; with NO_COLOR (no-color.org) without codes of colour."""
    script = (
        "from fcrn_mobile.cli.common import progress\n"
        "with progress('export') as step:\n    step(1, 2)\n    import time; time.sleep(0.3)\n    step(2, 2)\n"
    )
    parent, child = pty.openpty()
    own = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm-256color"} | variable
    subprocess.run([sys.executable, "-c", script], stderr=child, env=own, check=True)
    os.close(child)
    text = os.read(parent, 100_000).decode()
    assert "export" in text
    codes = {int(code) for group in re.findall(r"\x1b\[([\d;]*)m", text) for code in group.split(";") if code}
    assert bool(codes & {*range(30, 39), *range(90, 98)}) == coloured


def test_the_version_is_that_of_the_package() -> None:
    result = subprocess.run([sys.executable, "-m", "fcrn_mobile", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"fcrn-mobile, version {fcrn_mobile.__version__}\n"
