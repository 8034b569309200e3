"""Weights and activations on a grid that is learned with them.

Rounding has no useful gradient, so it is passed over (straight-through estimator, Bengio et al. 2013, arXiv 1308.3432); the grid's step
then has one (learned step size quantization, Esser et al. 2020, arXiv 1902.08153), and so do the entries of a table, each the sum over
the weights that take it (trained quantization, Han et al. 2016, arXiv 1510.00149).

What is learned is measured in steps of the grid that training starts from, so that one learning rate suits weights whose folded batch
norms set them orders of magnitude apart. Scales and tables are rounded to half precision, which is how a package stores them: what is
trained is what is exported.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from fcrn_mobile.network.quantized import ActivationQuantizer
from fcrn_mobile.package.pymil import weighted_kmeans
from fcrn_mobile.quantize.blocks import reduced, restored, spread
from fcrn_mobile.quantize.clipping import best_scale
from fcrn_mobile.quantize.grids import Integers, Quantized, Table

__all__ = ["OBSERVED", "LearnedActivation", "LearnedFloat", "LearnedIntegers", "LearnedTable", "half", "kmeans"]

#: Batches whose activations set the range that training starts from.
OBSERVED = 8
#: How fast scales, ranges and floats move beside weights on the grid, on which all of a channel depends.
_GENTLE = 0.1
#: Smallest scale: the smallest normal number of half precision.
_LEAST = torch.finfo(torch.float16).tiny
#: Fractions of the largest magnitude that are tried as the end of the grid.
_CLIPS = torch.linspace(0.4, 1.0, 13)
#: Of the histogram that tables start from.
_BINS = 4096


class LearnedIntegers(nn.Module):
    """A weight as integers times learned scales.

    Args:
        weight: to start from.
        bits: 8 or 4; the grid is symmetric, without its lowest value.
        blocks: scales along each of the weight's axes, divisors of its sides.
    """

    start: Tensor

    def __init__(self, weight: Tensor, bits: int, blocks: torch.Size) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("start", _start(weight, bits, blocks))
        self.stretch = nn.Parameter(torch.zeros_like(self.start))
        self.steps = nn.Parameter(weight / spread(self.start, weight.shape))

    def forward(self) -> Tensor:
        """The weight as the package's integers give it."""
        return self._grid().values(self._rounded())

    @torch.no_grad()
    def quantized(self) -> Quantized:
        """What the package is to hold."""
        return Quantized(self._rounded().to(torch.int8).contiguous(), self._grid())

    def _grid(self) -> Integers:
        return _symmetric(half((self.start * (_GENTLE * self.stretch).exp()).clamp_min(_LEAST)), self.bits)

    def _rounded(self) -> Tensor:
        grid = self._grid()
        return _round(self.steps * spread(torch.exp(-_GENTLE * self.stretch), self.steps.shape)).clamp(grid.low, grid.high)


class LearnedTable(nn.Module):
    """A weight as indices into learned tables.

    Args:
        weight: to start from.
        bits: of an index.
        blocks: tables along each of the weight's axes, divisors of its sides.
    """

    unit: Tensor

    def __init__(self, weight: Tensor, bits: int, blocks: torch.Size) -> None:
        super().__init__()
        self.shape, self.blocks = weight.shape, blocks
        rows = reduced(weight, blocks).flatten(0, -2)  # one per table
        self.register_buffer("unit", (rows.abs().amax(-1, keepdim=True) / 2 ** (bits - 1)).clamp_min(_LEAST))
        self.entries = nn.Parameter(kmeans(rows / self.unit, 2**bits))
        self.values = nn.Parameter(rows / self.unit)

    def forward(self) -> Tensor:
        """The weight as the package's tables give it."""
        table = self._table()
        latent = self.values * self.unit
        return restored(Table(table.unsqueeze(1)).values(self._indices(table)) + (latent - latent.detach()), self.blocks, self.shape)

    @torch.no_grad()
    def quantized(self) -> Quantized:
        """What the package is to hold."""
        table = self._table()
        indices = restored(self._indices(table), self.blocks, self.shape)
        return Quantized(indices.to(torch.uint8).contiguous(), Table(table.view(*self.blocks, -1)))

    def _table(self) -> Tensor:
        return half((self.entries * self.unit).sort(-1).values)

    @torch.no_grad()
    def _indices(self, table: Tensor) -> Tensor:
        """The nearest entry of each value."""
        return torch.searchsorted(((table[:, 1:] + table[:, :-1]) / 2).contiguous(), self.values * self.unit)


