"""Inverse depth at several scales of the decoder, for training: the network itself keeps its one head."""

import torch
from torch import Tensor, nn

from fcrn_mobile.network.fcrn import FCRN, FCRNConfig

__all__ = ["InverseDepths"]


class InverseDepths(nn.Module):
    """Inverse depth maps of a network: its own, and those of heads on the up-blocks before the last.

    Args:
        config: of the network; its ``inverse_depth`` is set.
        scales: how many, at least 1; as many as there are up-blocks if that is fewer.
        maps: per scale: 1, or 2 where another camera's map is wanted beside the network's own.
    """

    def __init__(self, config: FCRNConfig, scales: int, maps: int = 1) -> None:
        super().__init__()
        widths = config.widths[1:][-scales:]
        self.beside = nn.Conv2d(widths[-1], maps - 1, 3, padding=1) if maps > 1 else None
        self.coarser = nn.ModuleList(nn.Conv2d(width, maps, 3, padding=1) for width in reversed(widths[:-1]))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)  # as the network's own head
                nn.init.constant_(module.bias, config.first_prediction)  # type: ignore[arg-type]

    def forward(self, network: FCRN, images: Tensor) -> list[Tensor]:
        """N×maps×h×w per scale, the finest first, each half as high and wide as the one before; the network's own map comes first."""
        # Depthwise convolutions run backward several times slower in NCHW.
        *coarse, x = network.decoded(images.contiguous(memory_format=torch.channels_last))
        finest = network.head(x) if self.beside is None else torch.cat((network.head(x), self.beside(x)), dim=1)
        coarser = [head(x) for head, x in zip(self.coarser, reversed(coarse), strict=False)]
        return [network.inverse_depth(raw.float()) for raw in (finest, *coarser)]
