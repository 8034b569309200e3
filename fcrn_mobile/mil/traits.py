"""Published traits of the Neural Engine's arithmetic beyond float16, each of which ``ane`` follows unless it is switched off.

Measured by others on the chips that are named, in the sources that are named; nothing here ran on a device. What is published of it only by
one, or without its arithmetic (linear layers before hard swish, silu, gelu, NaN), is not simulated.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.sources import Source

__all__ = ["LARGEST_HALF", "LARGEST_PRODUCT", "SOURCES", "TRAITS", "Trait", "begins_inside", "over_channels"]

#: Largest magnitude of a convolution's or matrix product's result on the Neural Engine, as published: "about".
LARGEST_PRODUCT = 32750.0
#: Input from which on softplus gave 0 on M1 to M4, seen on a grid of 0.015.
_SOFTPLUS_END = 10.408
#: Largest number of float16.
LARGEST_HALF = 65504.0
#: 65504 / 16: the slices pass a fixed point with four bits behind it.
_LARGEST_SLICED = 4094.0

#: Who published them, by key; doctor's rules name them by it, too.
SOURCES = {
    "2687": Source("coremltools #2687, softplus", "https://github.com/apple/coremltools/issues/2687"),
    "2690": Source("coremltools #2690, logsumexp over channels", "https://github.com/apple/coremltools/issues/2690"),
    "aneforge-softplus": Source("ANEForge #113, softplus (M5)", "https://github.com/sbryngelson/ANEForge/issues/113"),
    "cliffs": Source(
        "ANEForge, numeric correctness cliffs (M2 Pro, M5)", "https://github.com/sbryngelson/ANEForge/blob/main/docs/numeric-cliffs.md"
    ),
    "m6": Source(
        "751K, Neural Engine of M6: numerics, also measured on M4",
        "https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/blob/main/notes/numerics.md",
    ),
}

#: Arguments of an operator by name, as it runs.
_Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Trait:
    """One trait.

    Attributes:
        name: to switch it off by.
        text: what happens.
        chips: where it was seen.
        sources: who published it, keys of ``SOURCES``.
        operators: kinds that it is about; none: see ``arithmetic.py``.
        limit: what something has to pass; None where nothing has.
        result: the operator's arguments and result → what the engine gives.
        exceeds: whether arguments lie past the published limit; None where the result, not finite, shows it.
    """

    name: str
    text: str
    chips: str
    sources: tuple[str, ...]
    operators: frozenset[str] = frozenset()
    limit: float | None = None
    result: Callable[[_Arguments, Tensor], Tensor] | None = None
    exceeds: Callable[[_Arguments], bool] | None = None


def _softplus(arguments: _Arguments, result: Tensor) -> Tensor:
    return torch.where(arguments["x"] > _SOFTPLUS_END, torch.zeros(()), result)


def over_channels(rank: int, axes: Sequence[float]) -> bool:
    """Whether a reduction of maps of so many axes takes in their channels; over all axes where none are said."""
    return rank > 2 and (not axes or any(axis % rank == 1 for axis in axes))


def begins_inside(begin: Sequence[float], masks: Sequence[float]) -> bool:
    """Whether a slice that begins at these places, those with a mask left out, leaves away the beginning of the last axis."""
    return bool(begin) and begin[-1] != 0 and not (masks and masks[-1])


def _numbers(arguments: _Arguments, key: str) -> list[float]:
    value = arguments.get(key)
    return [] if value is None else list(torch.as_tensor(value).reshape(-1).tolist())


def _logsumexp(arguments: _Arguments, result: Tensor) -> Tensor:
    over = over_channels(arguments["x"].dim(), _numbers(arguments, "axes"))
    return torch.where(result > math.log(LARGEST_HALF), torch.zeros(()), result) if over else result


def _exceeds_logsumexp(arguments: _Arguments) -> bool:
    x, axes = arguments["x"], [int(axis) for axis in _numbers(arguments, "axes")]
    return over_channels(x.dim(), axes) and bool((torch.logsumexp(x, axes or list(range(x.dim()))) > math.log(LARGEST_HALF)).any())


def _slice(arguments: _Arguments, result: Tensor) -> Tensor:
    if not begins_inside(_numbers(arguments, "begin"), _numbers(arguments, "begin_mask")):
        return result
    return torch.where(result.abs() > _LARGEST_SLICED, torch.copysign(torch.tensor(torch.inf), result), result)


@cache
def _samples() -> Tensor:
    """σ(-8), σ(-7.5), … σ(8)."""
    return torch.sigmoid(torch.linspace(-8, 8, 33, dtype=torch.float64)).float()


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
            ("cliffs", "m6"),
            limit=LARGEST_PRODUCT,
        ),
        Trait(
            "softplus",
            f"softplus is 0 above {_SOFTPLUS_END:g}",
            "M1 to M5",
            ("2687", "aneforge-softplus"),
            frozenset({"softplus"}),
            _SOFTPLUS_END,
            _softplus,
            lambda arguments: bool((arguments["x"] > _SOFTPLUS_END).any()),
        ),
        Trait(
            "logsumexp",
            f"log-sum-exp over channels is 0 where the sum of exponentials passes {LARGEST_HALF:g}",
            "M1 to M4",
            ("2690",),
            frozenset({"reduce_log_sum_exp"}),
            LARGEST_HALF,
            _logsumexp,
            _exceeds_logsumexp,
        ),
        Trait(
            "slice",
            f"a slice that begins inside the last axis turns values beyond {_LARGEST_SLICED:g} into inf",
            "A13, A14, M1, M2",
            ("cliffs",),
            frozenset({"slice_by_index", "slice_by_size"}),
            _LARGEST_SLICED,
            _slice,
        ),
        Trait(
            "sigmoid",
            "sigmoid is interpolated between 33 points from -8 to 8",
            "M4, M6",
            ("m6",),
            frozenset({"sigmoid"}),
            result=_sigmoid,
        ),
        Trait(
            "ties",
            "what lies half-way between two float16 is rounded away from zero, not to the even one",
            "M2 Pro, M4, M5, M6",
            ("m6", "cliffs"),  # the latter by one number: 2049 was read as 2050
        ),
    )
}
