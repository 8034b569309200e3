"""Factors of one map by hand: a convolution that gives two or three channels, and one that reads them."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fcrn_mobile.conversion import equalise as module
from fcrn_mobile.conversion.balance import Link, Side, balance
from fcrn_mobile.conversion.equalise import UpperBound, equalise
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, preset

PALETTE = {"precision": "palette6"}
PER_CHANNEL = {"precision": "int8"}
PER_TENSOR = {"precision": "int8", "granularity": "per_tensor"}
SHARED = make_recipe(PER_TENSOR | {"min_elements": 0}, "test").scheme
BLOCKS = {"precision": "int4", "block_size": 1}
BOTH = [PALETTE, PER_TENSOR, {"precision": "sparse50-int8"}, {"precision": "palette4-int8"}, {"precision": "sparse50"}]


class Pair(nn.Module):
    """Two pointwise convolutions without padding; the range of a channel is its one weight."""

    def __init__(self, given: list[float], read: list[float], single: bool = False) -> None:
        super().__init__()
        self.giver = nn.Parameter(torch.tensor(given).view(-1, 1))
        self.bias = nn.Parameter(torch.ones(len(given)))
        self.reader = nn.Parameter(torch.tensor(read).view(-1, 1) if single else torch.tensor(read).view(1, -1))
        self.clip: nn.Module = nn.Identity()

    def links(self, clip: bool) -> list[Link]:
        reader = self.reader.data if self.reader.shape[1] == 1 else self.reader.data.T
        giver = Side("giver", self.giver.data, self.bias.data, False, self.giver.numel())
        read = Side("reader", reader, None, self.reader.shape[1] == 1, self.reader.numel())
        return [Link((giver,), (read,), (self, "clip") if clip else None)]


def equal(network: Pair, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch, clip: bool = False) -> Tensor:
    """The factors: by what each channel was divided."""
    before = [each.detach().clone() for each in (network.giver, network.reader)]
    monkeypatch.setattr(module, "links", lambda made: iter(made.links(clip)))
    made: Any = equalise(network, make_recipe({"min_elements": 0} | values, "test"))  # type: ignore[arg-type]
    assert made is network
    divided = (before[0] / network.giver).flatten().detach()
    known = ~divided.isnan()
    torch.testing.assert_close(network.bias.detach()[known], 1 / divided[known])
    multiplied = (network.reader / before[1]).flatten().detach()
    live = (before[0].flatten() != 0) & (before[1].flatten() != 0)
    torch.testing.assert_close(divided[live], multiplied[live])
    return divided


@pytest.mark.parametrize("values", BOTH)
def test_where_both_sides_share_a_scale_the_factor_is_the_root_of_their_ratio(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = equal(Pair([1.0, -8.0, 3.0], [4.0, 2.0, 3.0]), values, monkeypatch)
    expected = torch.tensor([1 / 4, 8 / 2, 3 / 3]).sqrt()
    torch.testing.assert_close(factors, expected / expected.log().mean().exp())


@pytest.mark.parametrize("values", [PER_CHANNEL, BLOCKS])
def test_a_side_with_a_scale_per_channel_leaves_the_whole_factor_to_the_other(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Pair([1.0, -8.0, 3.0], [4.0, -2.0, 1.0])
    factors = equal(network, values, monkeypatch)
    torch.testing.assert_close(factors, torch.tensor([0.5, 1.0, 2.0]))
    assert network.reader.tolist() == [[2.0, -2.0, 2.0]]


def test_a_depthwise_reader_with_a_scale_per_channel_sees_no_factor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert equal(Pair([1.0, 8.0], [4.0, 2.0], single=True), PER_CHANNEL, monkeypatch).tolist() == [1, 1]
    assert equal(Pair([1.0, 8.0], [4.0, 2.0], single=True), PER_TENSOR, monkeypatch).tolist() != [1, 1]


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([{"match": "giver", "precision": "fp16"}], [0.25, 0.5]),  # the reader's ranges alone become equal
        ([{"match": "reader", "precision": "fp16"}], [1.0, 8.0]),
        ([{"match": "*er", "precision": "fp32"}], [1.0, 1.0]),
    ],
)
def test_a_float_side_has_no_say(ops: list[dict[str, str]], expected: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    factors = equal(Pair([1.0, 8.0], [4.0, 2.0]), PALETTE | {"ops": ops}, monkeypatch)
    torch.testing.assert_close(factors, torch.tensor(expected) / math.sqrt(expected[0] * expected[1]))


@pytest.mark.parametrize(("least", "touched"), [(1, True), (2, False), (3, False)])
def test_small_weights_stay_float_and_have_none_either(least: int, touched: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = equal(Pair([1.0, 8.0], [4.0, 2.0]), PALETTE | {"min_elements": least}, monkeypatch)
    assert (factors.tolist() != [1, 1]) == touched


@pytest.mark.parametrize("exponent", [2, 5])
def test_factors_differ_by_64_at_most(exponent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    factors = equal(Pair([1.0, 10.0**exponent], [1.0, 1.0]), PALETTE | {"ops": [{"match": "reader", "precision": "fp16"}]}, monkeypatch)
    torch.testing.assert_close(factors, torch.tensor([1 / 8, 8.0]))
    inside = equal(Pair([1.0, 49.0], [1.0, 1.0]), PALETTE | {"ops": [{"match": "reader", "precision": "fp16"}]}, monkeypatch)
    torch.testing.assert_close(inside, torch.tensor([1 / 7, 7.0]))


def test_a_bound_of_six_is_divided_by_factors_from_one_on(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Pair([2.0, 8.0], [1.0, 1.0])
    factors = equal(network, PALETTE, monkeypatch, clip=True)
    torch.testing.assert_close(factors, torch.tensor([1.0, 2.0]))
    assert isinstance(network.clip, UpperBound)
    torch.testing.assert_close(network.clip.bound, torch.tensor([6.0, 3.0]).view(1, 2, 1, 1))
    assert network.clip(torch.full((1, 2, 1, 1), 5.0)).flatten().tolist() == [5, 3]


def test_without_factors_there_is_no_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Pair([2.0, 2.0], [1.0, 1.0])
    assert equal(network, PALETTE, monkeypatch, clip=True).tolist() == [1, 1]
    assert isinstance(network.clip, nn.Identity)
    unsaid = Pair([2.0, 8.0], [1.0, 1.0])
    equal(unsaid, PALETTE, monkeypatch)
    assert isinstance(unsaid.clip, nn.Identity), "nothing clips this map"


@pytest.mark.parametrize(("given", "read"), [([0.0, 2.0, 8.0], [1.0, 1.0, 1.0]), ([5.0, 2.0, 8.0], [0.0, 1.0, 1.0])])
def test_a_dead_channel_counts_as_one_without_a_wish(given: list[float], read: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    network = Pair(given, read)
    equal(network, PALETTE, monkeypatch)
    live = (network.giver[1:].flatten() / network.reader.flatten()[1:]).detach()
    assert live[1] / live[0] == pytest.approx(1, rel=1e-5), "both sides of the living have equal ranges"
    assert network.giver.isfinite().all() and network.reader.isfinite().all()


def test_a_map_without_a_living_channel_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Pair([0.0, 0.0], [1.0, 2.0])
    equal(network, PALETTE, monkeypatch)
    assert network.reader.tolist() == [[1, 2]] and network.giver.flatten().tolist() == [0, 0]


def test_of_several_weights_at_one_side_each_counts_relative_to_its_own_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first two channels are the widest of one weight each, the third reaches half of either's range."""
    network = Pair([1.0, 8.0, 4.0], [1.0, 1.0, 1.0])
    second = Side("second", torch.tensor([[60.0], [20.0], [30.0]]), None, False, 3)
    monkeypatch.setattr(module, "links", lambda made: (Link((*link.givers, second), link.readers) for link in made.links(False)))
    made: Any = network
    equalise(made, make_recipe({"min_elements": 0, "ops": [{"match": "reader", "precision": "fp16"}]} | PALETTE, "test"))
    expected = torch.tensor([2.0, 2.0, 1.0]) / 4 ** (1 / 3)
    torch.testing.assert_close(network.reader.detach().flatten(), expected)
    torch.testing.assert_close(second.rows.flatten(), torch.tensor([60.0, 20.0, 30.0]) / expected)


