"""The wheel as people get it, built from this checkout and unpacked where nothing else of the project lies."""

import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["ROOT", "unpacked_wheel"]

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="session")
def unpacked_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for ``PYTHONPATH``; the build backend is had from the package index, and where that isn't reached the tests say so."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run([*PIP, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], capture_output=True, text=True, check=False)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip(f"the build backend cannot be had: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"
