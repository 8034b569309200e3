"""Activations."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import Operator


def clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Values held between alpha and beta."""
    return torch.clamp(x, alpha, beta)


def leaky_relu(x: Tensor, alpha: Tensor) -> Tensor:
    """X where it is positive, alpha·x elsewhere."""
    return F.leaky_relu(x, float(alpha))


def softmax(x: Tensor, axis: Tensor | int = -1) -> Tensor:
    """Softmax along one axis."""
    return F.softmax(x, int(axis))


OPERATORS: dict[str, Operator] = {
    "clip": clip,
    "leaky_relu": leaky_relu,
    "relu": lambda x: F.relu(x),
    "relu6": lambda x: F.relu6(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "silu": lambda x: F.silu(x),
    "softmax": softmax,
    "tanh": lambda x: torch.tanh(x),
}
