"""Elementwise functions of one tensor."""

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.elementwise import to_integer
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "clip", "exp2", "inverse", "log", "rsqrt", "sign", "threshold"]


def clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Values held between alpha and beta."""
    return torch.clamp(x, float(alpha), float(beta))


def exp2(x: Tensor) -> Tensor:
    """2 to the x; of integers an integer, the fraction cut off."""
    return torch.exp2(x) if x.is_floating_point() else to_integer(torch.exp2(x.double()), x.dtype)


def inverse(x: Tensor, epsilon: Tensor | float = 1e-4) -> Tensor:
    """1 / (x + epsilon)."""
    return x.add(float(epsilon)).reciprocal_()


def log(x: Tensor, epsilon: Tensor | float = 1e-45) -> Tensor:
    """Natural logarithm of x + epsilon."""
    return x.add(float(epsilon)).log_()


def rsqrt(x: Tensor, epsilon: Tensor | float = 1e-12) -> Tensor:
    """1 / √(x + epsilon)."""
    return x.add(float(epsilon)).rsqrt_()


def sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; NaN of NaN, which torch would take for 0."""
    return torch.where(x == x, torch.sign(x), x) if x.is_floating_point() else torch.sign(x)


def threshold(x: Tensor, alpha: Tensor) -> Tensor:
    """Values not below alpha."""
    return torch.clamp(x, min=alpha.item())


OPERATORS = {
    "abs": Operator(lambda x: torch.abs(x), "picked"),
    "acos": Operator(lambda x: torch.acos(x), "computed"),
    "asin": Operator(lambda x: torch.asin(x), "computed"),
    "atan": Operator(lambda x: torch.atan(x), "computed"),
    "atanh": Operator(lambda x: torch.atanh(x), "computed"),
    "ceil": Operator(lambda x: torch.ceil(x), "exact"),
    "clip": Operator(clip, "exact", free=True),
    "cos": Operator(lambda x: torch.cos(x), "computed"),
    "cosh": Operator(lambda x: torch.cosh(x), "computed"),
    "erf": Operator(lambda x: torch.erf(x), "computed"),
    "exp": Operator(lambda x: torch.exp(x), "computed"),
    "exp2": Operator(exp2, "computed"),
    "floor": Operator(lambda x: torch.floor(x), "exact"),
    "inverse": Operator(inverse, "computed"),
    "log": Operator(log, "computed"),
    "round": Operator(lambda x: torch.round(x), "exact"),
    "rsqrt": Operator(rsqrt, "computed"),
    "sign": Operator(sign, "exact"),
    "sin": Operator(lambda x: torch.sin(x), "computed"),
    "sinh": Operator(lambda x: torch.sinh(x), "computed"),
    "sqrt": Operator(lambda x: torch.sqrt(x), "computed"),
    "square": Operator(lambda x: torch.square(x), "computed"),
    "tan": Operator(lambda x: torch.tan(x), "computed"),
    "tanh": Operator(lambda x: torch.tanh(x), "computed", activation=True, free=True),
    "threshold": Operator(threshold, "exact"),
}
