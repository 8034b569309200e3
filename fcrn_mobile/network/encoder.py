"""What all encoders are to the rest of the network, and to what rewrites it."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

__all__ = ["EncoderNetwork", "InnerMap"]


@dataclass(frozen=True)
class InnerMap:
    """A map between two convolutions of an encoder that nothing else computes with: its channels may be scaled by factors > 0.

    Attributes:
        giver: the convolution that gives it, followed by a batch norm at most, and ReLU or ReLU6.
        reader: the convolution that reads it; None for what stands behind the encoder.
        clip: where ReLU6 stands behind, a module and the name of its child in front of that, an identity once the network is deployed.
        level: place in ``EncoderNetwork.maps`` if it is one of those, which laterals read too.
    """

    giver: nn.Module
    reader: nn.Module | None
    clip: tuple[nn.Module, str] | None = None
    level: int | None = None


class EncoderNetwork(nn.Module):
    """From an image N×3×H×W to maps at 1/2, 1/4 and so on of its size, to 1/32 unless a record says otherwise.

    Attributes:
        channels: of the maps that ``maps`` gives.
        out_channels: of the last.
    """

    channels: tuple[int, ...]

    @property
    def out_channels(self) -> int:
        return self.channels[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x)[-1]

    def maps(self, x: Tensor) -> list[Tensor]:
        """The last map of each size, the finest first."""
        raise NotImplementedError

    def residual_branches(self) -> Iterator[nn.Module]:
        """What ends each branch that is added to a shortcut, from the input to the output; none where there are no shortcuts."""
        return iter(())

    def inner_maps(self) -> Iterator[InnerMap]:
        """Maps that equalisation may scale, from the input to the output; none where nobody says so."""
        return iter(())
