"""Completion in the shells, colour, and the version."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
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

#: What a shell reads when it starts: completion as docs/how-to/install.md sets it up, a prompt to wait for, and Ctrl-B, which writes down
#: the line that is being typed and clears it.
START = {
    "bash": """
eval "$(_FCRN_MOBILE_COMPLETE=bash_source fcrn-mobile)"
note() { printf '%s\\n' "$READLINE_LINE" >> lines; READLINE_LINE= READLINE_POINT=0; }
bind -x '"\\C-b": note'
PS1='ready> '
""",
    "zsh": """
autoload -Uz compinit; compinit -u -D
eval "$(_FCRN_MOBILE_COMPLETE=zsh_source fcrn-mobile)"
note() { print -r -- "$BUFFER" >> lines; BUFFER= }
zle -N note; bindkey '^B' note
PS1='ready> '
""",
}
#: What is typed before the tabulator → the whole line: of a command, an option, a recipe's name, and files.
TYPED = {
    "fcrn-mobile val": "fcrn-mobile validate",
    "fcrn-mobile check --ju": "fcrn-mobile check --junit",
    "fcrn-mobile export builtin --recipe int8-": "fcrn-mobile export builtin --recipe int8-per-tensor",
    "fcrn-mobile export builtin --recipe min": "fcrn-mobile export builtin --recipe mine.toml",
    "fcrn-mobile check dep": "fcrn-mobile check depth.toml",
}


def shell(name: str) -> object:
    """A shell as a parameter; skipped, with that as the reason, where it is missing."""
    missing = shutil.which(name) is None
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason=f"{name} is not installed: completion in it was not tried"))


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


@pytest.mark.parametrize("name", [shell("bash"), shell("zsh")])
def test_a_tabulator_completes_the_line_in_the_shell_itself(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """The shell runs at a terminal, where keys are typed; what Ctrl-B writes down is its own line."""
    for file in (".zshrc", "start"):
        (tmp_path / file).write_text(START[name])
    for file in ("mine.toml", "depth.toml"):
        (tmp_path / file).touch()
    words = {"bash": ["bash", "--rcfile", "start", "-i"], "zsh": ["zsh", "-d", "-i"]}[name]
    parent, child = pty.openpty()
    own = environment | {"ZDOTDIR": str(tmp_path), "TERM": "xterm", "COLUMNS": "120", "INPUTRC": "/dev/null"}
    process = subprocess.Popen(words, stdin=child, stdout=child, stderr=child, cwd=tmp_path, env=own, start_new_session=True)
    try:
        read_until(parent, lambda text: "ready> " in text)
        os.write(parent, "".join(f"{text}\t\x02" for text in TYPED).encode())
        lines = tmp_path / "lines"
        read_until(parent, lambda _: lines.exists() and len(lines.read_text().splitlines()) == len(TYPED))
    finally:
        process.kill()
        process.wait()
        os.close(child)
        os.close(parent)
    assert [line.rstrip() for line in lines.read_text().splitlines()] == [*TYPED.values()]


def read_until(terminal: int, done: Callable[[str], bool], seconds: float = 60) -> None:
    """Read what a shell shows until that is so."""
    text, end = "", time.monotonic() + seconds
    while not done(text):
        assert time.monotonic() < end, text
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 100_000).decode(errors="replace")


@pytest.mark.parametrize("name", [shell("fish")])
def test_fish_completes_the_line_itself(name: str, environment: dict[str, str], tmp_path: Path) -> None:
    """By its own engine, which a script can ask for what the tabulator would show (``complete -C``)."""
    for file in ("mine.toml", "depth.toml"):
        (tmp_path / file).touch()
    asks = "\n".join(f"complete -C '{text}'; echo ." for text in TYPED)
    script = f"_FCRN_MOBILE_COMPLETE=fish_source fcrn-mobile | source\n{asks}"
    run = subprocess.run([name, "--no-config", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    answers = [[line.split("\t")[0] for line in group.splitlines()] for group in run.stdout.split(".\n")[:-1]]
    assert [[f"{text.rpartition(' ')[0]} {answer}" for answer in group] for text, group in zip(TYPED, answers, strict=True)] == [
        [line] for line in TYPED.values()
    ]


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
