"""One process at a time trains in a folder, and a run that failed at once does not block it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.runs.folder import clear, require_new
from fcrn_mobile.runs.lock import claimed
from tests.journeys.command import Result, call, refused

__all__ = ["call"]

#: Claims the folder of its argument, leaves a child behind as loader processes are, and waits to be killed.
HOLDER = """
import os, pathlib, sys, time
from fcrn_mobile.runs.lock import claimed
with claimed(pathlib.Path(sys.argv[1])):
    child = os.fork()
    os.write(1, f"{child or os.getpid()}\\n".encode())
    time.sleep(60)
"""


def run_folder(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("{}")
    return folder


def test_a_folder_is_claimed_once_and_the_other_process_is_named(tmp_path: Path) -> None:
    with claimed(tmp_path):
        for refused_use in (claimed(tmp_path).__enter__, lambda: require_new(tmp_path)):
            with pytest.raises(InputError, match=rf"process {os.getpid()} is training in '{tmp_path}'"):
                refused_use()
    with claimed(tmp_path):
        pass
    require_new(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_killed_process_lets_go_though_its_children_live_on(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    # Both say it: the child has then begun, and closed what it must not hold.
    child, own = (int(process.stdout.readline()) for _ in range(2))
    assert child == own
    try:
        with pytest.raises(InputError, match=f"process {process.pid} is training"), claimed(tmp_path):
            pass
        process.kill()
        process.wait()
        os.kill(child, 0)
        with claimed(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("words", ["--data sample --out run", "--resume run"])
def test_a_second_process_changes_nothing_and_says_so_in_one_line(words: str, call: Callable[..., Result], tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", "run.json", "last.ckpt", "metrics.csv")
    with claimed(run):
        before = {path.name: path.read_bytes() for path in run.iterdir()}
        refused(call("train", *words.split()), f"process {os.getpid()} is training in 'run'")
        assert {path.name: path.read_bytes() for path in run.iterdir()} == before


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("run.json",),
        ("run.json", "metrics.csv", "hparams.yaml", "mlflow.json", "events.out.tfevents.1.vm.2.0"),
        ("run.json", ".best.77.safetensors", ".last.77.ckpt", ".run.77.json", ".lock", ".pid"),
    ],
)
def test_a_run_that_failed_within_its_first_epoch_may_be_started_again(names: tuple[str, ...], tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", *names)
    require_new(folder)
    clear(folder)
    assert {path.name for path in folder.iterdir()} - {".lock", ".pid"} == set(names) & {"run.json", "mlflow.json"}


@pytest.mark.parametrize(
    ("names", "remedy"),
    [
        (("note.txt",), "choose another --out"),
        (("run.json", "note.txt"), "begin it again with --resume"),
        (("run.json", "last.safetensors"), "begin it again with --resume"),
        (("run.json", "best.safetensors", "last.ckpt"), "continue it with --resume"),
        (("metrics.csv",), "choose another --out"),
    ],
)
def test_anything_else_in_a_folder_is_kept(names: tuple[str, ...], remedy: str, tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "my run", *names)
    with pytest.raises(InputError, match=remedy) as refusal:
        require_new(folder)
    assert "--resume '" in str(refusal.value), "a path with a space is not quoted"
    assert {path.name for path in folder.iterdir()} == set(names)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match=f"cannot write in '{tmp_path}' .No space left on device"), claimed(tmp_path):
        pass
