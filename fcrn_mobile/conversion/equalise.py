"""Cross-layer equalisation (Nagel et al. 2019, arXiv 1906.04721, section 4.1) of a deployed network, for all values of its input.

A channel between two convolutions may be divided by a factor where it is given and multiplied by it where it is read. ReLU lets the
factor pass. ReLU6 does not, because its 6 has to be divided too: here a minimum with one constant per channel goes in front of it, and
factors are chosen ≥ 1, so that this minimum, never above 6, decides alone. The network stays the same function exactly, whatever it is
given, at the price of one elementwise operator where factors are worth something; where they are not, nothing is touched.
"""

import re
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fcrn_mobile.conversion.balance import Link, Side, balance
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network.decoders import ConvBilinear
from fcrn_mobile.network.deploy import DeployedUpConv, DeployedUpProj, FourPhaseConv, FusedPhaseConv
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.laterals import Lateral
from fcrn_mobile.quantize.scheme import Scheme

__all__ = ["UpperBound", "equalise", "links"]


class UpperBound(nn.Module):
    """min(x, bound), N×C×H×W with a bound per channel."""

    bound: Tensor

    def __init__(self, channels: int, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.full((1, channels, 1, 1), bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(x, self.bound)


def equalise(network: FCRN, recipe: Recipe) -> FCRN:
    """Balance the ranges of channels that share a scale or a table under a recipe's schemes (in place).

    Args:
        network: as ``deploy`` returns it; with the plain encoder or a decoder of transposed convolutions, those parts stay as they are.
        recipe: tells which weights are compressed, and how.

    Returns:
        The network, the same function as before.
    """

    def scheme_of(name: str, size: int) -> Scheme:
        scheme = recipe.scheme_for({re.sub(r"\W", "_", name)})
        return scheme if size > scheme.min_elements else Scheme("fp16")

    for parameter in network.parameters():
        parameter.data = parameter.data.clone()  # the phases of an up-projection share one bias, which would be divided four times
    for link, factor in balance(list(links(network)), scheme_of):
        if link.clip is not None and bool((factor != 1).any()):
            module, name = link.clip
            bound = UpperBound(len(factor), 6.0)
            bound.bound /= factor.view_as(bound.bound)
            setattr(module, name, bound)
    return network


def links(network: FCRN) -> Iterator[Link]:
    """Every map of a deployed network whose channels may have factors, from its input to its output."""
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    convs = _Sides(names)
    yield from _encoder_links(network, convs)
    yield from _decoder_links(network, convs)


def _encoder_links(network: FCRN, convs: "_Sides") -> Iterator[Link]:
    """The maps within the encoder and its output; some are read by laterals too."""
    finest_first = [each for each in reversed(network.laterals) if isinstance(each, Lateral)]
    for inner in network.encoder.inner_maps():
        beside = convs.reads(finest_first[inner.level].conv) if finest_first and inner.level is not None else ()
        yield Link(convs.gives(inner.giver), convs.reads(network.conv if inner.reader is None else inner.reader) + beside, inner.clip)


def _decoder_links(network: FCRN, convs: "_Sides") -> Iterator[Link]:
    """Up-blocks: their input, the map inside, their output, which both branches give, and what laterals join to it."""
    givers = convs.gives(network.conv)
    for step, block in enumerate(network.decoder):
        if not isinstance(block, DeployedUpProj | DeployedUpConv | ConvBilinear):
            return
        first = block.conv1 if isinstance(block, DeployedUpProj) else block.conv
        yield Link(givers, convs.reads(first))
        if isinstance(block, DeployedUpProj):
            channels = block.conv2.out_channels
            yield Link(convs.gives(first, slice(0, channels)), convs.reads(block.conv2))
            givers = convs.gives(block.conv2) + convs.gives(first, slice(channels, None))
        else:
            givers = convs.gives(first)
        if step < len(network.laterals):
            lateral = network.laterals[step]
            assert isinstance(lateral, Lateral)
            yield from _lateral_links(givers, lateral, convs)
            givers = convs.gives(lateral.joint_conv)
    yield Link(givers, convs.reads(network.head))


def _lateral_links(givers: tuple[Side, ...], lateral: Lateral, convs: "_Sides") -> Iterator[Link]:
    """Maps that are added share their factors; those side by side have their own."""
    beside = convs.gives(lateral.conv)
    if not lateral.concatenates:
        yield Link(givers + beside, convs.reads(lateral.joint_conv))
        return
    width = lateral.joint_conv.in_channels - lateral.conv.out_channels
    yield Link(givers, convs.reads(lateral.joint_conv, slice(0, width)))
    yield Link(beside, convs.reads(lateral.joint_conv, slice(width, None)))


class _Sides:
    """Weights of convolutions of every form as rows per channel."""

    def __init__(self, names: dict[int, str]) -> None:
        self.names = names

    def gives(self, conv: nn.Module, channels: slice = slice(None)) -> tuple[Side, ...]:
        """The weights and biases that give the output channels."""
        return tuple(self._side(weight, rows[channels], bias[channels]) for weight, rows, bias in _outputs(conv))

    def reads(self, conv: nn.Module, channels: slice = slice(None)) -> tuple[Side, ...]:
        """The weights that read the input channels."""
        return tuple(self._side(weight, _inputs(weight)[channels], None) for weight, _, _ in _outputs(conv))

    def _side(self, weight: Tensor, rows: Tensor, bias: Tensor | None) -> Side:
        return Side(self.names[id(weight)], rows, bias, weight.shape[1] == 1, weight.numel())


def _inputs(weight: Tensor) -> Tensor:
    """Rows per input channel: of a depthwise kernel C×1×h×w each channel's, of O×I×h×w all that read the channel."""
    return weight.data if weight.shape[1] == 1 else weight.data.transpose(0, 1)


def _outputs(conv: nn.Module) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Each weight of a convolution, its rows per output channel, and their bias."""
    if isinstance(conv, FourPhaseConv):
        return [(kernel, kernel.data, bias.data) for kernel, bias in zip(conv.kernels, conv.biases, strict=True)]
    inner = conv if isinstance(conv, nn.Conv2d) else conv.conv
    assert isinstance(inner, nn.Conv2d) and inner.bias is not None
    if isinstance(conv, FusedPhaseConv):  # the four phases of a channel lie side by side
        return [(inner.weight, inner.weight.data.unflatten(0, (-1, 4)), inner.bias.data.unflatten(0, (-1, 4)))]
    return [(inner.weight, inner.weight.data, inner.bias.data)]
