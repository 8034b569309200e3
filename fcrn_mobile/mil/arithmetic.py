"""Arithmetic policies: what becomes of an operator's result.

``float32`` leaves it: stored weights, float32 arithmetic. ``float16`` rounds every tensor that the program declares as
float16 to the nearest float16 (subnormals kept, inf beyond 65504), while sums inside an operator stay wide, as the Neural
Engine's do (accumulation wider than fp16: ANEForge). Rounded values travel in float32 tensors, which hold them exactly.
``ane`` is ``float16`` with one published trait of the Neural Engine more: results of convolutions and matrix products beyond
about 32,750 become inf (ANEForge, M-series). It is a simulation, not a measurement of a device.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from fcrn_mobile.mil.ops import kinds
from fcrn_mobile.package.errors import MilError

__all__ = ["ANE_LARGEST_PRODUCT", "POLICIES", "SHOWN_AS", "Arithmetic", "apply", "check_policy", "largest"]

Arithmetic = Literal["float32", "float16", "ane"]
POLICIES: tuple[Arithmetic, ...] = get_args(Arithmetic)

#: Largest magnitude of a convolution's or matrix product's result on the Neural Engine, as published: "about".
ANE_LARGEST_PRODUCT = 32750.0

_PRODUCTS = kinds(lambda operator: operator.is_product)
_EXACT = kinds(lambda operator: operator.is_exact)
_FRESH = kinds(lambda operator: operator.fresh)

#: What a policy is called where its results are shown.
SHOWN_AS: dict[Arithmetic, str] = {
    "float32": "float32 arithmetic",
    "float16": "simulated float16 arithmetic",
    "ane": "a simulation of the Neural Engine's float16 arithmetic",
}


def check_policy(name: str) -> None:
    """Refuse an unknown policy.

    Raises:
        MilError: unknown name.
    """
    if name not in POLICIES:
        raise MilError(f"unknown arithmetic '{name}': use one of {', '.join(POLICIES)}")


def largest(policy: Arithmetic, operator: str, declared: str) -> float:
    """Magnitude beyond which an operator's result runs over; infinite if it is not declared as float16.

    Under ``float32`` nothing does in the run; the bound then is that of the float16 which a device would use.
    """
    if declared != "FLOAT16":
        return math.inf
    return ANE_LARGEST_PRODUCT if policy == "ane" and operator in _PRODUCTS else float(torch.finfo(torch.float16).max)


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
    value = _rounded(value, in_place=operator in _FRESH)
    if policy == "ane" and operator in _PRODUCTS:
        value = torch.where(value.abs() > ANE_LARGEST_PRODUCT, torch.copysign(torch.tensor(math.inf), value), value)
    return value


def _rounded(value: Tensor, in_place: bool) -> Tensor:
    """Nearest float16, held in float32."""
    half = value.to(torch.float16)
    return value.copy_(half) if in_place else half.to(torch.float32)
