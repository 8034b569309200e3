"""Arithmetic policies: what becomes of an operator's result.

``float32`` leaves it: stored weights, float32 arithmetic. ``float16`` rounds every tensor that the program declares as
float16 to the nearest float16 (subnormals kept, inf beyond 65504), while sums inside an operator stay wide, as the Neural
Engine's do (accumulation wider than fp16: ANEForge). Rounded values travel in float32 tensors, which hold them exactly.
``ane`` is ``float16`` with the published traits of the Neural Engine (``traits.py``), of which some may be left out. It is a simulation,
not a measurement of a device.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import torch
from torch import Tensor

from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.mil.traits import LARGEST_PRODUCT, TRAITS, Trait
from fcrn_mobile.package.errors import MilError

__all__ = ["ANE", "FLOAT16", "FLOAT32", "POLICIES", "Arithmetic"]

_PRODUCTS = kinds(lambda operator: operator.is_product)
_EXACT = kinds(lambda operator: operator.is_exact)
_FRESH = kinds(lambda operator: operator.fresh)

_WITHOUT = " without "


@dataclass(frozen=True)
class Arithmetic:
    """A policy.

    Attributes:
        name: one of ``POLICIES``.
        without: traits of ``ane`` that are left out, in the order of ``TRAITS``.
    """

    name: str
    without: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: "Self | str", without: Iterable[str] = ()) -> "Self":
        """The one that a text names, such as ``ane`` or ``ane without softplus, ties``.

        Args:
            text: its name; one that is read already stays as it is.
            without: further traits to leave out, in whatever order.

        Raises:
            MilError: unknown name, one that has no traits, or not one of these.
        """
        name, _, traits = str(text).partition(_WITHOUT)
        left_out = {*filter(None, traits.split(", ")), *without}
        if name not in POLICIES:
            raise MilError(f"unknown arithmetic '{name}': use one of {', '.join(POLICIES)}")
        if left_out and name != ANE.name:
            raise MilError(f"arithmetic '{name}' has no traits to leave out: use ane")
        if unknown := sorted(left_out - set(TRAITS)):
            raise MilError(f"unknown trait '{unknown[0]}' of ane: leave out some of {', '.join(TRAITS)}")
        return cls(name, tuple(trait for trait in TRAITS if trait in left_out))

    def __str__(self) -> str:
        return f"{self.name}{self._left_out}"

    @property
    def title(self) -> str:
        """What it is called where its results are shown."""
        return f"{POLICIES[self.name]}{self._left_out}"

    @property
    def _left_out(self) -> str:
        return f"{_WITHOUT}{', '.join(self.without)}" if self.without else ""

    def follow(self, operator: str, arguments: Mapping[str, Any], declared: str, result: Any) -> Any:
        """An operator's result with what the engine does otherwise, before it is rounded.

        Args:
            operator: MIL's name of it.
            arguments: as it ran.
            declared: data type of the result as the program declares it.
            result: of the operator.
        """
        if declared == "FLOAT16" and isinstance(result, Tensor):
            for trait in _traits_of(self, operator):
                result = trait.result(arguments, result) if trait.result else result
        return result

    def passed(self, operator: str, arguments: Mapping[str, Any], declared: str) -> Trait | None:
        """The trait past whose published limit the arguments of an operator lie, where its result does not show it; None for none."""
        traits = _traits_of(self, operator) if declared == "FLOAT16" else ()
        return next((trait for trait in traits if trait.exceeds and trait.exceeds(arguments)), None)

    def largest(self, operator: str, declared: str) -> float:
        """Magnitude beyond which an operator's result runs over; infinite if it is not declared as float16.

        Under ``float32`` nothing does in the run; the bound then is that of the float16 which a device would use.
        """
        if declared != "FLOAT16":
            return math.inf
        limited = "product" in _traits(self) and operator in _PRODUCTS
        return LARGEST_PRODUCT if limited else float(torch.finfo(torch.float16).max)

    def apply(self, operator: str, declared: str, value: Tensor) -> Tensor:
        """An operator's result under the policy.

        Args:
            operator: MIL's name of it.
            declared: data type of the result as the program declares it.
            value: the result; it may be overwritten.
        """
        if self.name == FLOAT32.name or declared != "FLOAT16" or operator in _EXACT or not value.is_floating_point():
            return value
        traits = _traits(self)
        if "ties" in traits and not operator.startswith("constexpr_"):
            value = _away_from_even(value)
        value = _rounded(value, in_place=operator in _FRESH)
        if "product" in traits and operator in _PRODUCTS:
            value = torch.where(value.abs() > LARGEST_PRODUCT, torch.copysign(torch.tensor(math.inf), value), value)
        return value


FLOAT32, FLOAT16, ANE = Arithmetic("float32"), Arithmetic("float16"), Arithmetic("ane")
#: By name: what it is called where its results are shown.
POLICIES = {
    FLOAT32.name: "float32 arithmetic",
    FLOAT16.name: "simulated float16 arithmetic",
    ANE.name: "a simulation of the Neural Engine's float16 arithmetic",
}


@cache
def _traits(policy: Arithmetic) -> dict[str, Trait]:
    """Those that a policy follows."""
    return {name: trait for name, trait in TRAITS.items() if name not in policy.without} if policy.name == ANE.name else {}


@cache
def _traits_of(policy: Arithmetic, operator: str) -> tuple[Trait, ...]:
    return tuple(trait for trait in _traits(policy).values() if operator in trait.operators)


def _rounded(value: Tensor, in_place: bool) -> Tensor:
    """Nearest float16, held in float32."""
    half = value.to(torch.float16)
    return value.copy_(half) if in_place else half.to(torch.float32)


def _away_from_even(value: Tensor) -> Tensor:
    """What lies half-way between two float16, moved to the larger magnitude; all else as it is, so that rounding takes it the same way."""
    half = value.to(torch.float16).to(torch.float32)
    doubled = 2 * (value - half)
    other = half + doubled
    # A tie: the value is as far from another float16 as from the one that it was rounded to, which is the smaller.
    tie = (doubled != 0) & (other.to(torch.float16).to(torch.float32) == other) & (other.abs() > half.abs())
    return torch.where(tie, other, value)
