"""Alignment and range on the command line: named in tables, JSON and pages, the same for all that is compared."""

import json
from pathlib import Path

import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from tests.journeys.command import refused


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A tiny network whose depth is known up to a scale, and its package."""
    torch.manual_seed(0)
    network = FCRN(preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=(64, 96))).eval()
    torch.nn.init.constant_(network.head.bias, 3.0)  # type: ignore[arg-type]
    save_checkpoint(network, tmp_path / "net.safetensors", TrainingRecord(depth=UP_TO_SCALE))
    export(load_checkpoint(str(tmp_path / "net.safetensors")), Recipe(input_size=(64, 96)), tmp_path / "a.mlpackage")
    return tmp_path


def test_the_alignment_is_named_wherever_figures_are(call, net: Path) -> None:
    words = ("net.safetensors", "--data", "sample#val")
    for options, alignment in (((), "median"), (("--align", "scale-shift-inverse"), "scale-shift-inverse")):
        result = call("evaluate", *words, *options, "--json", "evaluation.json")
        assert result.returncode == 0, result.stderr
        assert f"to 10 m\nalignment {alignment}\n" in result.stdout
        facts = json.loads((net / "evaluation.json").read_text())
        assert (facts["metrics"]["alignment"], facts["rule"]["alignment"]) == (alignment, alignment)
    options = ("--align", "scale-shift", "--min-depth", "0.5", "--max-depth", "6", "--json", "drift.json", "--html", "page.html")
    options += ("--align-fidelity",)
    result = call("validate", "net.safetensors", "a.mlpackage", *words[1:], *options)
    assert result.returncode == 0, result.stderr
    assert "images, protocol eigen 0.5 to 6 m, alignment scale-shift\n" in result.stdout
    assert "brought to the truth (scale-shift), image by image" in result.stdout
    facts = json.loads((net / "drift.json").read_text())
    assert (facts["protocol"], facts["rule"]["alignment"], facts["rule"]["max_depth"]) == ("eigen 0.5 to 6 m", "scale-shift", 6)
    metrics = [facts["reference"]["metrics"], facts["candidates"][0]["metrics"]]
    assert [values["alignment"] for values in metrics] == ["scale-shift"] * 2
    assert (facts["fidelity_alignment"], facts["candidates"][0]["fit"]["alignment"]) == ("median", "median")
    assert "a: its depth is " in result.stdout
    assert "0.5 to 6 m; alignment scale-shift" in (net / "page.html").read_text()
    assert "boundary_drift" in (net / "page.html").read_text()


def test_edges_can_be_a_budget(call, net: Path) -> None:
    words = ("validate", "net.safetensors", "a.mlpackage", "--data", "sample#val", "--budget")
    held = call(*words, "boundary_drift=0.9")
    assert (held.returncode, "budget boundary_drift=0.9 held" in held.stdout) == (0, True), held.stderr
    result = call(*words, "boundary_drift=0.000001", "--json", "drift.json")
    drift = json.loads((net / "drift.json").read_text())["candidates"][0]["fidelity"]["boundary_drift"]
    assert (result.returncode, drift > 1e-6) in ((1, True), (0, False))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--align", "affine"], "'affine'"),
        (["--align", "none"], "known up to a scale only, not in metres: evaluate it with --align median"),
        (["--min-depth", "5", "--max-depth", "2"], "the range of depth is 5 to 2 m"),
        (["--max-depth", "far"], "'far' is not a valid float"),
    ],
)
def test_bad_use_is_one_line(call, net: Path, options: list[str], message: str) -> None:
    for words in (
        ("evaluate", "net.safetensors"),
        ("validate", "net.safetensors", "a.mlpackage"),
        ("tune", "net.safetensors", "--out", "tuned", "--budget", "fidelity=0.1"),
    ):
        refused(call(*words, "--data", "sample#val", *options), message)
    refused(
        call("evaluate", "net.safetensors", "--data", "sample#val", "--median-scaling", "--align", "scale-shift"), "--median-scaling is"
    )
    assert not (net / "tuned").exists()


def test_models_of_different_depth_do_not_compare(call, net: Path) -> None:
    message = "the depth of 'a' is up to scale, that of the reference 'builtin' metres: they do not compare"
    refused(call("validate", "builtin", "a.mlpackage", "--data", "sample#val"), message)
