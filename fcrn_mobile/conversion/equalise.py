"""Cross-layer equalisation (Nagel et al. 2019, arXiv 1906.04721, section 4.1) of a deployed network, for all values of its input.

A channel between two convolutions may be divided by a factor where it is given and multiplied by it where it is read. ReLU lets the
factor pass. ReLU6 does not, because its 6 has to be divided too: here a minimum with one constant per channel goes in front of it, and
factors are chosen ≥ 1, so that this minimum, never above 6, decides alone. The network stays the same function exactly, whatever it is
given, at the price of one elementwise operator where factors are worth something; where they are not, nothing is touched.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network.decoders import ConvBilinear
from fcrn_mobile.network.deploy import DeployedUpConv, DeployedUpProj, FourPhaseConv, FusedPhaseConv
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.laterals import Lateral
from fcrn_mobile.quantize.scheme import FLOATS, Scheme

__all__ = ["Link", "SchemeOf", "Side", "UpperBound", "equalise", "links"]

#: Largest ratio of two factors of one map: float16 keeps its precision down to 6e-5.
_LARGEST_RATIO = 64.0
#: A factor moves the ranges of its neighbours; they settle within a few rounds.
_ROUNDS = 10

#: How weights are stored, by the name of the parameter and their number.
SchemeOf = Callable[[str, int], Scheme]


class UpperBound(nn.Module):
    """min(x, bound), N×C×H×W with a bound per channel."""

    bound: Tensor

    def __init__(self, channels: int, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.full((1, channels, 1, 1), bound))

    def forward(self, x: Tensor) -> Tensor:
        return torch.minimum(x, self.bound)


@dataclass(frozen=True)
class Side:
    """Weights at one side of a map, C×…, a view in which each row belongs to one channel of it.

    Attributes:
        name: of the parameter.
        rows: the view.
        bias: of the channels, C×…; None for what reads them.
        single: whether a row is all that one output channel reads, as in a depthwise convolution.
        size: elements of the whole parameter.
    """

    name: str
    rows: Tensor
    bias: Tensor | None
    single: bool
    size: int


@dataclass(frozen=True)
class Link:
    """A map between convolutions.

    Attributes:
        givers, readers: weights of the convolutions that give it and that read it.
        clip: module and name of its child that stands, as an identity, in front of ReLU6; None for ReLU or nothing.
    """

    givers: tuple[Side, ...]
    readers: tuple[Side, ...]
    clip: tuple[nn.Module, str] | None = None


def equalise(network: FCRN, recipe: Recipe) -> FCRN:
    """Balance the ranges of channels that share a scale or a table under a recipe's schemes (in place).

    A scale per output channel does not see factors of the channels that the convolution gives, a depthwise convolution with one does
    not see those of the channels that it reads: such a side takes the whole factor and the other gets equal ranges. Where both sides
    see it, the factor is √(r₁/r₂) of their ranges (Nagel et al. 2019, equation 11).

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
    plan = [(link, parts) for link in links(network) if any(parts := _sensitive(link, scheme_of))]
    factors = [torch.ones(len(link.givers[0].rows)) for link, _ in plan]
    with torch.no_grad():
        for _ in range(_ROUNDS):
            for number, (link, (givers, readers)) in enumerate(plan):
                target = factors[number] * _factor(givers, readers)
                target = _bounded(target, link.clip is not None)
                _apply(link, target / factors[number])
                factors[number] = target
        for number, (link, _) in enumerate(plan):
            if link.clip is not None and bool((factors[number] != 1).any()):
                module, name = link.clip
                bound = UpperBound(len(factors[number]), 6.0)
                bound.bound /= factors[number].view_as(bound.bound)
                setattr(module, name, bound)
    return network


def _sensitive(link: Link, scheme_of: SchemeOf) -> tuple[tuple[Side, ...], tuple[Side, ...]]:
    """Those weights whose compression depends on the factors of a map."""

    def shared(side: Side, across_inputs: bool) -> bool:
        scheme = scheme_of(side.name, side.size)
        if scheme.name in FLOATS:
            return False
        own_scale = scheme.linear and not scheme.palette and not scheme.sparsity and scheme.linear.granularity != "per_tensor"
        return not own_scale or (across_inputs and not side.single)

    return tuple(s for s in link.givers if shared(s, False)), tuple(s for s in link.readers if shared(s, True))


def _factor(givers: Sequence[Side], readers: Sequence[Side]) -> Tensor:
    """By what each channel is to be divided, up to a common factor."""
    outputs, inputs = _range(givers), _range(readers)
    usable = torch.ones_like(outputs if outputs is not None else inputs, dtype=torch.bool)  # type: ignore[arg-type] # one of them is there
    ratio = torch.ones(usable.shape)
    for side, power in ((outputs, 1.0), (inputs, -1.0)):
        if side is not None:
            usable &= side > 0
            ratio = ratio * side.clamp_min(torch.finfo(side.dtype).tiny) ** power
    if outputs is not None and inputs is not None:
        ratio = ratio.sqrt()
    return torch.where(usable, ratio, torch.ones_like(ratio)) if usable.any() else torch.ones_like(ratio)


def _range(sides: Sequence[Side]) -> Tensor | None:
    """Largest magnitude per channel, relative to the whole of each weight."""
    if not sides:
        return None
    largest = [side.rows.flatten(1).abs().amax(1) for side in sides]
    return torch.stack([each / each.max().clamp_min(torch.finfo(each.dtype).tiny) for each in largest]).amax(0)


def _bounded(factor: Tensor, from_one: bool) -> Tensor:
    """Factors around 1, or from 1 on, whose ratio is bounded."""
    factor = factor / factor.log().mean().exp()
    factor = factor.clamp(1 / math.sqrt(_LARGEST_RATIO), math.sqrt(_LARGEST_RATIO))
    return factor / factor.min() if from_one else factor


def _apply(link: Link, factor: Tensor) -> None:
    for side in link.givers:
        side.rows.div_(_along(factor, side.rows))
        if side.bias is not None:
            side.bias.div_(_along(factor, side.bias))
    for side in link.readers:
        side.rows.mul_(_along(factor, side.rows))


def _along(factor: Tensor, rows: Tensor) -> Tensor:
    return factor.view(-1, *[1] * (rows.dim() - 1))


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
