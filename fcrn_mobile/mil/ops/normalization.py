"""Normalizations."""

import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator

__all__ = ["OPERATORS", "batch_norm", "instance_norm", "l2_norm", "layer_norm", "local_response_norm"]


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """gamma·(x - mean)/√(variance + epsilon) + beta per channel; x N×C×spatial."""
    return F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, float(epsilon))


def instance_norm(x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: Tensor | float = 1e-5) -> Tensor:
    """gamma·(x - mean)/√(variance + epsilon) + beta per channel, mean and variance of each image's own plane; x N×C×spatial."""
    # torch's own instance norm folds the mean into an offset, which leaves noise where a plane is constant; this is exact, and faster.
    out = F.layer_norm(x, x.shape[2:], None, None, float(epsilon))
    channels = (-1, *[1] * (x.dim() - 2))
    if gamma is not None:
        out = out.mul_(gamma.reshape(channels))
    return out if beta is None else out.add_(beta.reshape(channels))


def l2_norm(x: Tensor, epsilon: Tensor | float = 1e-6) -> Tensor:
    """x/√(Σx² + epsilon), the sum taken over the last three axes."""
    return x / x.square().sum((-3, -2, -1), keepdim=True).add_(float(epsilon)).sqrt_()


def layer_norm(
    x: Tensor,
    axes: Tensor | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: Tensor | float = 1e-5,
) -> Tensor:
    """gamma·(x - mean)/√(variance + epsilon) + beta, mean and variance over these axes (all by default).

    gamma and beta have the lengths of these axes, in ascending order.
    """
    rank = x.dim()
    dims = sorted(axis % rank for axis in ints(axes)) if axes is not None else list(range(rank))
    shape = [x.shape[dim] for dim in dims]
    last = list(range(rank - len(dims), rank))
    if dims == last:
        return F.layer_norm(x, shape, gamma, beta, float(epsilon))
    # Axes moved to the end and back cost less than the formula in several passes.
    return F.layer_norm(x.movedim(dims, last), shape, gamma, beta, float(epsilon)).movedim(last, dims)


def local_response_norm(
    x: Tensor,
    size: Tensor | int,
    alpha: Tensor | float = 1e-4,
    beta: Tensor | float = 0.75,
    k: Tensor | float = 1.0,
) -> Tensor:
    """x/(k + alpha/size·Σx²)^beta, the sum taken over ``size`` neighbouring channels; x N×C×spatial.

    Channels beyond the border count as 0; of an even size one more channel lies before than behind, as in torch.
    """
    return F.local_response_norm(x, int(size), float(alpha), float(beta), float(k))


OPERATORS = {
    "batch_norm": Operator(batch_norm, "computed", fresh=True, free=True),
    "instance_norm": Operator(instance_norm, "computed"),
    "l2_norm": Operator(l2_norm, "computed"),
    "layer_norm": Operator(layer_norm, "computed", fresh=True),
    "local_response_norm": Operator(local_response_norm, "computed"),
}
