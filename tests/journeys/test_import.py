import json
from collections.abc import Callable
from pathlib import Path

import torch

from tests.foreign import foreign_network
from tests.journeys.command import Result, refused


def test_a_foreign_checkpoint_is_imported_and_used(call: Callable[..., Result], tmp_path: Path) -> None:
    foreign_network(tmp_path / "model_best.pth.tar", "upSample")
    made = call("import", "model_best.pth.tar", "--out", "mine.safetensors")
    assert made.returncode == 0, made.stderr
    assert "mine.safetensors  resnet18 with upproj  228x304" in made.stdout
    seen = call("inspect", "mine.safetensors", "--json", "-")
    assert json.loads(seen.stdout)["training"]["imported_from"] == "fcrn-pytorch"
    scored = call("evaluate", "mine.safetensors", "--data", "sample", "--json", "-")
    assert scored.returncode == 0, scored.stderr
    assert "abs_rel" in scored.stdout


def test_import_does_not_overwrite_and_gives_json(call: Callable[..., Result], tmp_path: Path) -> None:
    foreign_network(tmp_path / "model.pth", "decoder", "upconv")
    (tmp_path / "mine.safetensors").write_text("precious")
    refused(call("import", "model.pth", "--out", "mine.safetensors"), "exists", "--force")
    assert (tmp_path / "mine.safetensors").read_text() == "precious"
    made = call("import", "model.pth", "--out", "mine.safetensors", "--force", "--format", "sparse-to-dense", "--json", "-")
    facts = json.loads(made.stdout)
    assert facts["network"]["decoder"] == "upconv"
    assert facts["training"]["file"] == "model.pth"


def test_import_answers_bad_input_with_one_line(call: Callable[..., Result], tmp_path: Path) -> None:
    refused(call("import", "missing.pth", "--out", "a.safetensors"), "missing.pth")
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    refused(call("import", "resnet.pth", "--out", "a.safetensors"), "fcrn-mobile train --encoder-weights")
    refused(call("import", "resnet.pth", "--out", "a.pth"), ".safetensors")
    refused(call("import", "resnet.pth", "--out", "a.safetensors", "--format", "onnx"), "onnx", "sparse-to-dense")
    assert not (tmp_path / "a.safetensors").exists()
