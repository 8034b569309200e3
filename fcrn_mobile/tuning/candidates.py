"""The schemes that the search chooses from, and what each makes of every weight."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fcrn_mobile.conversion.compress import misfit
from fcrn_mobile.conversion.recipe import Override, Recipe
from fcrn_mobile.conversion.weights import Weight
from fcrn_mobile.errors import InputError
from fcrn_mobile.quantize.scheme import TARGETS, Scheme

__all__ = ["CANDIDATES", "FLOAT", "OLDER", "Candidate", "assembled", "candidates_for", "searchable"]

#: What a weight is stored as where the search leaves it alone.
FLOAT = "fp16"


@dataclass(frozen=True)
class Candidate:
    """One scheme to choose from.

    Attributes:
        name: short, for tables; its key in the JSON.
        precision, options: as in a recipe.
    """

    name: str
    precision: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def scheme(self) -> Scheme:
        """How it stores a weight."""
        return self.override([self.name]).scheme

    @property
    def bits(self) -> int:
        """Bits of one weight, tables and scales left out."""
        scheme = self.scheme
        return scheme.palette.bits if scheme.palette else scheme.linear.bits if scheme.linear else 16

    def override(self, names: Collection[str]) -> Override:
        """The part of a recipe that stores the weights of these names so."""
        return Override(tuple(names), self.precision, dict(self.options))

    def fits(self, weight: Weight) -> bool:
        """Whether coremltools can store a weight so, with tables smaller than what they save."""
        scheme = self.scheme
        if misfit(scheme, weight):
            return False
        if scheme.palette is None:
            return True
        outputs = weight.shape[weight.channel_axes[0]]
        groups = outputs // scheme.palette.group_size if scheme.palette.group_size else 1
        saved = np.prod(weight.shape) * (16 - scheme.palette.bits)
        return bool(groups * 2**scheme.palette.bits * 16 < saved)


def _grouped(bits: int, size: int) -> Candidate:
    options = {"granularity": "per_grouped_channel", "group_size": size}
    return Candidate(f"palette{bits}/{size}", f"palette{bits}", options)


#: 8-bit palettes are left out because k-means with 256 clusters takes minutes and int8 is as small; sparse ones because they err more
#: than palettes of as many bytes.
CANDIDATES = (Candidate("int8", "int8"), _grouped(6, 16), _grouped(4, 8), _grouped(3, 8), Candidate("int4/32", "int4", {"block_size": 32}))
#: For targets without grouped channels.
OLDER = (Candidate("int8", "int8"), Candidate("palette6", "palette6"), Candidate("palette4", "palette4"))


def candidates_for(target: str) -> tuple[Candidate, ...]:
    """The candidates that a target runs."""
    return CANDIDATES if all(_runs(candidate, target) for candidate in CANDIDATES) else OLDER


def _runs(candidate: Candidate, target: str) -> bool:
    return TARGETS[candidate.scheme.needs()[0]] <= TARGETS[target]


def searchable(base: Recipe) -> Recipe:
    """The recipe that the search starts from.

    Raises:
        InputError: it decides the precision of weights itself.
    """
    if base.ops or base.precision != FLOAT:
        what = "[[ops]]" if base.ops else f'precision = "{base.precision}"'
        raise InputError(f"recipe '{base.name}' has {what}, but the search decides how weights are stored: give one with \"{FLOAT}\" alone")
    return base


def assembled(base: Recipe, candidates: Sequence[Candidate], choice: dict[str, str]) -> Recipe:
    """The base recipe with an override per candidate that was chosen for a weight.

    Args:
        base: what all else is as in.
        candidates: to choose from.
        choice: name of a weight → name of a candidate; those that are not named stay float16.
    """
    weights = {c.name: [weight for weight, name in choice.items() if name == c.name] for c in candidates}
    return replace(base, ops=tuple(c.override(weights[c.name]) for c in candidates if weights[c.name]))
