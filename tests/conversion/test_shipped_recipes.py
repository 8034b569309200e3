"""Every recipe of ``export/`` makes a package that computes what coremltools expands it to."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.conversion.weights import package_weights
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.summary import summarise
from fcrn_mobile.network import efficientnet_lite
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.quiet import quiet_coremltools
from tests.conftest import settled

with quiet_coremltools():
    import coremltools as ct
    from coremltools.optimize import coreml as cto

SHIPPED = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))
SIZE = (64, 96)
#: As the encoder's stages: repeats, output channels, kernel, stride, expansion.
STAGES = ((1, 16, 3, 1, 1), (1, 16, 3, 2, 2), (1, 16, 5, 2, 4), (1, 32, 3, 2, 2), (1, 32, 5, 2, 2))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """A network with every operator of the built-in one, under the same names, and few weights: k-means takes its time."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(efficientnet_lite, "_STAGES", STAGES)
        network = settled(FCRN(preset("fcrn-lite0", widths=(32, 16, 16, 8, 8), input_size=SIZE)))
    # Depth around 3 m.
    with torch.no_grad():
        network.head.weight *= 0.5 / network(torch.rand(2, 3, *SIZE)).std()
        network.head.bias += 3 - network(torch.rand(2, 3, *SIZE)).mean()
    return Checkpoint("small", network)


def with_images(recipe: Recipe) -> Recipe:
    """Corrected and calibrated where it can be, so that what this writes into the package is covered too."""
    return recipe.calibrated_on("sample#train", 2) if recipe.correct or recipe.activations == "int8" else recipe


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_package_equals_its_decompressed_twin(path: Path, checkpoint: Checkpoint, tmp_path: Path) -> None:
    recipe = with_images(read_recipe(path))
    package, twin = tmp_path / "package.mlpackage", tmp_path / "twin.mlpackage"
    export(checkpoint, recipe, package)
    with quiet_coremltools():
        # What is on disk, not what is in memory, is what a phone gets.
        cto.decompress_weights(ct.models.MLModel(str(package), skip_model_load=True)).save(str(twin))
    kinds, expanded = (set(summarise(each).operators) for each in (package, twin))
    assert any(kind.startswith("constexpr_") for kind in kinds) == any(
        weight.stored not in ("fp16", "fp32") for weight in package_weights(package)
    )
    assert not any(kind.startswith("constexpr_") for kind in expanded)
    assert ("quantize" in expanded) == (recipe.activations == "int8")
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    ours, theirs = (Program.load(each, "float16").predict({"image": image}) for each in (package, twin))
    assert ours.keys() == theirs.keys()
    for name, depth in ours.items():
        assert np.isfinite(depth).all()
        assert depth.std() > 0.01
        np.testing.assert_allclose(depth, theirs[name], rtol=2e-3, atol=0)
