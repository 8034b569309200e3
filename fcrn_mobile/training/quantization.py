"""A float network on the grid of its package, for fine-tuning.

The network that is trained is the one that is exported, rewritten for deployment: batch norms are in the convolutions, and each phase of
a 5×5 convolution over an unpooled map has weights of its own.

The grids are ours (``quantizers``), and what they learn goes to coremltools' converter in the form that it reads, see
``conversion/learned.py``. Seen in coremltools 9.0, not measured against it: its LinearQuantizer has scales per tensor and per channel in
its configuration, not per block; it and the DKMPalettizer change modules of ``torch.nn``, among which a phase's kernel, a parameter of
``FourPhaseConv``, does not stand.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.deploy import FourPhaseConv
from fcrn_mobile.network.fcrn import FCRN, DepthNetwork
from fcrn_mobile.network.quantized import Quantization, deployed
from fcrn_mobile.quantize.scheme import ACTIVATION_NAMES, LEARNED, Scheme, parse_scheme
from fcrn_mobile.training.quantizers import LearnedActivation, LearnedFloat, LearnedIntegers, LearnedTable

__all__ = ["NONE", "QuantizationAware"]

#: The setting of a run that trains in float.
NONE = "none"


class QuantizationAware(DepthNetwork):
    """A network, rewritten for deployment, that computes with weights and activations as its package will hold them.

    Args:
        network: to start from; not changed.
        name: one of ``LEARNED``.

    Raises:
        InputError: a weight that the scheme does not fit.
    """

    def __init__(self, network: FCRN, name: str) -> None:
        super().__init__()
        self.config, self.settings = network.config, LEARNED[name]
        options = dict(self.settings)
        precision = options.pop("precision")
        scheme = parse_scheme(ACTIVATION_NAMES.get(precision, precision), options)
        self.deployed = deployed(network.eval())
        self.weights, self.ranges = nn.ModuleDict(), nn.ModuleDict()
        for kernel in _kernels(self.deployed, scheme.min_elements):
            self.weights[_key(kernel.name)] = _learned(scheme, kernel)
            if precision in ACTIVATION_NAMES:
                self.ranges[_key(kernel.owner)] = LearnedActivation()
        others = {name: value for name, value in self.deployed.named_parameters() if _key(name) not in self.weights}
        self.floats = nn.ModuleDict({_key(name): LearnedFloat(value.detach()) for name, value in others.items()})
        for key, limits in self.ranges.items():
            self.deployed.get_submodule(_name(key)).register_forward_pre_hook(_Limit(limits))

    def forward(self, image: Tensor) -> Tensor:
        weights = {_name(key): weight() for kind in (self.weights, self.floats) for key, weight in kind.items()}
        depth: Tensor = functional_call(self.deployed, weights, (image,))
        return depth

    @torch.no_grad()
    def quantization(self) -> Quantization:
        """What has been learned, as the package is to hold it."""
        weights = {_name(key): weight.quantized() for key, weight in self.weights.items()}  # type: ignore[operator]
        ranges = {_name(key): limits.quantized() for key, limits in self.ranges.items()}  # type: ignore[operator]
        return Quantization(self.settings, weights, ranges)

    @torch.no_grad()
    def finished(self) -> FCRN:
        """The deployed network with the weights and ranges of ``quantization``."""
        network = deployed(FCRN(self.config).eval())
        network.load_state_dict(self.deployed.state_dict() | {_name(key): value() for key, value in self.floats.items()})
        return self.quantization().apply(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _Limit:
    """A forward pre-hook that puts a module's input into its learned range."""

    def __init__(self, limits: nn.Module) -> None:
        self.limits = limits

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (self.limits(inputs[0]), *inputs[1:])


@dataclass(frozen=True)
class _Kernel:
    """A weight of the deployed network.

    Attributes:
        name: of the parameter.
        value: the parameter.
        axes: of the output and of the input channels.
        owner: name of the module whose input it is applied to.
    """

    name: str
    value: nn.Parameter
    axes: tuple[int, int]
    owner: str


def _kernels(network: FCRN, min_elements: int) -> Iterator[_Kernel]:
    """All that a scheme is for: kernels of more elements."""
    for owner, module in network.named_modules():
        if isinstance(module, FourPhaseConv):
            kernels = {f"{owner}.kernels.{index}": kernel for index, kernel in enumerate(module.kernels)}
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            kernels = {f"{owner}.weight": module.weight}
        else:
            continue
        axes = (1, 0) if isinstance(module, nn.ConvTranspose2d) else (0, 1)
        yield from (_Kernel(name, kernel, axes, owner) for name, kernel in kernels.items() if kernel.numel() > min_elements)


def _learned(scheme: Scheme, kernel: _Kernel) -> LearnedIntegers | LearnedTable:
    value = kernel.value.detach()
    blocks = scheme.blocks(value.shape, kernel.axes)
    if blocks is None and scheme.otherwise:
        return _learned(scheme.otherwise, kernel)
    if scheme.linear and blocks:
        return LearnedIntegers(value, scheme.linear.bits, torch.Size(blocks))
    assert scheme.palette
    if blocks is None:
        group = scheme.palette.group_size
        raise InputError(
            f"quantization '{scheme.name}' shares tables among {group} output channels, and '{kernel.name}' "
            f"has {value.shape[kernel.axes[0]]}: use int4, or widths that {group} divides"
        )
    return LearnedTable(value, scheme.palette.bits, torch.Size(blocks))


def _key(name: str) -> str:
    """A parameter's or module's name as a key of a ModuleDict, which allows no dot."""
    return name.replace(".", "/")


def _name(key: str) -> str:
    return key.replace("/", ".")
