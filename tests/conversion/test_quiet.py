"""Silence of coremltools, and of nothing else."""

import io
import re
import sys
import time
from pathlib import Path

import pytest

from fcrn_mobile.cli.common import progress
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.quiet import quiet_coremltools


class Terminal(io.StringIO):
    """Standard error as a terminal has it."""

    def isatty(self) -> bool:
        return True


def test_what_others_write_is_seen(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_coremltools():
        import coremltools as ct

        print("to output")
        print("to error", file=sys.stderr)
        ct.optimize.coreml.OptimizationConfig(global_config=ct.optimize.coreml.OpLinearQuantizerConfig())
    assert capfd.readouterr() == ("to output\n", "to error\n")


def test_bars_of_others_are_drawn_again_afterwards() -> None:
    from coremltools.optimize.coreml import _quantization_passes

    drawn = _quantization_passes.tqdm
    with quiet_coremltools():
        assert _quantization_passes.tqdm is not drawn
        list(_quantization_passes.tqdm(range(3), file=(silent := io.StringIO())))
    assert silent.getvalue() == ""
    assert _quantization_passes.tqdm is drawn


@pytest.mark.parametrize("values", [{"precision": "int8", "correct": {}}, {"precision": "w8a8"}])
def test_the_bar_moves_during_export_and_coremltools_is_silent(
    values: dict, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One step waits for the bar's next drawing, which happens ten times a second."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=(32, 32))).eval()
    recipe = make_recipe(values | {"calibration": {"data": "sample", "images": 3}}, "test")
    waited: list[str] = []
    with progress("correct") as on_step:

        def step(done: int, total: int) -> None:
            on_step(done, total)
            if done == 2:
                time.sleep(0.5)
                waited.append(f"{done}/{total}")

        export(Checkpoint("net", network), recipe, tmp_path / "a.mlpackage", on_image=step)
    assert waited
    text = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue())
    assert waited[0] in text
    assert not re.search("MIL|passes|ops/s|Converting|Quantiz|WARNING", text)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("precision", ["palette4", "sparse50-int8"])
def test_conversion_says_nothing(precision: str, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=(32, 32))).eval()
    export(Checkpoint("net", network), make_recipe({"precision": precision}, "test"), tmp_path / "a.mlpackage")
    export(Checkpoint("net", network), make_recipe({"precision": "fp32", "output": "array"}, "test"), tmp_path / "a.onnx")
    assert capfd.readouterr() == ("", "")
