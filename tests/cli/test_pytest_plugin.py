"""The plugin of pytest, in a run of pytest of its own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import coremltools as ct
import numpy as np
from coremltools.converters.mil import Builder as mb
from coremltools.models.utils import _is_macos

AT_IMPORT = _is_macos()

@mb.program(input_specs=[mb.TensorSpec((2,))], opset_version=ct.target.iOS16)
def program(x):
    return mb.mul(x=x, y=2.0, name="y")

def test_predict():
    assert AT_IMPORT
    model = ct.convert(program, minimum_deployment_target=ct.target.iOS16)
    assert model.predict({"x": np.array([1, 3], np.float32)})["y"].tolist() == [2, 6]
"""


def run(folder: Path, *options: str) -> str:
    (folder / "test_theirs.py").write_text(TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "fcrn_mobile.cli.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "--tb=line",
        *options,
        str(folder),
    ]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    ).stdout


def test_with_the_option_a_models_predict_is_answered(tmp_path: Path) -> None:
    output = run(tmp_path, "--simulate-core-ml")
    assert "1 passed" in output
    assert "Core ML was simulated in float16 arithmetic: 1 models, 1 predictions, 0 refusals" in output


def test_without_it_nothing_is_changed(tmp_path: Path) -> None:
    output = run(tmp_path)
    assert "1 failed" in output and "simulated" not in output


def test_the_plugin_costs_nothing_where_it_is_not_asked_for() -> None:
    code = "import sys, fcrn_mobile.cli.pytest_plugin; print([name for name in ('torch', 'coremltools', 'numpy') if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("options", [[], ["-p", "fcrn_mobile.cli.pytest_plugin"]])
def test_an_installed_package_brings_the_plugin_once(options: list[str], tmp_path: Path) -> None:
    """As the entry point that pyproject.toml declares, and beside ``-p`` with the same name."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    metadata = tmp_path / "site" / "installed-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\n" + "".join(f"{name} = {module}\n" for name, module in declared.items()))
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    paths = os.pathsep.join([str(ROOT), str(tmp_path / "site")])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, "--simulate-core-ml", str(tmp_path)]
    output = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    ).stdout
    assert "1 passed" in output and "Core ML was simulated" in output
