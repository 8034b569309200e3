"""Every path that a command would write is checked before its work, and an option is given once."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import write_json
from fcrn_mobile.cli.main import COMMANDS, LazyGroup
from fcrn_mobile.cli.outputs import OutputFile, OutputFolder
from fcrn_mobile.errors import InputError
from fcrn_mobile.whole_file import written_whole
from tests.journeys.command import Result, call, refused

__all__ = ["call"]

#: Names of parameters that mean a path to write.
OUTPUTS = {"json_out", "html", "figure", "panels", "per_image", "out", "models"}


def loaded(name: str) -> click.Command:
    command = LazyGroup("fcrn-mobile").get_command(click.Context(click.Command("fcrn-mobile")), name)
    assert command is not None
    return command


def options(kind: type) -> list[tuple[str, str]]:
    """Every output option of a kind, with its command."""
    return [(name, max(param.opts, key=len)) for name in COMMANDS for param in loaded(name).params if isinstance(param.type, kind)]


def good_name(name: str, option: str) -> str:
    kind = next(param.type for param in loaded(name).params if option in param.opts)
    return f"result{kind.suffixes[0]}" if isinstance(kind, OutputFile) and kind.suffixes else "result"


@pytest.fixture
def ask(monkeypatch, call) -> Callable[..., Result]:
    """Run a command whose work is a mark: exit code 3 says that it began."""

    def begun(**_: object) -> None:
        raise RuntimeError("the work began")

    def asked(name: str, *words: str) -> Result:
        command = loaded(name)
        monkeypatch.setattr(command, "callback", begun)
        for param in command.params:
            monkeypatch.setattr(param, "required", False)
        return call(name, *words)

    return asked


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_checks_its_outputs(name: str) -> None:
    command = loaded(name)
    assert isinstance(command, Command)
    for param in command.params:
        if param.name in OUTPUTS and isinstance(param, click.Option):
            assert isinstance(param.type, OutputFile | OutputFolder), param.name


@pytest.mark.parametrize(("name", "option"), options(OutputFile))
def test_a_file_that_cannot_be_written_is_refused_before_any_work(name: str, option: str, ask, tmp_path, monkeypatch) -> None:
    good = good_name(name, option)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / good).mkdir()
    refused(ask(name, option, f"folder/{good}"), option, good, "is a folder")
    refused(ask(name, option, f"nowhere/{good}"), option, "nowhere", "create it first")
    assert ask(name, option, good).returncode == 3
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(ask(name, option, good), option, "cannot write")


@pytest.mark.parametrize(("name", "option"), options(OutputFolder))
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(name: str, option: str, ask, tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("mine")
    refused(ask(name, option, "file"), option, "is a file", "name a folder")
    refused(ask(name, option, "file/below"), option, "cannot be a folder")
    assert ask(name, option, "new/below").returncode == 3
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(ask(name, option, "new"), option, "cannot be a folder")


#: Results of commands that run again and again.
RUN_AGAIN = ("--json", "--junit", "--markdown", "--sarif")


@pytest.mark.parametrize(("name", "option"), [pair for pair in options(OutputFile) if pair[1] not in RUN_AGAIN])
def test_a_file_that_exists_needs_force_where_there_is_such_an_option(name: str, option: str, ask, tmp_path) -> None:
    good = good_name(name, option)
    (tmp_path / good).write_text("mine")
    refused(ask(name, option, good), good, "exists", "--force")
    assert ask(name, option, good, "--force").returncode == 3
    assert (tmp_path / good).read_text() == "mine"


def test_pictures_of_an_earlier_run_are_kept(ask, tmp_path) -> None:
    (tmp_path / "panels").mkdir()
    (tmp_path / "panels/median.png").write_text("mine")
    refused(ask("evaluate", "--panels", "panels"), "median.png", "exists", "--force")
    assert ask("evaluate", "--panels", "panels", "--force").returncode == 3


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("validate r m --html a.html --json a.html", ["--json", "--html", "a.html"]),
        ("bench m --html ./a.html --json x/../a.html", ["--json", "--html", "a.html"]),
        ("demo --out demo --json demo/report.html", ["--out", "--json", "report.html"]),
        ("evaluate m --panels p --per-image p/best.png", ["--panels", "--per-image", "best.png"]),
        ("predict m --out a --json a", ["--json"]),
        ("validate m.onnx n --json m.onnx", ["--json", "m.onnx", "input"]),
        ("evaluate n --data csv:pairs.csv?scale=5#val --per-image pairs.csv --force", ["--per-image", "pairs.csv", "input"]),
        ("bench --import one.json --json ./one.json", ["--json", "one.json", "input"]),
        ("run n --input image=photo.jpg --json photo.jpg", ["--json", "photo.jpg", "input"]),
        ("inspect m.mlpackage --json m.mlpackage/Manifest.json", ["--json", "Manifest.json", "input"]),
        ("compare one two --figure a.gif", ["--figure", "a.gif", ".png, .svg or .pdf"]),
        ("validate r m --html page.txt", ["--html", "page.txt", ".html or .htm"]),
    ],
)
def test_two_outputs_or_an_output_and_an_input_have_paths_of_their_own(line: str, words: list[str], ask, tmp_path) -> None:
    for folder in ("x", "p", "a.d", "m.mlpackage"):
        (tmp_path / folder).mkdir()
    files = ["m.onnx", "pairs.csv", "one.json", "photo.jpg", "m.mlpackage/Manifest.json"]
    for file in files:
        (tmp_path / file).write_text("mine")
    refused(ask(*line.split()), *words)
    assert all((tmp_path / file).read_text() == "mine" for file in files)


def test_an_output_beside_an_input_or_in_its_folder_is_fine(ask, tmp_path) -> None:
    (tmp_path / "data").mkdir()
    assert ask("evaluate", "builtin", "--data", "folder:data", "--json", "data/result.json").returncode == 3
    assert ask("evaluate", "builtin", "--data", "sample", "--json", "-").returncode == 3
    assert ask("demo", "--out", "new", "--json", "new/result.json").returncode == 3


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_one_value_is_given_once(name: str, ask) -> None:
    refused(ask(name, "--json", "a.json", "--json", "b.json"), "--json", "2 times", "give it once")


def test_what_may_be_given_often_may(ask) -> None:
    assert ask("bench", "m", "--backend", "torch", "--backend", "mil", "--force", "--force").returncode == 3
    refused(ask("train", "--data", "sample", "--random-crop", "--centre-crop"), "--random-crop/--centre-crop", "give it once")
    assert ask("evaluate", "m", "--json", "a", "--json", "b", "--help").returncode == 0


def test_no_backend_of_a_benchmark_is_dropped(call, tmp_path) -> None:
    refused(call("bench", "builtin", "--backend", "torch", "--backend", "mil"), "--backend mil", ".mlpackage")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_names_the_file_and_leaves_what_was_there(number: int, tmp_path, monkeypatch) -> None:
    target = tmp_path / "result.json"
    target.write_text("mine")

    def full(path: Path, text: str, **_: str) -> int:
        path.touch()
        raise OSError(number, os.strerror(number))  # as of a file that is open: no name

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=f"result.json.*{os.strerror(number)}"):
        write_json(str(target), {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert target.read_text() == "mine"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        OSError("encoder error: No space left on device"),
    ],
)
def test_a_library_that_met_a_full_disk_is_understood(error: Exception, tmp_path) -> None:
    with (
        pytest.raises(InputError, match=r"a\.mlpackage.*No space left on device"),
        written_whole(tmp_path / "a.mlpackage", False) as partial,
    ):
        partial.mkdir()
        raise error
    with pytest.raises(ValueError, match="another"), written_whole(tmp_path / "a.mlpackage", False):
        raise ValueError("another")
    assert not list(tmp_path.iterdir())


def test_json_goes_to_a_pipe_without_taking_its_place(tmp_path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(str(pipe), {"a": float("nan")})
    assert json.loads(os.read(reader, 100)) == {"a": None}
    os.close(reader)
    assert pipe.is_fifo()
