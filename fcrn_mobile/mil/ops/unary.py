"""Elementwise functions of one tensor."""

import torch
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import Operator
from fcrn_mobile.mil.ops.elementwise import to_integer


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


OPERATORS: dict[str, Operator] = {
    "abs": lambda x: torch.abs(x),
    "acos": lambda x: torch.acos(x),
    "asin": lambda x: torch.asin(x),
    "atan": lambda x: torch.atan(x),
    "atanh": lambda x: torch.atanh(x),
    "ceil": lambda x: torch.ceil(x),
    "clip": clip,
    "cos": lambda x: torch.cos(x),
    "cosh": lambda x: torch.cosh(x),
    "erf": lambda x: torch.erf(x),
    "exp": lambda x: torch.exp(x),
    "exp2": exp2,
    "floor": lambda x: torch.floor(x),
    "inverse": inverse,
    "log": log,
    "round": lambda x: torch.round(x),
    "rsqrt": rsqrt,
    "sign": sign,
    "sin": lambda x: torch.sin(x),
    "sinh": lambda x: torch.sinh(x),
    "sqrt": lambda x: torch.sqrt(x),
    "square": lambda x: torch.square(x),
    "tan": lambda x: torch.tan(x),
    "tanh": lambda x: torch.tanh(x),
    "threshold": threshold,
}
