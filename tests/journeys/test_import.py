import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN
from tests.foreign import foreign_network
from tests.journeys.command import Result, refused
from tests.network.tensorflow_fcrn import depth, random_layers, save_as_python_2


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


def test_the_authors_release_is_imported_exported_and_holds_its_budget(call: Callable[..., Result], tmp_path: Path) -> None:
    layers = random_layers()
    depth(layers, 255 * torch.rand(4, 64, 96, 3, dtype=torch.float64), settle=True)
    # Depth of a few metres everywhere, as a trained network gives; near zero any difference would be a large one.
    layers["ConvPred"]["weights"] *= 0.05
    layers["ConvPred"]["biases"] += 3
    save_as_python_2(layers, tmp_path / "NYU_FCRN.npy")
    made = call("import", "NYU_FCRN.npy", "--out", "nyu.safetensors")
    assert made.returncode == 0, made.stderr
    assert "nyu.safetensors  resnet50-caffe with fastproj  228x304" in made.stdout
    # A smaller picture, for time's sake.
    imported = load_checkpoint(str(tmp_path / "nyu.safetensors")).network
    small = FCRN(replace(imported.config, input_size=(64, 96)))
    small.load_state_dict(imported.state_dict())
    save_checkpoint(small, tmp_path / "nyu.safetensors")
    exported = call("export", "nyu.safetensors", "--precision", "fp16", "--out", "nyu.mlpackage")
    assert exported.returncode == 0, exported.stderr
    checked = call("validate", "nyu.safetensors", "nyu.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.01", "--json", "-")
    assert checked.returncode == 0, checked.stderr
    assert 0 < json.loads(checked.stdout)["candidates"][0]["fidelity"]["abs_rel"] < 0.01


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
    np.save(tmp_path / "other.npy", np.array({"fc8": {"weights": np.zeros(2)}}, dtype=object), allow_pickle=True)
    refused(call("import", "other.npy", "--out", "a.safetensors"), "other.npy", "NYU_ResNet-UpProj.npy")
    np.save(tmp_path / "code.npy", np.array({"a": Path("/")}, dtype=object), allow_pickle=True)
    refused(call("import", "code.npy", "--out", "a.safetensors"), "code.npy", "pathlib", "weights have no use for")
    assert not (tmp_path / "a.safetensors").exists()
