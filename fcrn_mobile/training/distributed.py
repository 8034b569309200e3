"""What the processes of one run have to agree on; alone, a process agrees with itself."""

from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["SyncedBatchNorm", "T", "gather", "maximum", "processes", "share", "synchronise_batch_norms"]

T = TypeVar("T")


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def maximum(value: Tensor) -> Tensor:
    """The largest of all processes' scalars."""
    if processes() > 1:
        value = value.clone()
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value


def share(count: Tensor) -> float:
    """What a mean over this process's ``count`` items weighs in the mean of all processes' means; 1 alone, 0 if it has none.

    With unequal counts nᵢ on P processes, mean over all items = (1/P)·Σ meanᵢ·(P·nᵢ/Σn).
    """
    own = float(count)
    if processes() == 1:
        return float(own > 0)
    total = count.detach().double().clone()
    dist.all_reduce(total)
    return processes() * own / float(total) if total > 0 else 0.0


def gather(value: T) -> list[T]:
    """Every process's value, in order of rank."""
    if processes() == 1:
        return [value]
    values: list[Any] = [None] * processes()
    dist.all_gather_object(values, value)
    return values


class _Sum(torch.autograd.Function):
    """Sum over processes; its gradient is the sum of their gradients, since each value is part of every process's result."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, on any device; torch's own ``SyncBatchNorm`` runs on accelerators only.

    Same parameters, buffers and results as ``nn.BatchNorm2d`` over the whole batch (Ioffe & Szegedy 2015, arXiv 1502.03167).
    """

    @classmethod
    def of(cls, norm: nn.BatchNorm2d) -> "SyncedBatchNorm":
        """The synced form of a batch norm, with the same tensors as parameters and buffers."""
        synced = cls(norm.num_features, norm.eps, norm.momentum).train(norm.training)
        synced.weight, synced.bias = norm.weight, norm.bias
        synced.running_mean, synced.running_var = norm.running_mean, norm.running_var
        synced.num_batches_tracked = norm.num_batches_tracked
        return synced

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or processes() == 1:
            return super().forward(input)
        # The mean first and the spread about it second: a difference of squares would cancel.
        count = torch.full((1,), input.numel() / input.shape[1], dtype=torch.float64, device=input.device)
        summed: Tensor = _Sum.apply(torch.cat([input.double().sum((0, 2, 3)), count]))
        mean = (summed[:-1] / summed[-1]).view(1, -1, 1, 1)
        variance: Tensor = _Sum.apply((input.double() - mean).square().sum((0, 2, 3))) / summed[-1]
        self._track(mean.flatten().detach(), variance.detach(), summed[-1].item())
        scale = torch.rsqrt(variance + self.eps).view(1, -1, 1, 1)
        normalised = ((input.double() - mean) * scale).to(input.dtype)
        return normalised * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def _track(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_((variance * count / (count - 1)).to(self.running_var.dtype), momentum)


def synchronise_batch_norms(network: nn.Module) -> None:
    """Replace every batch norm within a network by its synced form; parameters and buffers stay the same tensors, under the same names."""
    for name, module in list(network.named_modules()):
        if type(module) is nn.BatchNorm2d:
            network.set_submodule(name, SyncedBatchNorm.of(module))
