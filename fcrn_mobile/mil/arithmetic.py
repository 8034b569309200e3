"""Arithmetic policies: what becomes of an operator's result.

``float32`` leaves it: stored weights, float32 arithmetic. ``float16`` rounds every tensor that the program declares as
float16 to the nearest float16 (subnormals kept, inf beyond 65504), while sums inside an operator stay wide, as the Neural
Engine's do (accumulation wider than fp16: ANEForge). Rounded values travel in float32 tensors, which hold them exactly.
"""

from typing import Literal, get_args

import torch
from torch import Tensor

from fcrn_mobile.mil.errors import MilError

Arithmetic = Literal["float32", "float16"]
POLICIES: tuple[Arithmetic, ...] = get_args(Arithmetic)

#: Operators whose results are values of their inputs: rounding them again changes nothing.
_MOVES_VALUES = frozenset(
    {
        "concat",
        "crop",
        "expand_dims",
        "identity",
        "max_pool",
        "pad",
        "pixel_shuffle",
        "relu",
        "reshape",
        "split",
        "squeeze",
        "stack",
        "transpose",
    }
)


def check_policy(name: str) -> None:
    """Refuse an unknown policy.

    Raises:
        MilError: unknown name.
    """
    if name not in POLICIES:
        raise MilError(f"unknown arithmetic '{name}': use one of {', '.join(POLICIES)}")


def rounds(policy: Arithmetic, operator: str, declared: str) -> bool:
    """Whether a result of this operator, declared as this data type, has to be rounded to float16."""
    return policy == "float16" and declared == "FLOAT16" and operator not in _MOVES_VALUES


def to_float16(value: Tensor) -> Tensor:
    """Nearest float16, held in float32."""
    return value.to(torch.float16).to(torch.float32)
