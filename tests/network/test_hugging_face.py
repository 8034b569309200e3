"""Folders of Hugging Face form, read from disk, against transformers itself."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.forms import form_of, open_network
from fcrn_mobile.network.hugging_face import DepthProInMetres
from fcrn_mobile.runtimes import open_runtime
from tests.depth_families import FAMILIES, save_folder

MEANS = {"depth_anything": "inverse", "dpt": "inverse", "glpn": "metres", "zoedepth": "metres"}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_folder_becomes_a_package_that_gives_what_transformers_gives(name: str, tmp_path: Path) -> None:
    original, family = save_folder(name, tmp_path / name), FAMILIES[name]
    height, width = family.size
    network = open_network(f"{tmp_path / name}?size={height}x{width}")
    assert (network.name, network.kind, network.contract.depth) == (name, type(original).__name__, MEANS[name])
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    mean, std = (np.array(family.preparation.get(key, [other] * 3)) for key, other in (("image_mean", 0.5), ("image_std", 0.5)))
    if name == "glpn":
        mean, std = np.zeros(3), np.ones(3)
    pixels = torch.from_numpy(((picture / 255 - mean) / std).transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        expected = original(pixels).predicted_depth.reshape(height, width).numpy()
    export(network, make_recipe({"precision": "fp32", "output": "array"}, "test"), tmp_path / "net.mlpackage")
    for model, backend in ((f"{tmp_path / name}?size={height}x{width}", "torch"), (str(tmp_path / "net.mlpackage"), "mil")):
        runtime = open_runtime(model, backend, "float32")
        np.testing.assert_allclose(runtime.predict(picture), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_its_usual_size_is_the_preparations(tmp_path: Path) -> None:
    save_folder("dpt", tmp_path)
    config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(config | {"size": {"height": 96, "width": 96}, "rescale_factor": 1.0, "ensure_multiple_of": 1})
    )
    network = open_network(str(tmp_path))
    assert network.input_size == (96, 96)
    # Pixels are left in 0..255: (255·x - 0.5) / 0.5 of x in 0..1.
    np.testing.assert_allclose(network.contract.mean or (), [0.5 / 255] * 3)
    np.testing.assert_allclose(network.contract.std or (), [0.5 / 255] * 3)
    with pytest.raises(InputError, match=r"does not take 100x96 pixels .*give one that it takes, multiples of 16$"):
        open_network(f"{tmp_path}?size=100x96")
    with pytest.raises(InputError, match=r"does not run on a picture of 64x96 pixels \(RuntimeError"):
        open_network(f"{tmp_path}?size=64x96")  # transformers' DPT is for squares


def test_the_hash_is_of_the_preparation_too(tmp_path: Path) -> None:
    """Another mean makes another package of the same weights."""
    save_folder("glpn", tmp_path)
    names = ("config.json", "preprocessor_config.json", "model.safetensors")
    whole = hashlib.sha256(b"".join((tmp_path / name).read_bytes() for name in names)).hexdigest()
    assert open_network(str(tmp_path)).sha256 == whole
    (tmp_path / names[1]).write_text(json.dumps({"do_normalize": True, "image_mean": [0.1] * 3}))
    assert open_network(str(tmp_path)).sha256 != whole


def test_what_is_missing_or_of_another_kind_is_named(tmp_path: Path) -> None:
    def refusal() -> str:
        with pytest.raises(InputError) as error:
            open_network(str(tmp_path))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert form_of(str(tmp_path)) is not None
    assert "no config.json in" in refusal()
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "has no model.safetensors" in refusal()
    save_folder("dpt", tmp_path)
    whole = (tmp_path / "config.json").read_text()
    (tmp_path / "preprocessor_config.json").unlink()
    assert "no preprocessor_config.json in" in refusal()
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "is of the type 'bert', no depth estimator: transformers has" in refusal()
    (tmp_path / "config.json").write_text(whole.replace('"num_hidden_layers": 4', '"num_hidden_layers": 5'))
    assert "lacks weights that fit: " in refusal()
    (tmp_path / "config.json").write_text("[")
    assert "config.json' is not readable JSON" in refusal()
    (tmp_path / "config.json").write_text(whole)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    assert "transformers cannot read" in refusal()


@pytest.mark.parametrize(
    "damage",
    [
        {"size": {"height": "wide", "width": 64}},
        {"size": {"height": None, "width": 64}},
        {"image_mean": 0.5},
        {"image_std": [0.5, "x", 0.5]},
        {"rescale_factor": "1/255"},
        {"ensure_multiple_of": "14"},
    ],
    ids=str,
)
def test_a_preparation_of_wrong_values_is_named(damage: dict[str, object], tmp_path: Path) -> None:
    save_folder("dpt", tmp_path)
    config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config | damage))
    with pytest.raises(InputError, match=r"preprocessor_config.json' has a value of a wrong kind \(.*\): download it again"):
        open_network(str(tmp_path))


@pytest.mark.parametrize("fov", [None, 40.0])
def test_depth_pro_is_in_metres(fov: float | None) -> None:
    inverse = torch.rand(1, 4, 6) + 0.1

    class Fake(nn.Module):
        def forward(self, _: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(predicted_depth=inverse, field_of_view=None if fov is None else torch.tensor([fov]))

    depth = DepthProInMetres(Fake())(torch.zeros(1, 3, 4, 6))["predicted_depth"]
    # Its authors: focal = 0.5·width / tan(fov / 2), inverse depth times width / focal.
    width = 1536
    focal = width if fov is None else 0.5 * width / np.tan(0.5 * np.deg2rad(fov))
    np.testing.assert_allclose(depth[0], 1 / (inverse * width / focal), rtol=1e-5)
