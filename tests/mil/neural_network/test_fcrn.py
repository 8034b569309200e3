"""FCRN as a neural network, held against ours by the commands that people use."""

import json
from pathlib import Path

import numpy as np
import torch
from click.testing import CliRunner

from fcrn_mobile.cli.main import main
from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from tests.mil.neural_network.build import save
from tests.mil.neural_network.fcrn import as_neural_network


def _json(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(main, [*arguments, "--json", "-"])
    assert result.exit_code == 0, result.output
    facts: dict[str, object] = json.loads(result.stdout)
    return facts


def test_fcrn_as_a_neural_network_drifts_from_ours_by_rounding_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = preset("fcrn-resnet50-caffe", encoder="resnet18", widths=(16, 8, 8, 8, 8), input_size=(64, 96))
    network = FCRN(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)  # type: ignore[arg-type]
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)  # type: ignore[arg-type]
    torch.nn.init.constant_(network.head.bias, 3.0)  # type: ignore[arg-type]
    reference, candidate = tmp_path / "ours.safetensors", save(as_neural_network(network), tmp_path)
    save_checkpoint(network.eval(), reference)

    facts = _json("inspect", str(candidate))
    assert facts["inputs"] == ["image: RGB image 64×96."]
    assert facts["outputs"] == ["depthmap: DOUBLE array 1×32×48."]
    operators = facts["operators"]
    assert isinstance(operators, dict)
    assert operators["conv"] == sum(isinstance(module, torch.nn.Conv2d) for module in network.modules())
    assert operators["depth_to_space"] == 8
    assert facts["unsupported"] == []

    single = _json("validate", str(reference), str(candidate), "--data", "sample#val", "--arithmetic", "float32")
    half = _json("validate", str(reference), str(candidate), "--data", "sample#val")
    drifts = [report["candidates"][0]["fidelity"]["abs_rel"] for report in (single, half)]  # type: ignore[index]
    assert drifts[0] < 1e-5 < drifts[1] < 1e-2
    assert np.isfinite(drifts).all()
