"""``run`` over several steps: a state is kept from one to the next, and every step's outputs have a folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fcrn_mobile.cli.main import main
from fcrn_mobile.errors import InputError
from tests.mil.build import mb, save_program


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Y is the sum of all x so far, plus z."""

    def body(x0: Any, x1: Any, s0: Any) -> Any:
        return mb.add(x=mb.coreml_update_state(state=s0, value=mb.add(x=mb.read_state(input=s0), y=x0)), y=x1, name="y")

    return save_program(tmp_path_factory.mktemp("p"), body, [np.zeros(2, np.float16)] * 2, "iOS18", [(2,)])


def run(package: Path, folder: Path, x: Path, *words: str) -> Result:
    np.save(folder / "z.npy", np.float32([0.5, 0]))
    inputs = ["--input", f"x0={x}", "--input", f"x1={folder / 'z.npy'}"]
    return CliRunner().invoke(main, ["run", str(package), *inputs, "--out", str(folder / "out"), *words])


def frames(folder: Path, *values: float) -> Path:
    (folder / "x").mkdir()
    for number, value in enumerate(values):
        np.save(folder / "x" / f"frame{number * 5}.npy", np.float32([value, 1]))
    (folder / "x" / ".hidden").write_text("no file of a sequence")
    return folder / "x"


def test_a_folder_is_a_sequence(package: Path, tmp_path: Path) -> None:
    values = [3.0, -1, 2]
    result = run(package, tmp_path, frames(tmp_path, *values), "--json", str(tmp_path / "facts.json"))
    assert result.exit_code == 0, result.output
    outs = [np.load(tmp_path / "out" / f"{number:04d}" / "y.npy") for number in range(3)]
    np.testing.assert_array_equal(outs, np.stack([np.cumsum(values) + 0.5, [1, 2, 3]], 1))
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert [step["outputs"][0]["max"] for step in facts["steps"]] == [3.5, 2.5, 4.5]
    assert [step["overflow"] for step in facts["steps"]] == [None] * 3
    assert [f"step {number:04d}" in result.output for number in range(4)] == [True, True, True, False]
    assert isinstance(run(package, tmp_path, tmp_path / "x").exception, InputError), "outputs of every step are kept"
    assert run(package, tmp_path, tmp_path / "x", "--force").exit_code == 0


def test_steps_repeat_one_file_and_one_step_is_none(package: Path, tmp_path: Path) -> None:
    x = frames(tmp_path, 2) / "frame0.npy"
    assert run(package, tmp_path, x, "--steps", "12").exit_code == 0
    assert np.load(tmp_path / "out/0011/y.npy").tolist() == [24.5, 12]
    assert run(package, tmp_path, x).exit_code == 0
    assert np.load(tmp_path / "out/y.npy").tolist() == [2.5, 1]


@pytest.mark.parametrize(
    ("values", "words", "message"),
    [
        ([1, 2], ["--steps", "3"], "has 2 files for input 'x0', there are 3 steps"),
        ([], [], "x' has no files"),
        ([1, 2, None], [], "input 'x0' has shape 3, the package takes 2"),
    ],
)
def test_what_is_wrong_with_a_sequence_is_said_before_anything_is_written(
    values: list[float | None], words: list[str], message: str, package: Path, tmp_path: Path
) -> None:
    folder = frames(tmp_path, *(value or 0 for value in values))
    if None in values:
        np.save(folder / f"frame{5 * (len(values) - 1)}.npy", np.zeros(3, np.float32))
    result = run(package, tmp_path, folder, *words)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_folders_have_as_many_files_each(package: Path, tmp_path: Path) -> None:
    x = frames(tmp_path, 1, 2)
    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "only.npy", np.zeros(2, np.float32))
    words = ["run", str(package), "--input", f"x0={x}", "--input", f"x1={other}", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert "has 1 files for input 'x1', there are 2 steps" in str(result.exception)