def sides(given: list[list[float]], read: list[float]) -> Link:
    giver = Side("giver", torch.tensor(given), torch.ones(len(given)), False, len(given) * len(given[0]))
    return Link((giver,), (Side("reader", torch.tensor(read).view(-1, 1), None, False, len(read)),))


def test_the_range_of_a_channel_is_its_largest_weight() -> None:
    ((_, factors),) = balance([sides([[0.1, -4.0, 1.0], [0.5, 0.6, 0.7]], [1.0, 0.7])], lambda name, size: SHARED)
    expected = torch.tensor([4.0 / 1, 0.7 / 0.7]).sqrt()
    torch.testing.assert_close(factors, expected / expected.log().mean().exp())


@pytest.mark.parametrize(("ratio", "power"), [(2.0**1.2, 1), (2.0**0.9, 0), (2.0**2.9, 1), (2.0**3.1, 2)])
def test_exact_factors_are_the_nearest_powers_of_two(ratio: float, power: int) -> None:
    """Of r and 1/r the roots, √ratio above and below 1: the power is that of log₂ ratio / 2, rounded, up and down alike."""
    link = sides([[ratio], [1 / ratio]], [1.0, 1.0])
    ((_, factors),) = balance([link], lambda name, size: SHARED, exact=True)
    assert factors.tolist() == [2.0**power, 2.0**-power]


def test_a_network_whose_phases_share_a_bias_stays_the_same_function() -> None:
    """A bias that several convolutions hold is divided once for each."""
    torch.manual_seed(0)
    network = deploy(FCRN(preset("fcrn-lite0", widths=(8, 8, 8, 8, 8), input_size=(64, 64))).eval())
    biases = [each for name, each in network.named_parameters() if ".biases." in name]
    assert len({each.data_ptr() for each in biases}) < len(biases)
    for each in biases:
        torch.nn.init.normal_(each)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network(image)
        equalise(network, make_recipe({"min_elements": 0} | PALETTE, "test"))
        torch.testing.assert_close(network(image), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_an_upper_bound_is_a_minimum_per_channel() -> None:
    bound = UpperBound(2, 6.0)
    assert bound.bound.shape == (1, 2, 1, 1) and "bound" in bound.state_dict()
    x = torch.tensor([[[[7.0, -1.0]], [[6.0, 5.0]]]])
    assert bound(x).tolist() == [[[[6.0, -1.0]], [[6.0, 5.0]]]]
