"""Chosen rounding: on the grid, never worse than nearest on the calibration inputs, near the best there is."""

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fcrn_mobile.conversion.rounding import Moments, choose, fitted, patches
from fcrn_mobile.mil.operation import Operation, TensorInfo
from fcrn_mobile.quantize.grids import Grid, Integers, Table


def integers(weight: Tensor, bits: int, granularity: str) -> Integers:
    """Symmetric integers by the largest weight."""
    axes = {"per_tensor": (0, 1, 2, 3), "per_channel": (1, 2, 3)}[granularity]
    step = weight.abs().amax(axes, keepdim=True) / (2 ** (bits - 1) - 1)
    return Integers(step, bits=bits, symmetric=True)


def table(weight: Tensor, entries: int, tables: int = 1) -> Table:
    quantiles = torch.quantile(weight.reshape(tables, -1), torch.linspace(0, 1, entries), dim=1).T  # tables×entries
    return Table(quantiles.view(-1, 1, 1, 1, entries))


def conv(groups: int = 1, **arguments: object) -> Operation:
    settings = {"strides": torch.tensor([2, 1]), "pad_type": "custom", "pad": torch.tensor([0, 1, 2, 0]), "groups": groups}
    return Operation("conv", settings | arguments, (TensorInfo("y", "FLOAT16", ()),))


def run(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """The same convolution by torch."""
    return F.conv2d(F.pad(x, (2, 0, 0, 1)), weight, None, (2, 1), 0, 1, groups)


def moments(x: Tensor, x_float: Tensor, weight: Tensor, groups: int) -> Moments:
    found = Moments.zeros(groups, weight[0].numel())
    kernel = (weight.shape[2], weight.shape[3])
    found.add(patches(x, conv(groups), kernel), patches(x_float, conv(groups), kernel))
    return found


def layer(seed: int, groups: int, channels: int = 6, size: int = 14) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, and correlated inputs of a compressed and of the float network."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator)
    x_float = F.relu(torch.einsum("ij,njhw->nihw", mixing, torch.randn(3, channels, size, size, generator=generator)) + 1)
    x = x_float + 0.05 * torch.randn(x_float.shape, generator=generator)
    return torch.randn(6, channels // groups, 3, 2, generator=generator), x, x_float


def error(weight: Tensor, x: Tensor, expected: Tensor, groups: int, centred: bool) -> Tensor:
    """Mean squared error of each output channel, by running the convolution."""
    difference = (run(x, weight, groups) - expected).transpose(0, 1).flatten(1).double()
    return ((difference - difference.mean(1, keepdim=True)) if centred else difference).square().mean(1)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_patches_times_weights_are_the_convolution(groups: int) -> None:
    weight, x, _ = layer(0, groups)
    rows = weight.reshape(groups, 6 // groups, -1)
    product = rows @ patches(x, conv(groups), (3, 2))  # G×R×positions
    expected = run(x, weight, groups)
    torch.testing.assert_close(product.flatten(0, 1), expected.transpose(0, 1).flatten(1))


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    groups=st.sampled_from([1, 2, 6]),
    kind=st.sampled_from(["int8", "int4", "per tensor", "table", "tables"]),
    centred=st.booleans(),
)
def test_no_output_channel_is_worse_than_with_nearest_values(seed: int, groups: int, kind: str, centred: bool) -> None:
    weight, x, x_float = layer(seed, groups)
    grids: dict[str, Grid] = {
        "int8": integers(weight, 8, "per_channel"),
        "int4": integers(weight, 4, "per_channel"),
        "per tensor": integers(weight, 4, "per_tensor"),
        "table": table(weight, 8),
        "tables": table(weight, 8, tables=3),
    }
    grid = grids[kind]
    chosen = choose(weight, grid, moments(x, x_float, weight, groups), centred)
    nearest = grid.nearest(weight)
    torch.testing.assert_close(grid.nearest(chosen), chosen)  # on the grid
    expected = run(x_float, weight, groups)
    ours, theirs = (error(each, x, expected, groups, centred) for each in (chosen, nearest))
    # What is made least has the damping besides, one hundredth of the inputs' mean square.
    assert (ours <= theirs * 1.02 + 1e-6).all()
    if kind == "int4" and groups == 1:
        assert ours.sum() < 0.9 * theirs.sum()  # 0.84 at the worst of some hundred seeds


def test_it_is_close_to_the_best_of_all_roundings() -> None:
    """For ten output channels of six weights, every choice among the four nearest integers of each is tried out."""
    generator = torch.Generator().manual_seed(0)
    x = F.relu(torch.randn(1, 2, 12, 12, generator=generator) + 1)
    weight = torch.randn(10, 2, 1, 3, generator=generator)
    grid = integers(weight, 4, "per_channel")
    plain, found = conv(strides=None, pad_type="valid"), Moments.zeros(1, 6)
    found.add(patches(x, plain, (1, 3)), patches(x, plain, (1, 3)))
    chosen = choose(weight, grid, found, centred=False)

    def loss(candidates: Tensor) -> Tensor:
        """Of candidates×channels×2×1×3 weights, by running the convolution."""
        difference = F.conv2d(x, (candidates - weight).flatten(0, 1))
        return difference.square().mean((0, 2, 3)).view(-1, 10)

    offsets = torch.tensor(list(itertools.product((-1, 0, 1, 2), repeat=6))).view(-1, 1, 2, 1, 3)
    every = ((weight / grid.scale).floor() + offsets).clamp(grid.low, grid.high) * grid.scale
    best, nearest = loss(every).amin(0), loss(grid.nearest(weight)[None])[0]
    ours = loss(chosen[None])[0]
    assert (best <= ours + 1e-6).all()
    assert (ours - best).sum() < 0.25 * (nearest - best).sum()


def test_without_damage_to_make_good_nothing_moves() -> None:
    weight, _, x_float = layer(0, 1)
    grid = integers(weight, 8, "per_channel")
    on_grid = grid.nearest(weight)
    chosen = choose(on_grid, grid, moments(x_float, x_float, weight, 1), centred=False)
    torch.testing.assert_close(chosen, on_grid)


def test_a_scale_of_zero_stays_zero() -> None:
    weight, x, _ = layer(0, 1)
    weight[1] = 0
    chosen = choose(weight, integers(weight, 8, "per_channel"), moments(x, x, weight, 1), centred=False)
    assert chosen.isfinite().all() and not chosen[1].any()


def test_a_channel_that_is_always_zero_keeps_its_nearest_weights() -> None:
    weight, x, _ = layer(0, 1)
    x[:, 2] = 0
    grid = integers(weight, 4, "per_channel")
    chosen = choose(weight, grid, moments(x, x, weight, 1), centred=False)
    torch.testing.assert_close(chosen[:, 2], grid.nearest(weight)[:, 2])


@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_fitted_scales_have_no_larger_error_than_those_of_the_largest_weight(granularity: str) -> None:
    weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0)) ** 3
    grid = integers(weight, 4, granularity)
    better = fitted(weight, grid)
    axes = (1, 2, 3) if granularity == "per_channel" else (0, 1, 2, 3)
    before, after = ((each.nearest(weight) - weight).square().sum(axes) for each in (grid, better))
    assert (after <= before * 1.001).all()
    assert after.sum() < 0.98 * before.sum()
    # No scale of a fine sweep is much better.
    sweep = torch.stack(
        [(replace(grid, scale=grid.scale * share).nearest(weight) - weight).square().sum(axes) for share in torch.linspace(0.3, 1, 141)]
    )
    assert (after <= sweep.amin(0) * 1.1).all()