class LearnedFloat(nn.Module):
    """A parameter that stays a float: a bias, or a weight too small for a grid."""

    start: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", value.clone())
        self.change = nn.Parameter(torch.zeros_like(value))

    def forward(self) -> Tensor:
        """The parameter as the package holds it."""
        return half(self.start + _GENTLE * self.change)


class LearnedActivation(nn.Module):
    """An activation in eight bits of a learned range: unsigned where it is never negative, else symmetric, without a zero point."""

    largest: Tensor
    signed: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stretch = nn.Parameter(torch.zeros(()))
        self.register_buffer("largest", torch.zeros(()))
        self.register_buffer("signed", torch.zeros((), dtype=torch.bool))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """``x`` of any shape, as the package's quantize and dequantize give it."""
        if self.training and int(self.seen) < OBSERVED:
            self._observe(x.detach())
        grid = self._grid()
        return grid.values(_round(x / grid.scale).clamp(grid.low, grid.high))

    def quantized(self) -> ActivationQuantizer:
        """What the package is to hold."""
        return ActivationQuantizer(float(self._grid().scale.detach()), bool(self.signed))

    def _observe(self, x: Tensor) -> None:
        self.seen += 1
        self.signed |= x.min() < 0
        self.largest.copy_(torch.maximum(self.largest, x.abs().max()))

    def _grid(self) -> Integers:
        grid = Integers(self.largest, signed=bool(self.signed))
        return replace(grid, scale=half((self.largest * (_GENTLE * self.stretch).exp() / grid.high).clamp_min(_LEAST)))


def kmeans(rows: Tensor, clusters: int) -> Tensor:
    """Centres of values, R×n → R×``clusters`` in ascending order, with the least squared error.

    Values are gathered in ``_BINS`` means first, which costs the error about 1e-4 of itself. Where there are fewer means than clusters,
    the last of them is repeated.
    """
    tables = []
    for row in rows.double().numpy():
        count = np.histogram(row, _BINS)[0]
        used = count > 0
        means = np.histogram(row, _BINS, weights=row)[0][used] / count[used]
        centres = weighted_kmeans(means, clusters, count[used].astype(float))
        tables.append(np.pad(np.sort(centres), (0, clusters - len(centres)), mode="edge"))
    return torch.from_numpy(np.stack(tables)).float()


def _symmetric(scale: Tensor, bits: int) -> Integers:
    """Integers as hardware expects them: without a zero point and without their lowest."""
    return Integers(scale, bits=bits, symmetric=True)


def _start(weight: Tensor, bits: int, blocks: torch.Size) -> Tensor:
    """Of each block, the scale with the least squared error: outliers are clipped where that helps the rest."""
    largest = reduced(weight, blocks).abs().amax(-1)
    grid = _symmetric(largest, bits)
    return best_scale(grid, weight, (half((clip * largest / grid.high).clamp_min(_LEAST)) for clip in _CLIPS)).scale


def _round(x: Tensor) -> Tensor:
    """Rounding, ties to even, that gradients pass."""
    return x + (x.round() - x).detach()


def half(x: Tensor) -> Tensor:
    """Half precision, in float32, that gradients pass: what a package stores of a float."""
    return x + (x.half().float() - x).detach()
