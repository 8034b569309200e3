"""What packages are tuned from, and by which contract."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.float_network import outside_network
from fcrn_mobile.tuning import origin as module
from fcrn_mobile.tuning.origin import Origin, open_origin
from tests.mil.build import mb, save_program

IMAGE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
WEIGHTS = np.random.default_rng(1).random((1, 3, 3, 3)).astype(np.float32)


def _conv(x0: Any) -> Any:
    return mb.conv(x=x0, weight=WEIGHTS, pad_type="same", name="depth")


def test_a_package_is_tuned_by_the_model_config_that_is_named(tmp_path: Path) -> None:
    package = save_program(tmp_path, _conv, [np.zeros((1, 3, 8, 12), np.float32)])
    depths = {}
    for name, channels in (("rgb", "RGB"), ("bgr", "BGR")):
        config = tmp_path / f"{name}.toml"
        config.write_text(f"depth = 'scale'\nmean = 0\nstd = 1\nchannels = '{channels}'\n")
        origin = open_origin(str(package), config)
        assert origin.contract is not None
        assert (origin.contract.depth, origin.contract.channels) == ("scale", channels)
        depths[name] = origin.runtime().predict(IMAGE)
    mirrored = open_origin(str(package), tmp_path / "rgb.toml").runtime().predict(np.ascontiguousarray(IMAGE[..., ::-1]))
    np.testing.assert_array_equal(depths["bgr"], mirrored)
    assert not np.array_equal(depths["rgb"], mirrored)


def test_a_network_says_itself_what_it_takes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'own.toml' is for packages, and 'builtin' is a network: leave it out"):
        open_origin("builtin", Path("own.toml"))
    with pytest.raises(InputError, match=r"is a network: write it into the name, net:make\?size=8x8&config=own.toml"):
        open_origin("net:make?size=8x8", Path("own.toml"))


def test_what_a_hash_does_not_cover_is_known_apart() -> None:
    """Else a search of the same weights at another size or by another config would go on with measurements that are not its own."""
    torch.manual_seed(0)
    network, parts = torch.nn.Conv2d(3, 1, 1), []
    for size, mean in (((8, 8), 0.5), ((8, 16), 0.5), ((8, 8), 0.25)):
        contract = DepthContract.from_dict({"depth": "scale", "mean": mean, "std": 1})
        parts.append(Origin("net", outside_network("net", network, contract, size, Path("net.pth"), "0" * 64)).apart)
    assert parts[0] == {"input_size": [8, 8], "contract": {"depth": "scale", "mean": [0.5] * 3, "std": [1.0] * 3}}
    assert parts[0] != parts[1] != parts[2] != parts[0]
    assert open_origin("builtin").apart == {}


@pytest.mark.parametrize("force", [False, True])
def test_a_package_may_keep_all_its_weights(force: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The float candidate of a search is the package as it is."""
    calls: list[Any] = []
    monkeypatch.setattr(module, "package_recipe", lambda package, recipe: ("complete", recipe))
    monkeypatch.setattr(module, "compress_package", lambda *asked, **options: calls.append((asked, options)))
    monkeypatch.setattr(module, "export", lambda *asked: calls.append(asked))
    origin, recipe, out = open_origin(str(save_program(tmp_path, _conv, [np.zeros((1, 3, 8, 12), np.float32)]))), Recipe(), tmp_path / "out"
    origin.write(recipe, out, force)
    assert calls == [((origin.network, ("complete", recipe), out, force), {"may_stay": True})]
    calls.clear()
    network = open_origin("builtin")
    network.write(recipe, out, force)
    assert calls == [(network.network, recipe, out, force)]
    assert [each.title for each in (origin, network)] == [f"package '{origin.model}'", "network 'builtin'"]
    assert origin.sha256 == origin.network.sha256 != network.sha256
