"""The rounding step by step: moments in NumPy, and the steps written out one column at a time from first principles."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.conversion.rounding import Moments, Problem, choose, fitted, patches
from fcrn_mobile.mil.operation import Operation, TensorInfo
from fcrn_mobile.quantize.grids import Integers


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("centred", [False, True])
def test_moments_are_averages_over_all_positions_of_all_images(centred: bool) -> None:
    own, other = [seeded(2, 3, n, seed=n).float() for n in (5, 7)], [seeded(2, 3, n, seed=-n % 100).float() for n in (5, 7)]
    found = Moments.zeros(2, 3)
    assert found.count == 0
    for pair in zip(own, other, strict=True):
        found.add(*pair)
    assert found.count == 12
    x, r = (torch.cat(each, -1).numpy().astype(np.float64) for each in (own, other))
    square, cross = np.einsum("gip,gjp->gij", x, x) / 12, np.einsum("gip,gjp->gij", x, r) / 12
    if centred:
        square -= np.einsum("gi,gj->gij", x.mean(-1), x.mean(-1))
        cross -= np.einsum("gi,gj->gij", x.mean(-1), r.mean(-1))
    for ours, expected in zip(found.averages(centred), (square, cross), strict=True):
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)


def test_the_problem_is_damped_by_a_hundredth_of_the_mean_square() -> None:
    found = Moments.zeros(2, 3)
    x, r = seeded(2, 3, 9, seed=1).float(), seeded(2, 3, 9, seed=2).float()
    found.add(x, r)
    weight = seeded(4, 3, 1, 1, seed=3).float()
    problem = Problem.of(weight, found, centred=False)
    for group in range(2):
        own, cross = x[group] @ x[group].T / 9, x[group] @ r[group].T / 9
        damping = 0.01 * own.trace() / 3
        rows = weight[2 * group : 2 * group + 2].flatten(1)
        torch.testing.assert_close(problem.weight[group], rows)
        torch.testing.assert_close(problem.square[group], own + damping * torch.eye(3))
        torch.testing.assert_close(problem.target[group], rows @ cross.T + damping * rows)


def test_what_rounding_leaves_of_constant_inputs_is_damped_more_in_each_group_by_its_own() -> None:
    """Without their mean, constants have a covariance of rounding errors alone: then by a hundredth of the largest mean square with it."""
    found, levels = Moments.zeros(2, 3), torch.tensor([[1001.0, 2003.0, 3007.0], [10.1, 20.3, 30.7]])
    for _ in range(7):
        found.add(*[levels.unsqueeze(-1).expand(2, 3, 11)] * 2)
    own, cross = found.averages(centred=True)
    assert torch.linalg.cholesky_ex(own + 0.01 * own.diagonal(dim1=1, dim2=2).mean(-1).view(-1, 1, 1) * torch.eye(3)).info.any()
    weight = seeded(4, 3, 1, 1, seed=3).float()
    problem = Problem.of(weight, found, centred=True)
    for group in range(2):
        damping = 0.01 * levels[group].max() ** 2
        torch.testing.assert_close(problem.square[group], own[group] + damping * torch.eye(3))
        rows = weight[2 * group : 2 * group + 2].flatten(1)
        torch.testing.assert_close(problem.target[group], rows @ cross[group].T + damping * rows)


def test_the_error_is_that_of_the_output_up_to_what_the_float_weights_have() -> None:
    """E‖w·x - v·r‖² differs between two weights by what the form says."""
    x, r = seeded(1, 3, 50, seed=1), seeded(1, 3, 50, seed=2)
    weight, moved = seeded(1, 2, 3, seed=3), seeded(1, 2, 3, seed=4)
    problem = Problem(weight, x @ x.mT / 50, weight @ (x @ r.mT / 50).mT)

    def squared(rows: Tensor) -> Tensor:
        return (rows @ x - weight @ r).square().mean(-1)

    torch.testing.assert_close(problem.error(moved), squared(moved) - squared(weight))
    assert problem.error(weight).tolist() == [[0, 0]]


def by_column(problem: Problem, grid: Integers) -> Tensor:
    """Each row: round a column, let the optimum of the rest follow, column after column; then two rounds of coordinate descent."""
    result = problem.weight.clone()
    for g, r in np.ndindex(*problem.weight.shape[:2]):
        square, target = problem.square[g], problem.target[g, r]

        def nearest(k: int, value: Tensor, at: tuple[int, int] = (g, r)) -> Tensor:
            step = grid.scale[(*at, k)]
            return (value / step).round().clamp(grid.low, grid.high) * step

        best = torch.linalg.solve(square, target)
        row = best.clone()
        for k in range(len(row)):
            row[k] = nearest(k, row[k])
            done, rest = slice(0, k + 1), slice(k + 1, None)
            if k + 1 < len(row):
                row[rest] = best[rest] - torch.linalg.solve(square[rest, rest], square[rest, done] @ (row[done] - best[done]))
        for _ in range(2):
            for k in range(len(row)):
                row[k] = nearest(k, row[k] - (square[k] @ row - target[k]) / square[k, k])
        plain = torch.stack([nearest(k, problem.weight[g, r, k]) for k in range(len(row))])
        ours, theirs = (v @ square @ v - 2 * target @ v for v in (row, plain))
        result[g, r] = row if ours < theirs else plain
    return result


@pytest.mark.parametrize("centred", [False, True])
def test_a_layer_that_reads_zeros_alone_takes_the_nearest_values(centred: bool) -> None:
    moments = Moments.zeros(2, 3)
    moments.add(torch.zeros(2, 3, 5), torch.zeros(2, 3, 5))
    weight = seeded(4, 3, 1, 1, seed=3).float()
    grid = Integers(torch.full((4, 1, 1, 1), 0.5), bits=4, symmetric=True)
    assert torch.equal(choose(weight, grid, moments, centred), grid.nearest(weight))


@pytest.mark.parametrize(("groups", "rows", "columns"), [(1, 12, 9), (3, 4, 6), (1, 3, 64), (2, 2, 65), (1, 2, 130)])
def test_the_blocks_compute_what_columns_one_by_one_do(groups: int, rows: int, columns: int) -> None:
    mixing = seeded(groups, columns, columns, seed=columns)
    x = mixing @ seeded(groups, columns, 4 * columns, seed=1) + 2
    weight = seeded(groups, rows, columns, seed=2)
    problem = Problem(weight, x @ x.mT, weight @ (x @ x.mT).mT + seeded(groups, rows, columns, seed=3))
    step = (weight.abs().amax(-1, keepdim=True) / 7).expand_as(weight)
    grid = Integers(step, bits=4, symmetric=True)
    found, expected = problem.solve(grid), by_column(problem, grid)
    torch.testing.assert_close(found, expected)
    assert not torch.equal(found, grid.nearest(weight))


@pytest.mark.parametrize(
    ("arguments", "by_torch"),
    [
        ({}, {}),
        ({"pad_type": "valid"}, {}),
        ({"dilations": torch.tensor([2, 1])}, {"dilation": (2, 1)}),
        ({"strides": torch.tensor([1, 2]), "dilations": torch.tensor([1, 3])}, {"stride": (1, 2), "dilation": (1, 3)}),
        ({"pad_type": "custom", "pad": torch.tensor([1, 1, 2, 2])}, {"padding": (1, 2)}),
        ({"pad_type": "same"}, {"padding": "same"}),
    ],
)
def test_patches_are_what_a_convolution_reads(arguments: dict[str, object], by_torch: dict[str, Any]) -> None:
    x, weight = seeded(2, 4, 9, 11, seed=1).float(), seeded(6, 2, 3, 3, seed=2).float()
    found = patches(x, Operation("conv", {"groups": 2, **arguments}, (TensorInfo("y", "FLOAT32", ()),)), (3, 3))
    expected = F.conv2d(x, weight, groups=2, **by_torch)
    product = weight.reshape(2, 3, -1) @ found
    torch.testing.assert_close(product.flatten(0, 1), expected.transpose(0, 1).flatten(1), atol=1e-5, rtol=1e-5)


def test_patches_have_one_group_unless_told_otherwise() -> None:
    x = torch.arange(1.0, 25).view(1, 2, 3, 4)
    found = patches(x, Operation("conv", {}, (TensorInfo("y", "FLOAT32", ()),)), (3, 4))
    assert torch.equal(found, x.view(1, 24, 1))


@pytest.mark.parametrize("shape", [(4, 1, 1, 1), (1, 1, 1, 1), (4, 3, 1, 1), (2, 2, 1, 1)])
def test_fitted_scales_are_the_best_of_every_fiftieth_down_to_half(shape: tuple[int, ...]) -> None:
    weight = seeded(4, 6, 1, 2, seed=5).float() ** 3
    counts = torch.tensor([length // count for length, count in zip(weight.shape, shape, strict=True)])
    step, expected = torch.empty(shape), torch.empty(shape)
    for block in np.ndindex(*shape):
        where = tuple(slice(int(k * n), int((k + 1) * n)) for k, n in zip(block, counts, strict=True))
        values = weight[where].double().numpy()
        largest = np.float32(np.abs(values).max() / 7)
        errors = {}
        for share in range(100, 49, -2):
            scale = float(np.float32(largest * np.float32(share / 100)))
            errors[share] = float(((np.clip(np.rint(values / scale), -7, 7) * scale - values) ** 2).sum())
        best = min(errors, key=lambda share: errors[share])
        step[block], expected[block] = float(largest), float(np.float16(largest * np.float32(best / 100)))
    found = fitted(weight, Integers(step, bits=4, symmetric=True))
    torch.testing.assert_close(found.scale, expected, rtol=1e-3, atol=0)
    assert torch.equal(found.scale, found.scale.half().float()), "as it will be stored"
    assert (found.low, found.high, found.scale.shape) == (-7, 7, shape)


def test_no_scale_below_half_is_tried() -> None:
    """Four bits of normal values beside one that is eight times as far out: the finer the better."""
    weight = torch.cat([torch.ones(1), 0.12 * seeded(20_000).float()]).view(1, -1)
    step = weight.abs().max().view(1, 1) / 7
    assert torch.equal(fitted(weight, Integers(step, bits=4, symmetric=True)).scale, (step / 2).half().float())
