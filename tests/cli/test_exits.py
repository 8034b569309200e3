"""Exit codes: 0 held, 1 a measured and broken budget, 2 bad use or input, 3 unexpected, 130 interrupted."""

import errno
import io
import pickle
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pytest

from fcrn_mobile.cli import main as entry
from fcrn_mobile.cli.common import print_table
from fcrn_mobile.cli.exits import message, outcome
from fcrn_mobile.cli.main import COMMANDS, LazyGroup, without_debug
from fcrn_mobile.errors import InputError
from fcrn_mobile.latency.worker import Worker, WorkerError
from tests.journeys.command import call, fcrn

__all__ = ["call"]


class Panic(BaseException):
    """As Rust's panics arrive in Python: no Exception."""


def raise_it(error: BaseException, *_: object, **__: object) -> None:
    raise error


@pytest.fixture
def failing(monkeypatch):
    """Let a command fail with a given exception where its work would begin."""

    def fail(name: str, error: BaseException) -> None:
        command = LazyGroup("x").get_command(click.Context(click.Command("x")), name)
        assert command is not None
        monkeypatch.setattr(command, "params", [])
        monkeypatch.setattr(command, "callback", partial(raise_it, error))

    return fail


@pytest.mark.parametrize("name", COMMANDS)
def test_an_exception_that_nobody_expected_is_exit_3_in_every_command(name: str, failing, call) -> None:
    failing(name, ValueError("shapes\n  do not fit"))
    result = call(name)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    for word in ("ValueError", "shapes do not fit", "please report", "--debug"):
        assert word in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("a.png is no picture"), 2),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.png"), 2),
        (click.UsageError("no"), 2),
        (KeyboardInterrupt(), 130),
        (KeyError("weight"), 3),
        (MemoryError(), 3),
        (RecursionError("too deep"), 3),
        (AssertionError(), 3),
        (SystemExit(1), 3),
        (SystemExit("a library gave up"), 3),
        (Panic("index out of bounds"), 3),
        (OSError("broken data stream"), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_the_code_says_what_kind_of_failure_it_was_and_is_never_1(error: BaseException, code: int, failing, call) -> None:
    failing("inspect", error)
    for words in (("inspect",), ("inspect", "--debug"), ("--debug", "inspect")):
        result = call(*words)
        assert result.returncode == code
        assert ("Traceback" in result.stderr) == ("--debug" in words)
        assert result.stderr.splitlines()[-1].startswith("fcrn-mobile: ")


def test_debug_may_stand_anywhere_but_behind_two_hyphens() -> None:
    assert without_debug(["evaluate", "m", "--debug", "--data", "s"]) == (["evaluate", "m", "--data", "s"], True)
    assert without_debug(["predict", "m", "--", "--debug"]) == (["predict", "m", "--", "--debug"], False)
    assert without_debug([]) == ([], False)


def test_a_loader_process_error_is_its_last_line() -> None:
    wrapped = "Caught InputError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File x\n"
    assert message(InputError(f"{wrapped}fcrn_mobile.errors.InputError: 'a.png' is damaged\n")) == "'a.png' is damaged"
    assert outcome(ValueError(f"{wrapped}ValueError: bad\n"))[1].startswith("unexpected ValueError: bad (")


def explode() -> None:
    raise ValueError("planted in the process")


def bad_input() -> None:
    raise InputError("planted: give another")


def test_the_process_that_measures_passes_on_what_failed_in_it() -> None:
    with pytest.raises(WorkerError, match="ValueError: planted in the process") as caught:
        Worker(explode)  # type: ignore[arg-type]
    assert "in explode" in "".join(caught.value.__notes__)  # for --debug
    assert outcome(caught.value)[0] == 3
    with pytest.raises(InputError, match="planted: give another"):
        Worker(bad_input)  # type: ignore[arg-type]
    assert outcome(pickle.loads(pickle.dumps(WorkerError("SystemExit: 1", "trace"))))[0] == 3


def test_a_folder_that_cannot_be_copied_is_one_line_with_one_path() -> None:
    error = shutil.Error([("a/w", "out/w", "[Errno 28] No space left on device: 'out/w'"), ("a/x", "out/x", "[Errno 28] No space")])
    assert outcome(error) == (2, "No space left on device: 'out/w'")
    assert outcome(OSError(errno.ENOSPC, "No space left on device", "p.png")) == (2, "No space left on device: 'p.png'")


def test_the_bare_command_prints_its_help_as_help(call) -> None:
    bare, asked = call(), call("--help")
    assert bare.returncode == asked.returncode == 0
    assert bare.stdout == asked.stdout
    assert bare.stdout.startswith("Usage:")
    assert bare.stderr == ""


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("evalaute builtin", "evaluate"),
        ("valid builtin", "validate"),
        ("evaluate builtin --dta sample", "--data"),
        ("export builtin --precison int8 --out a.mlpackage", "--precision"),
        ("--debgu demo", "--debug"),
    ],
)
def test_a_misspelt_word_gets_the_right_one(line: str, meant: str, call) -> None:
    result = call(*line.split())
    assert result.returncode == 2
    assert "did you mean" in result.stderr.lower()
    assert meant in result.stderr


def test_a_word_like_none_of_the_commands_gets_none(call) -> None:
    result = call("xyzzy")
    assert result.returncode == 2
    assert "xyzzy" in result.stderr
    assert "did you mean" not in result.stderr


def test_no_help_waits_for_a_heavy_library(tmp_path) -> None:
    files = [f"{n}_" if n == "import" else n.replace("-", "_") for n in COMMANDS]
    heavy = {"torch", "numpy", "coremltools", "lightning", "matplotlib", "PIL", "scipy", "h5py", "onnx", "onnxruntime"}
    code = (
        f"import importlib, sys\nfor f in {files}: importlib.import_module('fcrn_mobile.cli.' + f)\nprint(set({heavy}) & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_stream_without_the_characters_gets_escapes(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = fcrn("\u00e9t\u00e9", cwd=tmp_path)
    assert result.returncode == 2
    assert "\\xe9t\\xe9" in result.stderr


def test_tables_and_names_that_are_no_text_reach_an_ascii_stream(monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "argv", ["fcrn-mobile"])
    entry.run()
    print_table("Drift → δ1", ["model", "δ1"], [["caf\udce9", "–"]])
    stream.flush()
    assert "caf\\udce9" in stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_standard_output_is_one_line_and_exit_2(tmp_path) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "fcrn_mobile", "--help"], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 2, result.stderr
    assert result.stderr.splitlines() == ["fcrn-mobile: No space left on device"]


@pytest.mark.parametrize("words", [["--help"], ["inspect", "--help"], ["inspect", "builtin"]])
def test_a_reader_that_leaves_early_is_no_broken_budget_and_no_failure(words: list[str]) -> None:
    # Unbuffered, so that the first line meets the closed pipe while the command runs.
    command = subprocess.Popen([sys.executable, "-u", "-m", "fcrn_mobile", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert command.stdout is not None and command.stderr is not None
    command.stdout.close()
    assert (command.wait(timeout=120), command.stderr.read()) == (141, b"")
    command.stderr.close()


def test_a_table_without_a_reader_ends_as_other_output_does(monkeypatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError):
        print_table("", ["metric"], [["abs_rel"]])
