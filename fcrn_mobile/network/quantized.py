"""What quantization-aware training leaves behind: weights as integers or table entries, and ranges of activations.

It belongs to the network rewritten for deployment, since that is what is trained, stored and exported: weights of a batch norm are in
the convolution before it, and of a 5×5 convolution each phase has its own.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.quantize.grids import Grid, Integers, Quantized, Table

__all__ = ["ActivationQuantizer", "Quantization", "deployed", "unpack"]

_SCALE, _TABLE = "/scale", "/table"


@dataclass(frozen=True)
class ActivationQuantizer:
    """The eight bits of an activation: round(x / scale), clipped to -128..127 or, unsigned, to 0..255."""

    scale: float
    signed: bool

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """As a module's forward pre-hook: its input in eight bits."""
        return (self._traced(inputs[0]) if torch.jit.is_tracing() else self._computed(inputs[0]), *inputs[1:])

    def _computed(self, x: Tensor) -> Tensor:
        return Integers(torch.tensor(self.scale, device=x.device), signed=self.signed).nearest(x)

    def _traced(self, x: Tensor) -> Tensor:
        """The same by torch's quantized tensors, which coremltools converts to quantize and dequantize."""
        return torch.quantize_per_tensor(x, self.scale, 0, torch.qint8 if self.signed else torch.quint8).dequantize()


@dataclass(frozen=True, eq=False)
class Quantization:
    """All that a network's quantization consists of.

    Attributes:
        settings: keys and values of a recipe that describe it, such as ``{"precision": "int4", "block_size": 32, …}``.
        weights: by the parameter's name in the deployed network; the others are floats.
        ranges: of the inputs of modules of the deployed network, by their names.
    """

    settings: dict[str, Any]
    weights: dict[str, Quantized] = field(default_factory=dict)
    ranges: dict[str, ActivationQuantizer] = field(default_factory=dict)

    def apply(self, network: FCRN) -> FCRN:
        """Give a deployed network the weights and ranges (in place); returns it."""
        parameters = dict(network.named_parameters())
        with torch.no_grad():
            for name, weight in self.weights.items():
                parameters[name].copy_(weight.expanded())
        for name, limits in self.ranges.items():
            network.get_submodule(name).register_forward_pre_hook(limits)
        return network.eval()

    def packed(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
        """A deployed network's state with its weights as they are stored, and what they are as JSON."""
        tensors = dict(state)
        for name, weight in self.weights.items():
            suffix, parameter = (_SCALE, weight.grid.scale) if isinstance(weight.grid, Integers) else (_TABLE, weight.grid.entries)
            tensors |= {name: weight.codes, name + suffix: parameter}
        kinds = {name: weight.grid.kind for name, weight in self.weights.items()}
        ranges = {name: asdict(limits) for name, limits in self.ranges.items()}
        return tensors, json.dumps({"settings": self.settings, "weights": kinds, "ranges": ranges})


def unpack(config: FCRNConfig, tensors: dict[str, Tensor], text: str) -> tuple[FCRN, Quantization]:
    """The inverse of ``Quantization.packed``.

    Raises:
        RuntimeError, KeyError, ValueError, TypeError: tensors and description don't fit each other or the configuration.
    """
    description = json.loads(text)
    floats = dict(tensors)
    weights: dict[str, Quantized] = {}
    for name, kind in description["weights"].items():
        codes = floats.pop(name)
        grid: Grid
        if kind.startswith("int"):
            grid = Integers(floats.pop(name + _SCALE), bits=int(kind.removeprefix("int")), symmetric=True)
        else:
            grid = Table(floats.pop(name + _TABLE))
        weights[name] = Quantized(codes, grid)
    ranges = {name: ActivationQuantizer(**limits) for name, limits in description["ranges"].items()}
    quantization = Quantization(description["settings"], weights, ranges)
    network = deployed(FCRN(config).eval())
    expanded = {name: weight.expanded() for name, weight in weights.items()}
    network.load_state_dict({name: value.float() for name, value in floats.items()} | expanded)
    return quantization.apply(network), quantization


def deployed(network: FCRN) -> FCRN:
    """A rewritten copy as of ``deploy``, each parameter in memory of its own: phases share their bias until they are trained."""
    network = deploy(network)
    for parameter in network.parameters():
        parameter.data = parameter.data.clone()
    return network
