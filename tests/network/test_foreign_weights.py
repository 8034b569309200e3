"""Weights are found beneath whatever containers and wrappers a training script puts them."""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.foreign_pickle import read_torch_file
from fcrn_mobile.network.foreign_weights import networks
from fcrn_mobile.network.importers import import_network
from tests.foreign import foreign_network

SIGNS = ("layer1.0.conv1.weight", "upSample.layer")
KEYS = ("conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.running_mean", "upSample.layer1.conv.weight", "conv3.weight")
PARAMETERS = tuple(key for key in KEYS if "running" not in key)


def state(value: float = 0.0, prefix: str = "", keys: tuple[str, ...] = KEYS) -> dict[str, torch.Tensor]:
    return {prefix + key: torch.tensor([value, index]) for index, key in enumerate(keys)}


def read(content: object, path: Path) -> list[Any]:
    torch.save(content, path)
    return networks(read_torch_file(path).groups, SIGNS)


def nested(*keys: str) -> Callable[[object], object]:
    def within(content: object) -> object:
        for key in reversed(keys):
            content = {key: content, "epoch": 7, "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}}}
        return content

    return within


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "network.", "module._orig_mod.model.", "depth_net.module."])
@pytest.mark.parametrize(
    "keys", [(), ("model_state_dict",), ("net",), ("weights",), ("state_dict", "model"), ("checkpoint", "network", "params")], ids=".".join
)
def test_weights_are_found_in_any_container_behind_any_prefix(keys: tuple[str, ...], prefix: str, tmp_path: Path) -> None:
    (found,) = read(nested(*keys)(state(prefix=prefix) | {f"{prefix}upSample.module.layer2.w": torch.ones(1)}), tmp_path / "a.pth")
    assert set(found.tensors) == {*KEYS, "upSample.layer2.w"}
    assert not found.is_average


def test_what_stands_beside_the_network_is_none_of_it(tmp_path: Path) -> None:
    (found,) = read(
        {"state_dict": state(prefix="model.") | {"loss.weight": torch.ones(1), "n_averaged": torch.ones(1)}}, tmp_path / "a.pth"
    )
    assert set(found.tensors) == set(KEYS)
    assert found.place == "state_dict: model."


@pytest.mark.parametrize("name", ["ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema.shadow", "swa"])
def test_a_moving_average_comes_first(name: str, tmp_path: Path) -> None:
    average = nested(*name.split("."))(state(2.0))
    assert isinstance(average, dict)
    average, plain = read({"model": state(1.0)} | average, tmp_path / "a.pth")
    assert (average.is_average, plain.is_average) == (True, False)
    assert float(average.tensors["conv3.weight"][0]) == 2
    assert plain.place == "model"


def test_averages_of_parameters_take_the_buffers_of_their_network(tmp_path: Path) -> None:
    content = {"model": state(1.0, "module."), "ema": {"decay": 0.9, "shadow": state(2.0, keys=PARAMETERS)}}
    average, _ = read(content, tmp_path / "a.pth")
    assert {key: float(value[0]) for key, value in average.tensors.items()} == dict.fromkeys(PARAMETERS, 2.0) | {KEYS[2]: 1.0}


def test_two_networks_in_one_state_dict_are_told_apart(tmp_path: Path) -> None:
    online, average = state(1.0, "online_model."), state(2.0, "ema_model.")
    assert [one.place for one in read(online | average, tmp_path / "a.pth")] == ["ema_model.", "online_model."]


class Bag:
    """An object of a training script's own."""

    def __init__(self, **attributes: object) -> None:
        self.__dict__ |= attributes


def test_networks_in_objects_and_lists_are_found(tmp_path: Path) -> None:
    trainer = Bag(args=argparse.Namespace(lr=1.0), shadow=state(2.0))
    trainer.self = trainer  # type: ignore[attr-defined]
    assert [one.place for one in read([3, {"trainer": trainer}], tmp_path / "a.pth")] == ["1.trainer.shadow"]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.ModuleDict({"conv1": nn.Conv2d(1, 1, 1)}))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
        self.frozen.note = "a parameter with an attribute is pickled by another function"  # type: ignore[attr-defined]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.frozen.sum()


