"""Equalisation leaves the function alone and balances what it says."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fcrn_mobile.conversion.equalise import UpperBound, equalise, links
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.unpooling import Form

PALETTE = {"precision": "palette6", "min_elements": 0}
PER_CHANNEL = {"precision": "int8", "min_elements": 0}
PER_TENSOR = {"precision": "int8", "granularity": "per_tensor", "min_elements": 0}

NETWORKS: dict[str, dict[str, Any]] = {
    "fcrn-lite0": {"widths": (16, 8, 8, 8, 8)},
    "fcrn-lite2-lateral": {"widths": (16, 8, 8, 8, 8)},
    "fcrn-resnet18": {"widths": (16, 8, 8, 8, 8)},
    "fcrn-resnet50": {"widths": (16, 8, 8, 8, 8), "decoder": "upconv"},
    "fcrn-resnet50-caffe": {"widths": (16, 8, 8, 8, 8)},
    "fcrn-plain": {"widths": (16, 8, 8, 8)},
}


def recipe(values: dict[str, Any]) -> Recipe:
    return make_recipe(values, "test")


def outputs(network: FCRN, image: Tensor) -> Tensor:
    with torch.no_grad():
        return network(image)


def relative(candidate: Tensor, expected: Tensor) -> float:
    return float((candidate - expected).abs().max() / expected.abs().max())


@pytest.fixture(scope="module")
def lite(builtin: Any) -> FCRN:
    return deploy(builtin.network)


@pytest.mark.parametrize("values", [PALETTE, PER_CHANNEL, PER_TENSOR], ids=["palette", "per channel", "per tensor"])
def test_the_builtin_network_stays_the_same_function(lite: FCRN, values: dict[str, Any]) -> None:
    image = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    expected = outputs(lite, image)
    equal = equalise(copy.deepcopy(lite), recipe(values))
    assert relative(outputs(equal, image), expected) < 1e-5
    changed = [not torch.equal(a, b) for a, b in zip(lite.parameters(), equal.parameters(), strict=True)]
    assert sum(changed) > 20


def test_it_stays_the_same_function_where_relu6_clips(lite: FCRN) -> None:
    # Pixels far out of range drive many values over 6.
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 40 - 20
    clipped: list[float] = []
    with_hook = lite.encoder._blocks[3]._bn1.register_forward_hook(lambda *a: clipped.append(float((a[2] > 6).float().mean())))
    expected = outputs(lite, image)
    with_hook.remove()
    assert clipped[0] > 0.02
    assert relative(outputs(equalise(copy.deepcopy(lite), recipe(PALETTE)), image), expected) < 1e-5


@pytest.mark.parametrize("form", ["four", "fused"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_preset_and_form_stays_the_same_function(name: str, form: Form, settle: Any) -> None:
    torch.manual_seed(0)
    # In double precision: random networks magnify float rounding.
    network = deploy(settle(FCRN(preset(name, **NETWORKS[name]))), form).double()
    image = torch.rand(1, 3, 64, 96).double()
    expected = outputs(network, image)
    assert bool(list(links(network))) == (name != "fcrn-plain")
    equal = equalise(network, recipe(PALETTE))
    assert relative(outputs(equal, image), expected) < 1e-6


def test_ranges_between_two_weights_that_share_a_scale_become_equal(lite: FCRN) -> None:
    equal = equalise(copy.deepcopy(lite), recipe(PALETTE))

    def spread(network: FCRN) -> float:
        """Ratio of the largest to the median range of the channels of all depthwise convolutions, averaged."""
        ratios = []
        for block in network.encoder._blocks:
            largest = block._depthwise_conv.weight.flatten(1).abs().amax(1)
            ratios.append(largest.max() / largest.median())
        return float(torch.stack(ratios).mean())

    assert spread(equal) < 0.5 * spread(lite)


def test_with_a_scale_per_channel_only_what_reads_many_channels_is_touched(lite: FCRN) -> None:
    equal = equalise(copy.deepcopy(lite), recipe(PER_CHANNEL))
    block, before = equal.encoder._blocks[2], lite.encoder._blocks[2]
    # The expansion feeds a depthwise convolution: both have a scale for each channel already.
    assert isinstance(block._bn0, nn.Identity)
    columns, columns_before = (each._project_conv.weight[:, :, 0, 0].abs().amax(0) for each in (block, before))
    live = columns_before > 1e-3 * columns_before.max()
    assert columns[live].max() / columns[live].min() < 1.01 < columns_before[live].max() / columns_before[live].min()


def test_bounds_of_relu6_are_divided_and_never_above_six(lite: FCRN) -> None:
    equal = equalise(copy.deepcopy(lite), recipe(PALETTE))
    bounds = [module.bound for module in equal.modules() if isinstance(module, UpperBound)]
    assert len(bounds) == 32
    assert all(float(bound.max()) <= 6 and float(bound.min()) >= 6 / 64 - 1e-6 for bound in bounds)


def test_without_compressed_weights_nothing_changes(lite: FCRN) -> None:
    equal = equalise(copy.deepcopy(lite), recipe({"precision": "fp16"}))
    assert all(torch.equal(a, b) for a, b in zip(lite.parameters(), equal.parameters(), strict=True))
    assert not any(isinstance(module, UpperBound) for module in equal.modules())


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), dead=st.integers(0, 3))
def test_dead_channels_and_any_scaling_do_no_harm(seed: int, dead: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    network = deploy(FCRN(preset("fcrn-lite0", widths=(8, 8, 8, 8, 8), input_size=(64, 64))).eval()).double()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator).double() / parameter[0].numel() ** 0.5
    block = network.encoder._blocks[1]
    block._depthwise_conv.weight.data *= 10 ** torch.linspace(-3, 3, 96).view(-1, 1, 1, 1)
    block._expand_conv.weight.data[:dead] = 0
    block._project_conv.weight.data[:, 90 : 90 + dead] = 0
    image = torch.rand(1, 3, 64, 64, generator=generator).double()
    expected = outputs(network, image)
    assert relative(outputs(equalise(network, recipe(PALETTE)), image), expected) < 1e-6
