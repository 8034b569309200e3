"""The output that stands for an inverse depth: positive, in its range, and no trouble to older checkpoints or to a package."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.runtimes import open_runtime


@pytest.fixture
def network(tiny_config, settle) -> FCRN:
    torch.manual_seed(0)
    network = settle(FCRN(replace(tiny_config, inverse_depth=(10.0, 0.01))))
    network.head.weight.data *= 0.02  # a random network's predictions are as large as no trained one's
    return network


def test_depth_is_the_reciprocal_of_the_scaled_sigmoid(network, tiny_config) -> None:
    plain = FCRN(tiny_config).eval()
    plain.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 96)
    raw = plain(image).double()
    expected = 1 / (10 / (1 + torch.exp(-raw)) + 0.01)
    assert torch.allclose(network(image).double(), expected, rtol=1e-4)
    assert network(image).min() > 1 / 10.01


def test_depth_stays_in_its_range_whatever_the_prediction(network) -> None:
    depth = 1 / network.inverse_depth(torch.tensor([-1e4, -20.0, 0.0, 20.0, 1e4]))
    assert depth.tolist() == pytest.approx([100, 100, 1 / 5.01, 1 / 10.01, 1 / 10.01], rel=1e-4)


def test_a_checkpoint_keeps_its_range(network, tmp_path) -> None:
    save_checkpoint(network, tmp_path / "a.safetensors")
    loaded = load_checkpoint(str(tmp_path / "a.safetensors")).network
    assert loaded.config.inverse_depth == (10.0, 0.01)
    image = torch.rand(1, 3, 64, 96)
    assert torch.equal(loaded(image), network(image))


def test_a_configuration_from_before_means_depth_itself(tiny_config) -> None:
    older = json.loads(json.dumps(asdict(tiny_config)))
    del older["inverse_depth"]
    assert FCRNConfig.from_json(older).inverse_depth is None


@pytest.mark.parametrize("values", [(0.0, 0.01), (10.0, 0.0), (1.0,)])
def test_a_range_that_allows_an_infinite_depth_is_refused(tiny_config, values) -> None:
    with pytest.raises(InputError, match="both positive"):
        replace(tiny_config, inverse_depth=values)


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("fp16", 0.02)])
def test_a_package_computes_the_same_depth(network, precision, tolerance, tmp_path) -> None:
    save_checkpoint(network, tmp_path / "a.safetensors")
    recipe = Recipe(name="x", precision=precision, output="array")
    export(load_checkpoint(str(tmp_path / "a.safetensors")), recipe, tmp_path / "a.mlpackage")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    expected, got = (open_runtime(str(tmp_path / f"a.{kind}")).predict(image) for kind in ("safetensors", "mlpackage"))
    assert np.abs(got / expected - 1).max() < tolerance


def test_the_rewrite_for_deployment_keeps_the_output(network) -> None:
    image = torch.rand(1, 3, 64, 96)
    assert torch.allclose(deploy(network)(image), network(image), rtol=1e-4)
