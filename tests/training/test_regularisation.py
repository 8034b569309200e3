"""What training leaves out at random: how often, how it is scaled, and that nothing of it stays."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.encoders import ENCODERS
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.quantization import QuantizationAware
from fcrn_mobile.training.regularisation import regularise, require_regularisable
from fcrn_mobile.training.run import Run, make_run
from fcrn_mobile.training.train import train

ALL = Hyperparameters(stochastic_depth=0.3, drop_out=0.2, drop_coarse=0.4)


def tiny(encoder: str = "lite0", laterals: str = "concat") -> FCRN:
    torch.manual_seed(0)
    widths = (8,) * ENCODERS[encoder].halvings
    return FCRN(preset("fcrn-lite0", encoder=encoder, widths=widths, laterals=laterals, input_size=(32, 64))).train()


def within(share: float, expected: float, count: int) -> bool:
    """Within four times the deviation of a share of so many."""
    return abs(share - expected) < 4 * (expected * (1 - expected) / count) ** 0.5


@pytest.mark.parametrize(("encoder", "count"), [("lite0", 9), ("resnet18", 8), ("resnet50", 16)])
def test_residual_branches_are_left_out_more_often_the_deeper_they_lie(encoder: str, count: int) -> None:
    network = tiny(encoder)
    branches = list(network.encoder.residual_branches())
    assert len(branches) == count
    regularise(network, Hyperparameters(stochastic_depth=0.6))
    for number, branch in enumerate(branches, start=1):
        branch.eval()  # as a plain factor and summand, of 1
        probability = 0.6 * number / count
        values = branch(torch.ones(4000, branch.num_features, 1, 1))[..., 0, 0].detach()
        whole = branch.bias + branch.weight / (1 + branch.eps) ** 0.5
        gone = (values == 0).all(1)
        assert within(float(gone.float().mean()), probability, 4000)
        torch.testing.assert_close(values[~gone], (whole / (1 - probability)).expand(int((~gone).sum()), -1))


def test_a_block_without_its_branch_is_its_shortcut() -> None:
    blocks = {"lite0": lambda n: n.encoder.get_submodule("_blocks.2"), "resnet18": lambda n: n.encoder.get_submodule("layer1.1")}
    for encoder, block_of in blocks.items():
        network = tiny(encoder)
        regularise(network, Hyperparameters(stochastic_depth=0.999999))
        block = block_of(network)
        channels = next(block.children()).in_channels
        x = torch.rand(3, channels, 6, 6)
        last = list(network.encoder.residual_branches())
        assert any(module is last[0] or module is last[1] for module in block.modules())
        with torch.no_grad():
            outputs = torch.stack([block(x) for _ in range(200)])
        # The shallowest blocks are left out in 1 of 9 and in 1 or 2 of 8 draws.
        shortcuts = (outputs == x).flatten(2).all(2).float().mean()
        assert 0.04 < float(shortcuts) < 0.4


def coarse_maps(network: FCRN, images: int) -> Tensor:
    """What each lateral's own part gets of coarse maps of ones: levels × images, a value per image."""
    seen: list[Tensor] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0].flatten(1)
        assert bool((x == x[:, :1]).all())
        seen.append(x[:, 0])

    handles = [lateral.register_forward_pre_hook(record) for lateral in network.laterals]
    channels = network.encoder.channels[-2::-1]
    with torch.no_grad():
        for lateral, width in zip(network.laterals, channels, strict=True):
            lateral(torch.ones(images, 8, 2, 2), torch.rand(images, width, 2, 2))
    for handle in handles:
        handle.remove()
    return torch.stack(seen)


def test_coarse_maps_are_left_out_at_one_level_of_some_images() -> None:
    network = tiny()
    regularise(network, Hyperparameters(drop_coarse=0.4))
    values = coarse_maps(network, 8000)
    gone = values == 0
    assert int(gone.sum(0).max()) == 1
    assert within(float(gone.any(0).float().mean()), 0.4, 8000)
    for level in gone:
        assert within(float(level.float().mean()), 0.1, 8000)
    assert values[~gone].unique().tolist() == pytest.approx([1 / 0.9])
    assert values.mean(1).tolist() == pytest.approx([1.0] * 4, abs=4 * (1 / 9 / 8000) ** 0.5)
    # Drawn anew for every batch.
    assert not torch.equal(coarse_maps(network, 8000), values)


