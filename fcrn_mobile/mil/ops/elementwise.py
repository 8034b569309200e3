"""Elementwise arithmetic with broadcasting, and casts."""

import torch
from torch import Tensor

from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.ops.arguments import Operator

#: MIL's names; half precision is kept in float32 tensors, whose rounding is the arithmetic policy's business.
_DTYPES = {
    "fp16": torch.float32,
    "fp32": torch.float32,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "uint8": torch.uint8,
    "bool": torch.bool,
}


def cast(x: Tensor, dtype: str) -> Tensor:
    """Another data type; fractions are cut off."""
    if dtype not in _DTYPES:
        raise MilError(f"cast to '{dtype}' is not supported: known are {', '.join(_DTYPES)}")
    return x.to(_DTYPES[dtype])


OPERATORS: dict[str, Operator] = {
    "add": lambda x, y: torch.add(x, y),
    "cast": cast,
    "identity": lambda x: x,
    "maximum": lambda x, y: torch.maximum(x, y),
    "minimum": lambda x, y: torch.minimum(x, y),
    "mul": lambda x, y: torch.mul(x, y),
    "real_div": lambda x, y: torch.div(x, y),
    "sub": lambda x, y: torch.sub(x, y),
}
