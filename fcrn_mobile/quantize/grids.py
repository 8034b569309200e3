"""What a quantized tensor can hold, integers times scales or entries of tables, and the codes that stand for it.

A recipe's scheme (``scheme.py``) says which grid a weight gets; training learns its scales and entries, conversion chooses codes on it,
and an operator of the package makes values of codes again.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fcrn_mobile.quantize.blocks import reduced, restored, spread

__all__ = ["Grid", "Integers", "Quantized", "Table"]


@dataclass(frozen=True, eq=False)
class Integers:
    """Values scale·(q - zero) of whole numbers q of so many bits.

    Attributes:
        scale: of the tensor's rank, one per block (``blocks.py``), or a scalar.
        zero: the same for the integer that stands for 0; None = 0 itself.
        bits: of an integer.
        signed: whether there are negative ones.
        symmetric: whether the lowest of those is left out.
    """

    scale: Tensor
    zero: Tensor | None = None
    bits: int = 8
    signed: bool = True
    symmetric: bool = False

    @property
    def kind(self) -> str:
        """As in ``Scheme.kind``."""
        return f"int{self.bits}"

    @property
    def low(self) -> int:
        """The lowest integer."""
        return -(2 ** (self.bits - 1)) + self.symmetric if self.signed else 0

    @property
    def high(self) -> int:
        """The highest integer."""
        return 2 ** (self.bits - self.signed) - 1

    def codes(self, values: Tensor) -> Tensor:
        """The integers of the closest values, ties to even; as floats."""
        # The scale of nothing but zeros is zero.
        codes = (values / spread(self.scale.masked_fill(self.scale == 0, torch.inf), values.shape)).round_()
        if self.zero is not None:
            codes += spread(self.zero, values.shape)
        return codes.clamp_(self.low, self.high)

    def values(self, codes: Tensor) -> Tensor:
        """The values of integers, in the precision of the scale."""
        values = codes.to(self.scale.dtype)
        if self.zero is not None:
            values = values - spread(self.zero, codes.shape)
        return values * spread(self.scale, codes.shape)

    def nearest(self, values: Tensor) -> Tensor:
        """The values of the grid that are closest."""
        return self.values(self.codes(values))

    def matrix(self, groups: int, shape: torch.Size) -> "Integers":
        """The same for a weight of ``shape`` as G×C_out/G×K."""
        scale, zero = (
            None if each is None else spread(each, shape).reshape(groups, shape[0] // groups, -1) for each in (self.scale, self.zero)
        )
        assert scale is not None
        return replace(self, scale=scale, zero=zero)

    def column(self, k: int) -> "Integers":
        """The same for one column of that matrix."""
        return replace(self, scale=self.scale[..., k], zero=None if self.zero is None else self.zero[..., k])


@dataclass(frozen=True, eq=False)
class Table:
    """Entries of tables.

    Attributes:
        entries: one table per block (``blocks.py``), and a last axis for its entries.
    """

    entries: Tensor

    @property
    def kind(self) -> str:
        """As in ``Scheme.kind``."""
        return f"palette{self.entries.shape[-1].bit_length() - 1}"

    def codes(self, values: Tensor) -> Tensor:
        """The indices of the closest values, the first of equally close ones."""
        blocks = self.entries.shape[:-1]
        distances = (reduced(values, blocks).unsqueeze(-1) - self.entries.unsqueeze(-2)).abs()
        return restored(distances.argmin(-1), blocks, values.shape)

    def values(self, codes: Tensor) -> Tensor:
        """The values of indices."""
        blocks = self.entries.shape[:-1]
        return restored(self.entries.gather(-1, reduced(codes.long(), blocks)), blocks, codes.shape)

    def nearest(self, values: Tensor) -> Tensor:
        """The values of the grid that are closest."""
        return self.values(self.codes(values))

    def matrix(self, groups: int, shape: torch.Size) -> "Table":
        """The same for a weight of ``shape``, whose tables are those of output channels, as G×C_out/G×K."""
        count = self.entries.shape[-1]
        tables = spread(self.entries, torch.Size((shape[0], *self.entries.shape[1:])))
        return Table(tables.reshape(groups, -1, 1, count))

    def column(self, k: int) -> "Table":
        """The same for one column of that matrix."""
        return Table(self.entries[..., 0, :])


Grid = Integers | Table


@dataclass(frozen=True, eq=False)
class Quantized:
    """A quantized tensor.

    Attributes:
        codes: of its shape; int8 for integers, uint8 for indices.
        grid: what they stand for.
    """

    codes: Tensor
    grid: Grid

    def expanded(self) -> Tensor:
        """The tensor, float32."""
        return self.grid.values(self.codes)
