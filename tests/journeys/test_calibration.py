"""Export with int8 activations, and validation on frames that it has not seen."""

from pathlib import Path

import pytest

from fcrn_mobile.mil import Program
from tests.journeys.command import refused

RECIPES = Path(__file__).parents[2] / "export"


def test_w8a8_is_exported_with_calibration_and_refuses_to_be_validated_on_it(call, tmp_path) -> None:
    words = ("export", "builtin", "--recipe", str(RECIPES / "w8a8.toml"), "--calibration-images", "2", "--out", "a.mlpackage")
    made = call(*words)
    assert made.returncode == 0, made.stderr
    assert "calibrated on 2 images of sample#train, seed 0\nwarning: that is the built-in sample, 'builtin' was trained on " in made.stdout
    kinds = [operation.kind for operation in Program.load(tmp_path / "a.mlpackage").operations]
    assert kinds.count("quantize") > 50
    refused(call("validate", "builtin", "a.mlpackage", "--data", "sample"), "is one of the calibration images")
    held = call("validate", "builtin", "a.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.2")
    assert held.returncode == 0, held.stdout + held.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precision", "w8a8"], "give --calibration SPEC#split"),
        (["--precision", "w8a8", "--calibration", "sample#test"], "unknown split '#test'"),
        (["--precision", "w8a8", "--calibration", "sample", "--calibration-images", "0"], "calibration.images is 0"),
        (["--precision", "w8a8", "--calibration", "sample#val"], "holds 4"),
        (["--precision", "fp16", "--calibration", "sample"], "calibration means nothing here"),
    ],
)
def test_bad_calibration_is_one_line_and_leaves_nothing(call, tmp_path, words, message) -> None:
    refused(call("export", "builtin", *words, "--out", "a.mlpackage"), message)
    assert not list(tmp_path.iterdir())
