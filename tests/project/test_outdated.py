"""When an artefact is exported again."""

from dataclasses import replace
from pathlib import Path

import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.project.outdated import outdated
from fcrn_mobile.quiet import quiet_coremltools
from tests.project.small import save_small

with quiet_coremltools():
    import coremltools as ct


def test_a_package_is_known_by_checkpoint_and_recipe(tmp_path: Path) -> None:
    recipe, path = read_recipe(Path("int8")), tmp_path / "a.mlpackage"
    network = load_checkpoint(str(save_small(tmp_path / "net.safetensors")))
    other = load_checkpoint(str(save_small(tmp_path / "other.safetensors", seed=1)))
    assert outdated(network, recipe, path) == "it was not there"
    export(network, recipe.calibrated_on(None, 1), path)
    # What an export adds to the recipe is no difference.
    assert outdated(network, recipe.calibrated_on(None, 1), path) == ""
    assert outdated(other, recipe.calibrated_on(None, 1), path) == "the checkpoint is another"
    assert outdated(network, replace(recipe, budget={"fidelity": "0.2"}), path) == "the recipe is another (budget, calibration)"
    with quiet_coremltools():
        model = ct.models.MLModel(str(path), skip_model_load=True)
        for key in list(model.user_defined_metadata):
            del model.user_defined_metadata[key]
        model.save(str(tmp_path / "theirs.mlpackage"))
    with pytest.raises(InputError, match=r"theirs\.mlpackage' was not exported by fcrn-mobile"):
        outdated(network, recipe, tmp_path / "theirs.mlpackage")
    next(path.rglob("*.mlmodel")).write_bytes(b"damaged")
    assert outdated(network, recipe, path) == "it cannot be read"


def test_an_onnx_file_is_known_too(tmp_path: Path) -> None:
    network, path = load_checkpoint(str(save_small(tmp_path / "net.safetensors"))), tmp_path / "a.onnx"
    recipe = Recipe(precision="fp32", output="array")
    export(network, recipe, path)
    assert outdated(network, recipe, path) == ""
    assert outdated(network, replace(recipe, input_size=(96, 96)), path) == "the recipe is another (input_size)"
