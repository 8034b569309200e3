import json
from collections.abc import Callable
from pathlib import Path

from tests.journeys.command import Result, refused


def test_the_plain_preset_serves_every_command(call: Callable[..., Result], tmp_path: Path) -> None:
    words = "train --data sample --preset fcrn-plain --encoder-weights random --input-size 64x96 --epochs 1 --out run"
    trained = call(*words.split())
    assert trained.returncode == 0, trained.stderr
    checkpoint = "run/best.safetensors"
    seen = json.loads(call("inspect", checkpoint, "--json", "-").stdout)
    assert seen["network"]["preset"] == "fcrn-plain"
    assert seen["macs"] > 0
    assert call("evaluate", checkpoint, "--data", "sample#val").returncode == 0
    assert call("export", checkpoint, "--precision", "fp16", "--out", "plain.mlpackage").returncode == 0
    assert json.loads(call("inspect", "plain.mlpackage", "--json", "-").stdout)["macs"] == seen["macs"]
    checked = call("validate", checkpoint, "plain.mlpackage", "--data", "sample#val", "--json", "-")
    assert checked.returncode == 0, checked.stderr
    assert json.loads(checked.stdout)["candidates"][0]["fidelity"]["psnr_db"] > 40


def test_the_plain_preset_says_that_it_has_no_imagenet_weights(call: Callable[..., Result], tmp_path: Path) -> None:
    refused(call("train", "--data", "sample", "--preset", "fcrn-plain", "--out", "run"), "no ImageNet weights", "--encoder-weights random")
    assert not (tmp_path / "run").exists()
