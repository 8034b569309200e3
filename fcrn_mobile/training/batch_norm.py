"""Batch-norm statistics measured anew, for a network whose own are of other weights or of other images than it will meet."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.training import distributed

__all__ = ["Moments", "reestimate"]


class Moments:
    """A forward pre-hook on a batch norm: count, mean and mean square of each channel over all maps that it is given, in double."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: Tensor | float = 0.0
        self.squares: Tensor | float = 0.0

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        count = inputs[0].numel() // inputs[0].shape[1]
        variance, mean = (each.cpu().double() for each in torch.var_mean(inputs[0], (0, 2, 3), correction=0))
        self.add(count, mean * count, (variance + mean.square()) * count)

    def add(self, count: int, sums: Tensor | float, squares: Tensor | float) -> None:
        self.count, self.sums, self.squares = self.count + count, self.sums + sums, self.squares + squares

    @property
    def mean_and_variance(self) -> tuple[Any, Any]:
        """Of each channel; the variance as batch norms keep it, over count - 1."""
        mean = self.sums / self.count
        return mean, (self.squares / self.count - mean**2) * (self.count / max(1, self.count - 1))


@torch.no_grad()
def reestimate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every batch norm the mean and variance of what it meets in some batches (Wu & Johnson 2021, arXiv 2105.07576, section 3).

    Each batch is normalised by its own statistics, as in training, and all pixels of all batches count alike. Of several processes each
    brings as many batches of its own.

    Args:
        network: changed in place, in those statistics and their count of batches alone.
        batches: images N×3×H×W in 0..1, on the network's device.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)]
    modes = {module: module.training for module in network.modules()}
    moments = [Moments() for _ in norms]
    hooks = [norm.register_forward_pre_hook(each) for norm, each in zip(norms, moments, strict=True)]
    network.eval()
    for norm in norms:
        norm.training = True
    for images in batches:
        network(images)
    for hook in hooks:
        hook.remove()
    for module, mode in modes.items():
        module.training = mode
    for norm, *parts in zip(norms, *distributed.gather([(each.count, each.sums, each.squares) for each in moments]), strict=True):
        total = Moments()
        for part in parts:
            total.add(*part)
        if total.count and norm.running_mean is not None and norm.running_var is not None:
            mean, variance = total.mean_and_variance
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
