"""Commands as a user types them: as a process of their own, or in this one where starting torch for each would take minutes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcrn_mobile.cli.main import run

COMMAND = [sys.executable, "-m", "fcrn_mobile"]

Result = subprocess.CompletedProcess[str]


def fcrn(*words: str, cwd: Path) -> Result:
    """Run a command as a process."""
    return subprocess.run([*COMMAND, *words], cwd=cwd, capture_output=True, text=True, check=False)


def refused(result: Result, *words: str) -> None:
    """One line on standard error with the given words, exit code 2, nothing on standard output."""
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command in this process, in the test's folder, through the same entry point: output and exit code as a process has them."""

    def in_process(*words: str) -> Result:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["fcrn-mobile", *words])
        capfd.readouterr()
        code = 0
        try:
            run()
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, error = capfd.readouterr()
        return subprocess.CompletedProcess(["fcrn-mobile", *words], code, out, error)

    return in_process
