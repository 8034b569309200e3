"""Rounding of a layer's weights that keeps its output, not each weight.

The mean squared error of a convolution's output is a quadratic form of its weights, whose matrix is the second moment of the patches
that the convolution reads (Nagel et al. 2020, arXiv 2004.10568, section 3.2); a linear layer reads vectors as a 1×1 convolution does.
Two steps make it small, for any grid, integers as well as tables, without training. First, weights are rounded one after the other,
each at what is then the best of the unrounded ones (Frantar et al. 2022, arXiv 2210.17323, section 3); then each moves to that value of
its grid which makes the form least while the others stay, a few times over (Nair and Suggala 2024, arXiv 2406.17542).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.operation import Operation
from fcrn_mobile.mil.ops.arguments import ints, spatial_pads, torch_pads
from fcrn_mobile.quantize.clipping import best_scale
from fcrn_mobile.quantize.grids import Grid, Integers

__all__ = ["Moments", "Problem", "choose", "fitted", "patches", "summands"]

#: Weight of staying at the float weights, relative to the mean square of the inputs: few images do not span all patches.
_DAMPING = 0.01
#: The same relative to the largest mean square, where inputs hardly vary: there rounding errors of the moments outweigh their variance.
_FIRM_DAMPING = 0.01
_SWEEPS = 2
#: Columns whose moves reach the others' slopes together, as one matrix product.
_BLOCK = 64
#: Scales that are tried, relative to the one that reaches the largest weight.
_SHARES = tuple(1 - 0.02 * step for step in range(26))


@dataclass
class Moments:
    """Second moments of patches, G groups of K inputs, over all positions of all images.

    Attributes:
        own: G×K×K, E[x xᵀ] of the patches that the compressed network reads.
        cross: G×K×K, E[x rᵀ] with r the patches that the float network reads in the same places.
        mean, mean_float: G×K.
        count: positions.
    """

    own: Tensor
    cross: Tensor
    mean: Tensor
    mean_float: Tensor
    count: int = 0

    @classmethod
    def zeros(cls, groups: int, inputs: int) -> "Moments":
        """Of no patches."""
        square, vector = (groups, inputs, inputs), (groups, inputs)
        return cls(torch.zeros(square), torch.zeros(square), torch.zeros(vector), torch.zeros(vector))

    def add(self, patches: Tensor, patches_float: Tensor) -> None:
        """Count G×K×positions patches of both networks."""
        self.own += patches @ patches.mT
        self.cross += patches @ patches_float.mT
        self.mean += patches.sum(-1)
        self.mean_float += patches_float.sum(-1)
        self.count += patches.shape[-1]

    def averages(self, centred: bool) -> tuple[Tensor, Tensor]:
        """``own`` and ``cross`` per position; ``centred`` leaves out what a bias can make good."""
        own, cross, mean, mean_float = (moment / self.count for moment in (self.own, self.cross, self.mean, self.mean_float))
        if centred:
            own = own - mean.unsqueeze(-1) * mean.unsqueeze(-2)
            cross = cross - mean.unsqueeze(-1) * mean_float.unsqueeze(-2)
        return own, cross


def patches(x: Tensor, operation: Operation, kernel: tuple[int, int]) -> Tensor:
    """What a 2-D convolution reads: N×C×H×W → G×K×positions, K = C/G·kh·kw in the order of its weights."""
    arguments: dict[str, Any] = operation.arguments
    stride, dilation = ints(arguments.get("strides"), 1, 2), ints(arguments.get("dilations"), 1, 2)
    pads = spatial_pads(arguments.get("pad_type", "valid"), arguments.get("pad"), list(x.shape[2:]), list(kernel), stride, dilation)
    columns = F.unfold(F.pad(x, torch_pads(pads)), kernel, tuple(dilation), 0, tuple(stride))  # N×C·kh·kw×positions
    groups = int(arguments.get("groups", 1))
    return columns.unflatten(1, (groups, -1)).permute(1, 2, 0, 3).flatten(2)


def summands(x: Tensor, operation: Operation, weight: Tensor) -> Tensor:
    """What the weights of a 2-D convolution or a linear layer are multiplied with: its input → G×K×positions, K in their order."""
    if operation.kind == "linear":
        return x.reshape(-1, x.shape[-1]).mT.unsqueeze(0)
    return patches(x, operation, (weight.shape[2], weight.shape[3]))


@dataclass(frozen=True)
class Problem:
    """Least squares of one layer over values of a grid.

    Attributes:
        weight: float weights, G×R×K.
        square: G×K×K.
        target: G×R×K, the linear part.
    """

    weight: Tensor
    square: Tensor
    target: Tensor

    @classmethod
    def of(cls, weight: Tensor, moments: Moments, centred: bool) -> "Problem":
        """For weights C_out×C_in/G×…"""
        own, cross = moments.averages(centred)
        groups, inputs = own.shape[:2]
        rows = weight.reshape(groups, -1, inputs)
        damping = _DAMPING * own.diagonal(dim1=1, dim2=2).mean(-1).view(-1, 1, 1) + torch.finfo(torch.float32).tiny
        square = own + damping * torch.eye(inputs)
        if torch.linalg.cholesky_ex(square).info.any():
            damping = _FIRM_DAMPING * moments.averages(centred=False)[0].diagonal(dim1=1, dim2=2).amax(-1).view(-1, 1, 1)
            square = own + damping * torch.eye(inputs)
        return cls(rows, square, rows @ cross.mT + damping * rows)

    def error(self, rows: Tensor) -> Tensor:
        """Mean squared error of each output channel up to a constant, G×R, float64."""
        change = (rows - self.weight).double()
        square = self.square.double()
        slope = self.weight.double() @ square - self.target.double()
        return ((change @ square + 2 * slope) * change).sum(-1)

    def solve(self, grid: Grid) -> Tensor:
        """Values of the grid, G×R×K: no output channel is worse than with the nearest values."""
        rows = self._fed_back(grid)
        slope = rows @ self.square - self.target
        for _ in range(_SWEEPS):
            before = rows.clone()
            for block in _blocks(rows.shape[-1]):
                slope += self._sweep(grid, rows, slope, block) @ self.square[:, block]
            if torch.equal(before, rows):
                break
        nearest = grid.nearest(self.weight)
        better = self.error(rows) < self.error(nearest)
        return torch.where(better.unsqueeze(-1), rows, nearest)

    def _fed_back(self, grid: Grid) -> Tensor:
        """Round column by column; those that follow make good, as far as unrounded weights could, what each rounding did."""
        factor = torch.linalg.cholesky(self.square)
        rows = torch.cholesky_solve(self.target.mT, factor).mT.contiguous()
        feedback = torch.linalg.cholesky(torch.cholesky_inverse(factor), upper=True)
        for block in _blocks(rows.shape[-1]):
            errors = torch.empty_like(rows[..., block])
            for number, k in enumerate(range(block.start, block.stop)):
                optimum = rows[..., k].clone()
                rows[..., k] = grid.column(k).nearest(optimum)
                errors[..., number] = (optimum - rows[..., k]) / feedback[:, k, k, None]
                rows[..., k + 1 : block.stop] -= errors[..., number, None] * feedback[:, k, None, k + 1 : block.stop]
            rows[..., block.stop :] -= errors @ feedback[:, block, block.stop :]
        return rows

    def _sweep(self, grid: Grid, rows: Tensor, slope: Tensor, block: slice) -> Tensor:
        """Move the weights of some columns (in place); returns by how much, G×R×columns. ``slope`` is that before."""
        square, before = self.square[:, block, block], rows[..., block].clone()
        local = slope[..., block].clone()
        for number, k in enumerate(range(block.start, block.stop)):
            current = rows[..., k].clone()
            rows[..., k] = grid.column(k).nearest(current - local[..., number] / square[:, number, number, None])
            local += (rows[..., k] - current).unsqueeze(-1) * square[:, number, None]
        return rows[..., block] - before


def choose(weight: Tensor, grid: Grid, moments: Moments, centred: bool) -> Tensor:
    """Values of a grid for a layer's weights, such that its output stays.

    Args:
        weight: float weights, C_out×C_in/G×kh×kw or C_out×C_in.
        grid: the values that can be stored.
        moments: of the layer's inputs.
        centred: whether a bias will make good what shifts the output as a whole.

    Returns:
        As ``weight``; no output channel has a larger error on those inputs than with the nearest values.
    """
    problem = Problem.of(weight, moments, centred)
    return problem.solve(grid.matrix(problem.weight.shape[0], weight.shape)).reshape(weight.shape)


def _blocks(columns: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, columns)) for start in range(0, columns, _BLOCK)]


def fitted(weight: Tensor, grid: Integers) -> Integers:
    """The grid with scales that make the squared error of the weights least, instead of those that reach the largest weight.

    Args:
        weight: C_out×C_in/groups×kh×kw or C_out×C_in.
        grid: whose scales reach the largest weight.
    """
    best = best_scale(grid, weight, (grid.scale * share for share in _SHARES))
    # As it will be stored.
    return replace(best, scale=best.scale.half().float())
