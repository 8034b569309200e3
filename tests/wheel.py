"""The wheel as people get it, built from this checkout and unpacked where nothing else of the project lies."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = ["ROOT", "unpacked_wheel"]

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="session")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH``, of one worker for all of them.

    The build backend is had from the package index, and where that isn't reached the tests say so.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent
    with FileLock(common / "wheel.lock"):
        if not (common / "wheel/site").exists():
            _unpack(common / "wheel")
    return common / "wheel/site"


def _unpack(folder: Path) -> None:
    built = subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip(f"the build backend cannot be had: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
