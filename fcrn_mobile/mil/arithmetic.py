"""Arithmetic policies: what becomes of an operator's result.

``float32`` leaves it: stored weights, float32 arithmetic. ``float16`` rounds every tensor that the program declares as
float16 to the nearest float16 (subnormals kept, inf beyond 65504), while sums inside an operator stay wide, as the Neural
Engine's do (accumulation wider than fp16: ANEForge). Rounded values travel in float32 tensors, which hold them exactly.
``ane`` is ``float16`` with the published traits of the Neural Engine (``traits.py``); those that are switched off stand behind it,
``ane without softplus, ties``. It is a simulation, not a measurement of a device.
"""

import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.mil.traits import LARGEST_PRODUCT, TRAITS, Trait
from fcrn_mobile.package.errors import MilError

__all__ = [
    "POLICIES",
    "Arithmetic",
    "apply",
    "check_policy",
    "follow",
    "largest",
    "passed",
    "shown_as",
    "without_traits",
]

Arithmetic = Literal["float32", "float16", "ane"]
POLICIES: tuple[Arithmetic, ...] = get_args(Arithmetic)

_PRODUCTS = kinds(lambda operator: operator.is_product)
_EXACT = kinds(lambda operator: operator.is_exact)
_FRESH = kinds(lambda operator: operator.fresh)

_WITHOUT = " without "
#: What a policy is called where its results are shown.
_SHOWN_AS: dict[str, str] = {
    "float32": "float32 arithmetic",
    "float16": "simulated float16 arithmetic",
    "ane": "a simulation of the Neural Engine's float16 arithmetic",
}


def check_policy(name: str) -> None:
    """Refuse an unknown policy.

    Raises:
        MilError: unknown name.
    """
    base, _, off = name.partition(_WITHOUT)
    if base not in POLICIES or (off and base != "ane"):
        raise MilError(f"unknown arithmetic '{name}': use one of {', '.join(POLICIES)}")
    unknown = sorted(set(filter(None, off.split(", "))) - set(TRAITS))
    if unknown:
        raise MilError(f"unknown trait '{unknown[0]}' of ane: leave out some of {', '.join(TRAITS)}")


def without_traits(policy: str, names: Iterable[str]) -> str:
    """A policy with traits switched off, in whatever order they are named.

    Raises:
        MilError: it has no traits, or not one of these.
    """
    left_out = set(names)
    off = ", ".join([*(name for name in TRAITS if name in left_out), *sorted(left_out - set(TRAITS))])
    if off and policy != "ane":
        raise MilError(f"arithmetic '{policy}' has no traits to leave out: use ane")
    policy = f"{policy}{_WITHOUT}{off}" if off else policy
    check_policy(policy)
    return policy


def shown_as(policy: str) -> str:
    """What a policy is called where its results are shown."""
    base, between, off = policy.partition(_WITHOUT)
    return f"{_SHOWN_AS[base]}{between}{off}"


@cache
def _traits(policy: str) -> dict[str, Trait]:
    """Those that a policy follows."""
    base, _, off = policy.partition(_WITHOUT)
    return {name: trait for name, trait in TRAITS.items() if name not in off.split(", ")} if base == "ane" else {}


@cache
def _traits_of(policy: str, operator: str) -> tuple[Trait, ...]:
    return tuple(trait for trait in _traits(policy).values() if operator in trait.operators)


def follow(policy: Arithmetic, operator: str, arguments: Mapping[str, Any], declared: str, result: Any) -> Any:
    """An operator's result with what the engine does otherwise, before it is rounded.

    Args:
        policy: the arithmetic.
        operator: MIL's name of it.
        arguments: as it ran.
        declared: data type of the result as the program declares it.
        result: of the operator.
    """
    if declared == "FLOAT16" and isinstance(result, Tensor):
        for trait in _traits_of(policy, operator):
            result = trait.result(arguments, result) if trait.result else result
    return result


def passed(policy: Arithmetic, operator: str, arguments: Mapping[str, Any], declared: str) -> Trait | None:
    """The trait past whose published limit the arguments of an operator lie, where its result does not show it; None for none."""
    traits = _traits_of(policy, operator) if declared == "FLOAT16" else ()
    return next((trait for trait in traits if trait.exceeds and trait.exceeds(arguments)), None)


def largest(policy: Arithmetic, operator: str, declared: str) -> float:
    """Magnitude beyond which an operator's result runs over; infinite if it is not declared as float16.

    Under ``float32`` nothing does in the run; the bound then is that of the float16 which a device would use.
    """
    if declared != "FLOAT16":
        return math.inf
    limited = "product" in _traits(policy) and operator in _PRODUCTS
    return LARGEST_PRODUCT if limited else float(torch.finfo(torch.float16).max)


def apply(policy: Arithmetic, operator: str, declared: str, value: Tensor) -> Tensor:
    """An operator's result under a policy.

    Args:
        policy: the arithmetic.
        operator: MIL's name of it.
        declared: data type of the result as the program declares it.
        value: the result; it may be overwritten.
    """
    if policy == "float32" or declared != "FLOAT16" or operator in _EXACT or not value.is_floating_point():
        return value
    traits = _traits(policy)
    if "ties" in traits and not operator.startswith("constexpr_"):
        value = _away_from_even(value)
    value = _rounded(value, in_place=operator in _FRESH)
    if "product" in traits and operator in _PRODUCTS:
        value = torch.where(value.abs() > LARGEST_PRODUCT, torch.copysign(torch.tensor(math.inf), value), value)
    return value


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
