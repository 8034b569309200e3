"""``export --scale``: metres by a measured scale, folded into the network; the contract says so, and fidelity is of the same depth."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.spec import open_images
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.focus import network_camera
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.deploy import deploy, rescaled
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig, preset
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.drift import validate
from tests.journeys.command import call, refused

__all__ = ["call"]

SIZE = (64, 96)
PLAIN = preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=SIZE)


def network(config: FCRNConfig = PLAIN) -> FCRN:
    torch.manual_seed(0)
    net = FCRN(config).eval()
    torch.nn.init.constant_(net.head.bias, 3.0)  # type: ignore[arg-type]
    return net


def saved(folder: Path) -> Checkpoint:
    save_checkpoint(network(), folder / "net.safetensors", TrainingRecord(depth=UP_TO_SCALE, data="nyu-mat:a.mat"))
    return load_checkpoint(str(folder / "net.safetensors"))


@pytest.mark.parametrize("changes", [{}, {"head_relu": True}, {"inverse_depth": (10.0, 0.1)}])
def test_depth_is_multiplied_whatever_the_head(changes: dict) -> None:
    net = network(dataclasses.replace(PLAIN, **changes))
    image = torch.rand(1, 3, *SIZE)
    with torch.inference_mode():
        torch.testing.assert_close(rescaled(deploy(net), 2.5)(image), 2.5 * net(image), rtol=1e-4, atol=1e-5)


def test_a_package_in_metres_says_so_and_drifts_no_more_than_one_without(tmp_path: Path) -> None:
    checkpoint, reference = saved(tmp_path), None
    for name, scale in (("plain", None), ("scaled", 1.75)):
        export(checkpoint, Recipe(input_size=SIZE, scale=scale), tmp_path / f"{name}.mlpackage")
    reference = open_runtime(str(tmp_path / "net.safetensors"))
    plain, scaled = (open_runtime(str(tmp_path / f"{name}.mlpackage")) for name in ("plain", "scaled"))
    image = open_source("sample#val")[0].image
    np.testing.assert_allclose(scaled.predict(image), 1.75 * plain.predict(image), rtol=3e-3)
    written = Metadata.from_dict(scaled.metadata)
    contract = written.depth_contract()
    assert contract is not None
    assert (contract.depth, contract.camera, written.settings()["scale"]) == ("metres", None, 1.75)
    camera = network_camera(scaled.metadata)
    assert camera is not None and camera.focal_px is None  # the training data's is not the one that was measured with
    assert "scale" not in Metadata.from_dict(plain.metadata).settings()
    result = validate(reference, [plain, scaled], open_images("sample#val"), None)
    assert result.candidates[1].fidelity.abs_rel == pytest.approx(result.candidates[0].fidelity.abs_rel, abs=1e-3)
    assert result.candidates[1].fidelity.abs_rel < 0.01
    assert make_recipe(Recipe(scale=1.75).to_json(), "x").scale == 1.75


def test_a_package_that_is_compressed_keeps_its_scale(tmp_path: Path) -> None:
    checkpoint = saved(tmp_path)
    export(checkpoint, Recipe(input_size=SIZE, precision="fp32", scale=2.0), tmp_path / "scaled.mlpackage")
    package = open_float_package(tmp_path / "scaled.mlpackage")
    compress_package(package, package_recipe(package, Recipe(precision="int8"), correct=False), tmp_path / "int8.mlpackage")
    packed, scaled, net = (open_runtime(str(tmp_path / name)) for name in ("int8.mlpackage", "scaled.mlpackage", "net.safetensors"))
    assert Metadata.from_dict(packed.metadata).settings()["scale"] == 2
    for reference in (scaled, net):
        (drift,) = validate(reference, [packed], open_images("sample#val"), None).candidates
        assert drift.fidelity.abs_rel < 0.05


def test_the_command_line_folds_it_and_refuses_what_is_none(call, tmp_path: Path) -> None:
    saved(tmp_path)
    words = ("export", "net.safetensors", "--out")
    for text in ("0", "-1", "nan", "inf"):
        refused(call(*words, "a.mlpackage", "--scale", text), "give what depth is multiplied by, a number above 0")
    assert not (tmp_path / "a.mlpackage").exists()
    result = call(*words, "a.mlpackage", "--precision", "fp32", "--scale", "2", "--json", "facts.json")
    assert (result.returncode, "depth in metres" in result.stdout) == (0, True), result.stderr
    assert json.loads((tmp_path / "facts.json").read_text())["recipe"]["scale"] == 2
    checked = call("validate", "net.safetensors", "a.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.001")
    assert (checked.returncode, "alignment median" in checked.stdout) == (0, True), checked.stdout + checked.stderr
    looked = call("diagnose", "net.safetensors", "a.mlpackage", "--data", "sample#val", "--images", "1", "--arithmetic", "float32")
    assert "verdict: no drift" in looked.stdout, looked.stdout + looked.stderr


def test_another_network_than_an_fcrn_has_no_last_convolution_of_ours() -> None:
    with pytest.raises(InputError, match="scale = 2 is folded into the last convolution of an FCRN"):
        rescaled(torch.nn.Conv2d(3, 1, 1), 2.0)
