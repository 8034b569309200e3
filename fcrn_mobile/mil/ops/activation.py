"""Activations: functions of one tensor with constants alpha and beta."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = [
    "OPERATORS",
    "clamped_relu",
    "elu",
    "gelu",
    "leaky_relu",
    "linear_activation",
    "prelu",
    "scaled_tanh",
    "sigmoid_hard",
    "softmax",
    "softplus_parametric",
    "thresholded_relu",
]


def clamped_relu(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """min(beta, x) where x is not negative, min(beta, alpha·x) elsewhere."""
    return F.leaky_relu(x, float(alpha)).clamp_(max=float(beta))


def elu(x: Tensor, alpha: Tensor) -> Tensor:
    """X where it is positive, alpha·(eˣ - 1) elsewhere."""
    return F.elu(x, float(alpha))


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """Gaussian error linear unit, exact or approximated.

    ``EXACT`` x·(1 + erf(x/√2))/2; ``TANH_APPROXIMATION`` x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2;
    ``SIGMOID_APPROXIMATION`` x·sigmoid(1.702·x).

    Raises:
        MilError: another mode.
    """
    if mode == "EXACT":
        return F.gelu(x)
    if mode == "TANH_APPROXIMATION":
        return F.gelu(x, approximate="tanh")
    if mode == "SIGMOID_APPROXIMATION":
        return x.mul(1.702).sigmoid_().mul_(x)
    raise MilError(f"gelu of mode '{mode}' is not one of EXACT, TANH_APPROXIMATION, SIGMOID_APPROXIMATION: export the package again")


def leaky_relu(x: Tensor, alpha: Tensor) -> Tensor:
    """X where it is positive, alpha·x elsewhere."""
    return F.leaky_relu(x, float(alpha))


def linear_activation(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha·x + beta."""
    return x.mul(float(alpha)).add_(float(beta))


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """X where it is positive, alpha·x elsewhere; x N×C×spatial, one alpha per channel."""
    return F.prelu(x, alpha)


def scaled_tanh(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha·tanh(beta·x)."""
    return x.mul(float(beta)).tanh_().mul_(float(alpha))


def sigmoid_hard(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha·x + beta, held between 0 and 1."""
    return x.mul(float(alpha)).add_(float(beta)).clamp_(0.0, 1.0)


def softmax(x: Tensor, axis: Tensor | int = -1) -> Tensor:
    """eˣ, divided by its sum along one axis."""
    return F.softmax(x, int(axis))


def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha·log(1 + e^(beta·x)); x N×C×spatial, one alpha and beta per channel."""
    channels = (-1, *[1] * (x.dim() - 2))
    return F.softplus(x * beta.reshape(channels)).mul_(alpha.reshape(channels))


def thresholded_relu(x: Tensor, alpha: Tensor) -> Tensor:
    """X where it is at least alpha, 0 elsewhere."""
    # torch keeps only what is greater than its threshold: the number just below alpha keeps alpha itself, in one pass.
    return F.threshold(x, float(torch.nextafter(alpha, alpha - torch.inf)), 0.0)


OPERATORS = {
    "clamped_relu": Operator(clamped_relu, "computed", free=True),
    "elu": Operator(elu, "computed", free=True),
    "gelu": Operator(gelu, "computed", fresh=True, free=True),
    "leaky_relu": Operator(leaky_relu, "scaled", channelwise=True, activation=True, free=True),
    "linear_activation": Operator(linear_activation, "computed", free=True),
    "prelu": Operator(prelu, "scaled", channelwise=True, free=True),
    "relu": Operator(lambda x: F.relu(x), "picked", channelwise=True, activation=True, free=True),
    "relu6": Operator(lambda x: F.relu6(x), "exact", activation=True, free=True),
    "scaled_tanh": Operator(scaled_tanh, "computed", activation=True, free=True),
    "sigmoid": Operator(lambda x: torch.sigmoid(x), "computed", fresh=True, activation=True, free=True),
    "sigmoid_hard": Operator(sigmoid_hard, "computed", free=True),
    "silu": Operator(lambda x: F.silu(x), "computed", fresh=True, free=True),
    "softmax": Operator(softmax, "computed", fresh=True),
    "softplus": Operator(lambda x: F.softplus(x), "computed", free=True),
    "softplus_parametric": Operator(softplus_parametric, "computed"),
    "softsign": Operator(lambda x: F.softsign(x), "computed", free=True),
    "thresholded_relu": Operator(thresholded_relu, "exact", free=True),
}
