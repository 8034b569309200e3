"""The exact rewrite for deployment: batch norms folded, unpool + 5×5 in a fast form, one convolution per up-projection input.

The result computes the same function as the trained network up to float rounding; it cannot be trained.
"""

import copy
import itertools
from collections.abc import Sequence
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from fcrn_mobile.errors import InputError, require_known
from fcrn_mobile.network.decoders import UnpooledConv5x5, UpConv, UpProj
from fcrn_mobile.network.fast_projection import FastProj, PhaseConvs
from fcrn_mobile.network.fcrn import FCRN
from fcrn_mobile.network.unpooling import FORMS, Form, fused_bias, fused_kernel, phase_convs, phase_kernels, unpool

__all__ = [
    "DeployedUpConv",
    "DeployedUpProj",
    "FourPhaseConv",
    "FusedPhaseConv",
    "LiteralUnpooledConv",
    "deploy",
    "rescaled",
    "taking_pixels",
]

_Network = TypeVar("_Network", bound=nn.Module)


class LiteralUnpooledConv(nn.Module):
    """5×5 convolution with bias over the unpooled map, as the paper writes it."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.conv = _conv(weight, bias, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(unpool(x))


class FourPhaseConv(nn.Module):
    """Four small convolutions, one per output phase: fewest multiplications. Arguments as of ``unpooling.phase_convs``."""

    def __init__(self, kernels: Sequence[Tensor], biases: Sequence[Tensor], ahead: bool) -> None:
        super().__init__()
        self.kernels = nn.ParameterList(nn.Parameter(kernel.contiguous(), requires_grad=False) for kernel in kernels)
        self.biases = nn.ParameterList(nn.Parameter(bias, requires_grad=False) for bias in biases)
        self.ahead = ahead

    def forward(self, x: Tensor) -> Tensor:
        return phase_convs(x, tuple(self.kernels), tuple(self.biases), self.ahead)


class FusedPhaseConv(nn.Module):
    """The same as one 3×3 convolution and a pixel shuffle: fewest operators."""

    def __init__(self, kernels: Sequence[Tensor], biases: Sequence[Tensor], ahead: bool) -> None:
        super().__init__()
        self.conv = _conv(fused_kernel(kernels, ahead), fused_bias(biases), padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(x), 2)


class DeployedUpConv(nn.Module):
    """Up-convolution of folded weights.

    Args:
        conv: from N×C×H×W to N×O×2H×2W.
    """

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv(x))


class DeployedUpProj(nn.Module):
    """Up-projection of folded weights, whose two branches begin as one convolution.

    Args:
        conv1: from N×C×H×W to N×2O×2H×2W: the upper branch's channels, then the lower one's.
        conv2: of the upper branch.
    """

    def __init__(self, conv1: nn.Module, conv2: nn.Module) -> None:
        super().__init__()
        self.conv1 = conv1
        self.conv2 = conv2

    def forward(self, x: Tensor) -> Tensor:
        upper, lower = self.conv1(x).chunk(2, dim=1)  # each N×O×2H×2W
        return F.relu(self.conv2(F.relu(upper)) + lower)


def deploy(network: FCRN, form: Form = "four") -> FCRN:
    """A rewritten copy of a trained network.

    Args:
        network: in evaluation mode; not changed.
        form: how unpool + 5×5 runs: ``four`` or ``fused`` (or ``literal``, to measure against; the released up-projection
            has nothing that is unpooled, so its literal form is ``four``).

    Returns:
        A network with the network's input and output; without batch norms.

    Raises:
        InputError: unknown form.
    """
    require_known("form", form, FORMS)
    if network.training:
        raise ValueError("deploy folds running statistics: call network.eval() first")
    network = copy.deepcopy(network)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for index, block in enumerate(network.decoder):
        if isinstance(block, UpConv):
            network.decoder[index] = DeployedUpConv(_unpooled_conv(*_folded(block.conv, block.bn), form))
        elif isinstance(block, UpProj | FastProj):
            first = _joined_unpooled_conv(block, form) if isinstance(block, UpProj) else _joined_phase_conv(block, form)
            network.decoder[index] = DeployedUpProj(first, fuse_conv_bn_eval(block.upper_conv2, block.upper_bn2))
    for module in list(network.modules()):
        _fold_children(module)
    return network.eval()


def rescaled(network: _Network, factor: float) -> _Network:
    """Let a deployed network give depth times a positive factor (in place): in its last convolution, or in what inverse depth divides.

    Raises:
        InputError: another network than an FCRN.
    """
    if not isinstance(network, FCRN):
        raise InputError(f"scale = {factor:g} is folded into the last convolution of an FCRN, and this network is none: leave it out")
    if network.config.inverse_depth is not None:
        network.one = network.one * factor
    else:
        for parameter in network.head.parameters():
            parameter.data *= factor
    return network


def taking_pixels(network: _Network) -> _Network:
    """Let a deployed network, which has buffers ``mean`` and ``std``, take RGB in 0..255 instead of 0..1 (in place).

    In half precision the order matters: a pixel minus the mean is exact, a pixel divided by 255 is not, and subtracting the
    mean from it afterwards magnifies the error.
    """
    for name in ("mean", "std"):
        setattr(network, name, getattr(network, name) * 255)
    return network


def _fold_children(module: nn.Module) -> None:
    """Fold every batch norm that is registered right behind its convolution, as all networks here write them."""
    for (conv_name, conv), (bn_name, bn) in itertools.pairwise(list(module.named_children())):
        if isinstance(bn, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, bn, transpose=isinstance(conv, nn.ConvTranspose2d)))
            setattr(module, bn_name, nn.Identity())


def _joined_unpooled_conv(block: UpProj, form: Form) -> nn.Module:
    """Both 5×5 convolutions of an up-projection as one."""
    branches = (_folded(block.upper_conv1, block.upper_bn1), _folded(block.lower_conv, block.lower_bn))
    weight, bias = (torch.cat(pair) for pair in zip(*branches, strict=True))
    return _unpooled_conv(weight, bias, form)


def _joined_phase_conv(block: FastProj, form: Form) -> nn.Module:
    """All eight convolutions of the released up-projection as four or one."""
    branches = (_folded_phases(block.upper_conv1, block.upper_bn1), _folded_phases(block.lower_conv, block.lower_bn))
    kernels, biases = ([torch.cat(pair) for pair in zip(*parts, strict=True)] for parts in zip(*branches, strict=True))
    return _phase_conv(kernels, biases, form, ahead=False)


def _unpooled_conv(weight: Tensor, bias: Tensor, form: Form) -> nn.Module:
    if form == "literal":
        return LiteralUnpooledConv(weight, bias)
    return _phase_conv(phase_kernels(weight), (bias,) * 4, form, ahead=True)


def _phase_conv(kernels: Sequence[Tensor], biases: Sequence[Tensor], form: Form, ahead: bool) -> nn.Module:
    return (FusedPhaseConv if form == "fused" else FourPhaseConv)(kernels, biases, ahead)


def _folded(conv: UnpooledConv5x5, bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """5×5 kernel and bias of a convolution with its batch norm."""
    fused = fuse_conv_bn_eval(conv, bn)
    assert fused.bias is not None
    return fused.weight.detach(), fused.bias.detach()


def _folded_phases(convs: PhaseConvs, bn: nn.BatchNorm2d) -> tuple[list[Tensor], list[Tensor]]:
    """Kernels and biases of four convolutions with the batch norm that stands behind all of them."""
    fused = [fuse_conv_bn_eval(conv, bn) for conv in convs.convs]
    return [conv.weight.detach() for conv in fused], [conv.bias.detach() for conv in fused if conv.bias is not None]


def _conv(weight: Tensor, bias: Tensor, padding: int) -> nn.Conv2d:
    out_channels, in_channels, rows, columns = weight.shape
    conv = nn.Conv2d(in_channels, out_channels, (rows, columns), padding=padding, dtype=weight.dtype)
    conv.load_state_dict({"weight": weight, "bias": bias})
    return conv.requires_grad_(False)
