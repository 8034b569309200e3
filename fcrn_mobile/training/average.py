"""An exponential moving average of a network's weights."""

import copy

import torch
from torch import Tensor, nn

from fcrn_mobile.network.fcrn import DepthNetwork

__all__ = ["MovingAverage", "averaged_values", "newest_share"]


def newest_share(steps: int, decay: float) -> float:
    """The weight 1-d of the network as it is after so many steps.

    d grows from 2/11 as (1+n)/(10+n) to ``decay``, so that the random start is forgotten (as TensorFlow's ExponentialMovingAverage does
    with ``num_updates``).
    """
    return 1 - min(decay, (1 + steps) / (10 + steps))


def averaged_values(network: nn.Module) -> list[Tensor]:
    """What is averaged: weights and statistics."""
    return [*network.parameters(), *network.buffers()]


class MovingAverage(nn.Module):
    """Average of a network over its steps: a ← d·a + (1-d)·w, see ``newest_share``, batch-norm statistics included.

    Args:
        network: copied.
        decay: d in the long run, 0 to 1.
    """

    steps: Tensor

    def __init__(self, network: DepthNetwork, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: DepthNetwork) -> None:
        """Take in the network's weights after a step."""
        self.steps += 1
        weight = newest_share(int(self.steps), self.decay)
        for average, current in zip(averaged_values(self.network), averaged_values(network), strict=True):
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)

    def train(self, mode: bool = True) -> "MovingAverage":
        """Stays in evaluation mode: its batch norms are averaged, never fed."""
        return super().train(False)
