"""Published traits of the Neural Engine's arithmetic beyond float16, each of which ``ane`` follows unless it is switched off.

Measured by others on the chips that are named, in the sources that are named; nothing here ran on a device. What is published of it only by
one, or without its arithmetic (linear layers before hard swish, silu, gelu, NaN), is not simulated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

__all__ = ["LARGEST_PRODUCT", "TRAITS", "Trait"]

#: Largest magnitude of a convolution's or matrix product's result on the Neural Engine, as published: "about".
LARGEST_PRODUCT = 32750.0
#: Input from which on softplus gave 0 on M1 to M4, seen on a grid of 0.015.
_SOFTPLUS_END = 10.408
_LARGEST_HALF = 65504.0
#: 65504 / 16: the slices pass a fixed point with four bits behind it.
_LARGEST_SLICED = 4094.0

_ISSUES = "https://github.com/apple/coremltools/issues/"
_ANEFORGE = "https://github.com/sbryngelson/ANEForge/"
_M6 = "https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/blob/main/notes/numerics.md"

#: Arguments of an operator by name, as it runs.
_Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Trait:
    """One trait.

    Attributes:
        name: to switch it off by.
        text: what happens.
        chips: where it was seen.
        sources: addresses of who published it.
        operators: kinds that it is about; none: see ``arithmetic.py``.
        result: the operator's arguments and result → what the engine gives.
        exceeds: whether arguments lie past the published limit; None where the result, not finite, shows it.
    """

    name: str
    text: str
    chips: str
    sources: tuple[str, ...]
    operators: frozenset[str] = frozenset()
    result: Callable[[_Arguments, Tensor], Tensor] | None = None
    exceeds: Callable[[_Arguments], bool] | None = None


def _softplus(arguments: _Arguments, result: Tensor) -> Tensor:
    return torch.where(arguments["x"] > _SOFTPLUS_END, torch.zeros(()), result)


def _axes(arguments: _Arguments) -> list[int]:
    """Of a reduction, counted from the front; all where none are said."""
    rank, axes = arguments["x"].dim(), arguments.get("axes")
    return list(range(rank)) if axes is None else [int(axis) % rank for axis in torch.as_tensor(axes).reshape(-1)]


def _over_channels(arguments: _Arguments) -> bool:
    """Whether a reduction takes in axis 1 of maps."""
    return arguments["x"].dim() > 2 and 1 in _axes(arguments)


def _logsumexp(arguments: _Arguments, result: Tensor) -> Tensor:
    return torch.where(result.exp() > _LARGEST_HALF, torch.zeros(()), result) if _over_channels(arguments) else result


def _exceeds_logsumexp(arguments: _Arguments) -> bool:
    if not _over_channels(arguments):
        return False
    return bool((torch.logsumexp(arguments["x"], _axes(arguments)).exp() > _LARGEST_HALF).any())


def _slice(arguments: _Arguments, result: Tensor) -> Tensor:
    begin, mask = torch.as_tensor(arguments["begin"]).reshape(-1), arguments.get("begin_mask")
    masked = mask is not None and bool(torch.as_tensor(mask).reshape(-1)[-1])
    if masked or not begin.numel() or int(begin[-1]) == 0:
        return result
    return torch.where(result.abs() > _LARGEST_SLICED, torch.copysign(torch.tensor(torch.inf), result), result)


@cache
def _samples() -> Tensor:
    """σ(-8), σ(-7.5), … σ(8)."""
    return torch.sigmoid(torch.arange(33, dtype=torch.float64) / 2 - 8).float()


def _sigmoid(arguments: _Arguments, result: Tensor) -> Tensor:
    position = (arguments["x"].clamp(-8, 8) + 8) * 2
    left = position.floor().clamp(max=31)
    table = _samples()
    return torch.lerp(table[left.long()], table[left.long() + 1], position - left)


#: In the order in which they came.
TRAITS: dict[str, Trait] = {
    trait.name: trait
    for trait in (
        Trait(
            "product",
            f"results of convolutions and matrix products beyond {LARGEST_PRODUCT:g} are inf",
            "M1, M2, M4, M5, M6",
            (f"{_ANEFORGE}blob/main/docs/numeric-cliffs.md", _M6),
        ),
        Trait(
            "softplus",
            f"softplus is 0 above {_SOFTPLUS_END:g}",
            "M1 to M5",
            (f"{_ISSUES}2687", f"{_ANEFORGE}issues/113"),
            frozenset({"softplus"}),
            _softplus,
            lambda arguments: bool((arguments["x"] > _SOFTPLUS_END).any()),
        ),
        Trait(
            "logsumexp",
            "log-sum-exp over channels is 0 where the sum of exponentials passes 65504",
            "M1 to M4",
            (f"{_ISSUES}2690",),
            frozenset({"reduce_log_sum_exp"}),
            _logsumexp,
            _exceeds_logsumexp,
        ),
        Trait(
            "slice",
            f"a slice that begins inside the last axis turns values beyond {_LARGEST_SLICED:g} into inf",
            "A13, A14, M1, M2",
            (f"{_ANEFORGE}blob/main/docs/numeric-cliffs.md",),
            frozenset({"slice_by_index", "slice_by_size"}),
            _slice,
        ),
        Trait(
            "sigmoid",
            "sigmoid is interpolated between 33 points from -8 to 8",
            "M4, M6",
            (_M6,),
            frozenset({"sigmoid"}),
            _sigmoid,
        ),
        Trait(
            "ties",
            "what lies half-way between two float16 is rounded away from zero, not to the even one",
            "M2 Pro, M4, M5, M6",
            (_M6, f"{_ANEFORGE}blob/main/docs/numeric-cliffs.md"),
        ),
    )
}
