"""Factors of the channels of maps between convolutions, chosen such that channels which share a scale or a table have like ranges.

Cross-layer equalisation (Nagel et al. 2019, arXiv 1906.04721, section 4.1), whatever the maps and weights are part of: a network
(``equalise.py``) or a program (``equalise_program.py``).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fcrn_mobile.quantize.scheme import FLOATS, Scheme

__all__ = ["Link", "SchemeOf", "Side", "balance"]

#: Largest ratio of two factors of one map: float16 keeps its precision down to 6e-5.
_LARGEST_RATIO = 64.0
#: A factor moves the ranges of its neighbours; they settle within a few rounds.
_ROUNDS = 10

#: How weights are stored, by the name of the parameter and their number.
SchemeOf = Callable[[str, int], Scheme]


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
        clip: where a minimum would stand in front of ReLU6, for whoever puts it there; None for ReLU or nothing.
    """

    givers: tuple[Side, ...]
    readers: tuple[Side, ...]
    clip: Any = None


def balance(links: Sequence[Link], scheme_of: SchemeOf, exact: bool = False) -> list[tuple[Link, Tensor]]:
    """Scale the weights of maps, in place.

    A scale per output channel does not see factors of the channels that the convolution gives, a depthwise convolution with one does
    not see those of the channels that it reads: such a side takes the whole factor and the other gets equal ranges. Where both sides
    see it, the factor is √(r₁/r₂) of their ranges (Nagel et al. 2019, equation 11).

    Args:
        links: maps whose channels may have factors.
        scheme_of: how each weight will be stored.
        exact: whether factors are powers of two, which change no digit of a float.

    Returns:
        Those maps that compression is sensitive to, and by what each of their channels was divided.
    """
    plan = [(link, parts) for link in links if any(parts := _sensitive(link, scheme_of))]
    factors = [torch.ones(len(link.givers[0].rows)) for link, _ in plan]
    with torch.no_grad():
        for _ in range(_ROUNDS):
            for number, (link, (givers, readers)) in enumerate(plan):
                target = _bounded(factors[number] * _factor(givers, readers), link.clip is not None)
                if exact:
                    target = target.log2().round().exp2()
                _apply(link, target / factors[number])
                factors[number] = target
    return [(link, factor) for (link, _), factor in zip(plan, factors, strict=True)]


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