def test_pickled_and_scripted_networks_give_their_state_dict(tmp_path: Path) -> None:
    network = Net()
    torch.save({"net": network, "copy": copy.deepcopy(network)}, tmp_path / "pickled.pth")
    groups = read_torch_file(tmp_path / "pickled.pth").groups
    assert [group.place for group in groups] == ["net", "copy"]
    for group in groups:
        assert {key: value.tolist() for key, value in group.tensors.items()} == {k: v.tolist() for k, v in network.state_dict().items()}
    scripted = nn.Module()
    scripted.layer1 = nn.Conv2d(2, 3, 1)
    traced = torch.jit.trace_module(nn.Sequential(scripted.layer1), {"forward": torch.zeros(1, 2, 1, 1)})
    traced.save(str(tmp_path / "scripted.pt"))
    (group,) = read_torch_file(tmp_path / "scripted.pt").groups
    assert torch.equal(group.tensors["0.weight"], scripted.layer1.weight)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"shadow_params": [torch.ones(2), torch.ones(3)]}, ["2 tensors (under shadow_params: 0, 1)"]),
        ({"model": {"features.0.weight": torch.ones(2)}, "b": torch.ones(1)}, ["2 tensors", "under model: features.0.weight", "(b;"]),
        ({3: torch.ones(2)}, ["1 tensor (3)"]),
        ({"model": {"conv1.weight": np.ones(2)}}, ["numpy", "_reconstruct", "state_dict()"]),
        ({"w": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)}, ["torch._utils._rebuild_qtensor", "state_dict()"]),
        ({"w": torch.ones(2).to_sparse()}, ["torch._utils._rebuild_sparse_tensor"]),
        (torch.ones(2), ["1 tensor"]),
    ],
    ids=["list", "others", "numbered", "numpy", "quantized", "sparse", "bare"],
)
def test_a_file_that_holds_weights_is_never_said_to_hold_none(content: object, words: list[str], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(InputError) as refusal:
        import_network(tmp_path / "a.pth")
    assert "no weights" not in str(refusal.value)
    for word in words:
        assert word in str(refusal.value)


def test_an_unknown_network_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    torch.save({"net": {f"block{index}.weight": torch.ones(1) for index in range(5)}}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"5 tensors \(under net: block0\.weight, .* \(5 in all\)\)") as refusal:
        import_network(tmp_path / "a.pth")
    for word in ("layer1.0.conv1.weight", "upSample.layer1.*", "decoder.layer1.*"):
        assert word in str(refusal.value)


def test_an_average_in_a_wrapped_run_is_imported_and_named(tmp_path: Path) -> None:
    weights = foreign_network(tmp_path / "model.pth", "upSample").state_dict()
    shadow = {key: value * 2 for key, value in weights.items() if key.endswith(("weight", "bias"))}
    content = {"model_state_dict": {f"module._orig_mod.{key}": value for key, value in weights.items()}, "ema": {"shadow": shadow}}
    torch.save(content, tmp_path / "run.pth")
    imported = import_network(tmp_path / "run.pth")
    assert torch.equal(imported.network.head.weight, 2 * weights["conv3.weight"])
    assert torch.equal(imported.network.bn.running_var, weights["bn2.running_var"])
    assert imported.training.place.startswith("ema.shadow")
    assert imported.others == ("model_state_dict: module._orig_mod.",)
    shadow["conv3.weight"][0] = torch.nan
    torch.save({"net": {**weights, **shadow}}, tmp_path / "nan.pth")
    with pytest.raises(InputError, match=r"not finite \(head\.weight\)"):
        import_network(tmp_path / "nan.pth")