def test_every_lateral_can_lose_its_coarse_map_in_a_whole_network() -> None:
    network = tiny()
    regularise(network, Hyperparameters(drop_coarse=0.99))
    lost = [0] * 4

    def count(level: int) -> Iterator[None]:
        def record(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            lost[level] += int((inputs[0] == 0).flatten(1).all(1).sum())

        return record

    for level, lateral in enumerate(network.laterals):
        lateral.register_forward_pre_hook(count(level))
    network(torch.rand(64, 3, 32, 64)).mean().backward()
    assert min(lost) > 4 and 56 <= sum(lost) <= 64
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_values_in_front_of_the_prediction_are_left_out_and_the_rest_is_scaled() -> None:
    network = tiny()
    regularise(network, Hyperparameters(drop_out=0.2))
    seen: list[Tensor] = []
    network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.head(torch.ones(4, 8, 50, 50))
    (values,) = seen
    assert within(float((values == 0).float().mean()), 0.2, values.numel())
    assert values[values != 0].unique().tolist() == pytest.approx([1.25])


def test_nothing_is_left_out_of_a_network_in_evaluation(settle) -> None:
    network = settle(tiny())
    image = torch.rand(2, 3, 32, 64)
    with torch.no_grad():
        expected = network(image)
        handles = regularise(network, ALL)
        assert torch.equal(network(image), expected)
        # Nor where batch norms alone are in training mode, as when they are measured anew.
        seen: list[Tensor] = []
        handle = network.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train()
        network(image), network(image)
        assert torch.equal(*seen)
        handle.remove()
        network.train()
        assert not torch.equal(network(image), network(image))
        for each in handles:
            each.remove()
        assert torch.equal(network(image), network(image))


def test_a_trained_network_is_an_ordinary_one(small_run: Run, tmp_path: Path) -> None:
    network = tiny()
    hyper = replace(small_run.hyper, epochs=1, stochastic_depth=0.3, drop_out=0.2, drop_coarse=0.4)
    train(Run(network.config, hyper, "sample#val", "sample#val", encoder_weights="random"), tmp_path / "dropped")
    plain = replace(hyper, stochastic_depth=0.0, drop_out=0.0, drop_coarse=0.0)
    train(Run(network.config, plain, "sample#val", "sample#val", encoder_weights="random"), tmp_path / "plain")
    dropped, whole = (load_checkpoint(str(tmp_path / name / "last.safetensors")) for name in ("dropped", "plain"))
    assert dropped.network.config == whole.network.config == network.config
    assert dropped.network.state_dict().keys() == whole.network.state_dict().keys()
    assert not torch.equal(dropped.network.head.weight, whole.network.head.weight)
    assert dropped.training.hyperparameters["drop_coarse"] == 0.4


def test_what_a_network_lacks_cannot_be_left_out() -> None:
    for words, network, settings in (
        ("there are no laterals: add --laterals", tiny(laterals="none"), {"drop_coarse": 0.1}),
        ("encoder 'plain' has none", tiny("plain"), {"stochastic_depth": 0.1}),
        ("drop_out is for training in float", QuantizationAware(tiny().eval(), "int4"), {"drop_out": 0.1}),
    ):
        with pytest.raises(InputError, match=words):
            require_regularisable(network, Hyperparameters(**settings))
    assert regularise(tiny("plain", "none"), Hyperparameters()) == []
    require_regularisable(SimpleNamespace(), Hyperparameters())


def test_a_run_that_cannot_leave_anything_out_is_refused_before_its_folder_exists(small_run: Run, tmp_path: Path) -> None:
    run = replace(small_run, hyper=replace(small_run.hyper, drop_coarse=0.1))
    with pytest.raises(InputError, match="no laterals"):
        train(run, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("setting", ["stochastic_depth", "drop_out", "drop_coarse"])
def test_probabilities_are_below_one_and_for_training_in_float(setting: str) -> None:
    for value in (-0.1, 1.0, np.nan):
        with pytest.raises(InputError, match=f"{setting} is {value}"):
            Hyperparameters(**{setting: value})
    with pytest.raises(InputError, match=f"--{setting.replace('_', '-')} does not go with --quantization int4"):
        make_run({"data": "sample", "resume": "builtin", "quantization": "int4", setting: 0.1})
