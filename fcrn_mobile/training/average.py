"""An exponential moving average of a network's weights."""

import copy

import torch
from torch import Tensor, nn

from fcrn_mobile.network.fcrn import DepthNetwork

__all__ = ["MovingAverage"]


class MovingAverage(nn.Module):
    """Average of a network over its steps: a ← d·a + (1-d)·w, batch-norm statistics included.

    The decay d grows from 2/11 as (1+n)/(10+n) to ``decay``, so that the random start is forgotten (as TensorFlow's
    ExponentialMovingAverage does with ``num_updates``).

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
        steps = int(self.steps)
        weight = 1 - min(self.decay, (1 + steps) / (10 + steps))
        for average, current in zip(_values(self.network), _values(network), strict=True):
            if average.is_floating_point():
                average.lerp_(current, weight)
            else:
                average.copy_(current)

    def train(self, mode: bool = True) -> "MovingAverage":
        """Stays in evaluation mode: its batch norms are averaged, never fed."""
        return super().train(False)


def _values(network: DepthNetwork) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
