"""Cost of a network: parameters and multiply-accumulates."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_macs", "count_parameters"]


def count_macs(network: nn.Module, height: int, width: int) -> int:
    """Multiply-accumulates of all convolutions for one RGB image of height × width."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, height, width))
    return counter.get_total_flops() // 2


def count_parameters(network: nn.Module) -> int:
    """Trainable weights, batch-norm statistics left out."""
    return sum(parameter.numel() for parameter in network.parameters())
