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

_SCALE, _TABLE = "/scale", "/table"


@dataclass(frozen=True, eq=False)
class Integers:
    """A weight as integers times scales.

    Attributes:
        values: int8, of the weight's shape.
        scale: float32, of the weight's rank; an axis is that of the weight, divided into equal blocks (one block: 1).
        bits: 8 or 4.
    """

    values: Tensor
    scale: Tensor
    bits: int

    @property
    def kind(self) -> str:
        return f"int{self.bits}"

    def expanded(self) -> Tensor:
        """The weight, float32."""
        return self.values.float() * spread(self.scale, self.values.shape)

    def tensors(self) -> dict[str, Tensor]:
        """By suffix of the weight's name."""
        return {"": self.values, _SCALE: self.scale}


@dataclass(frozen=True, eq=False)
class Indices:
    """A weight as indices into tables.

    Attributes:
        values: uint8, of the weight's shape.
        table: float32, shaped as ``Integers.scale``, with an axis more for the table's entries.
    """

    values: Tensor
    table: Tensor

    @property
    def kind(self) -> str:
        return f"palette{self.table.shape[-1].bit_length() - 1}"

    def expanded(self) -> Tensor:
        """The weight, float32."""
        tables = torch.stack([spread(entry, self.values.shape) for entry in self.table.unbind(-1)], -1)
        return tables.gather(-1, self.values.long().unsqueeze(-1)).squeeze(-1)

    def tensors(self) -> dict[str, Tensor]:
        """By suffix of the weight's name."""
        return {"": self.values, _TABLE: self.table}


@dataclass(frozen=True)
class ActivationQuantizer:
    """The eight bits of an activation: round(x / scale), clipped to -128..127 or, unsigned, to 0..255."""

    scale: float
    signed: bool

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """As a module's forward pre-hook: its input in eight bits."""
        return (self._traced(inputs[0]) if torch.jit.is_tracing() else self._computed(inputs[0]), *inputs[1:])

    def _computed(self, x: Tensor) -> Tensor:
        low, high = (-128, 127) if self.signed else (0, 255)
        return (x / self.scale).round_().clamp_(low, high).mul_(self.scale)

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
    weights: dict[str, Integers | Indices] = field(default_factory=dict)
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
            tensors |= {name + suffix: tensor for suffix, tensor in weight.tensors().items()}
        kinds = {name: weight.kind for name, weight in self.weights.items()}
        ranges = {name: asdict(limits) for name, limits in self.ranges.items()}
        return tensors, json.dumps({"settings": self.settings, "weights": kinds, "ranges": ranges})


def unpack(config: FCRNConfig, tensors: dict[str, Tensor], text: str) -> tuple[FCRN, Quantization]:
    """The inverse of ``Quantization.packed``.

    Raises:
        RuntimeError, KeyError, ValueError, TypeError: tensors and description don't fit each other or the configuration.
    """
    described = json.loads(text)
    floats = dict(tensors)
    weights: dict[str, Integers | Indices] = {}
    for name, kind in described["weights"].items():
        values = floats.pop(name)
        if kind.startswith("int"):
            weights[name] = Integers(values, floats.pop(name + _SCALE), int(kind.removeprefix("int")))
        else:
            weights[name] = Indices(values, floats.pop(name + _TABLE))
    ranges = {name: ActivationQuantizer(**limits) for name, limits in described["ranges"].items()}
    quantization = Quantization(described["settings"], weights, ranges)
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


def spread(blocks: Tensor, shape: torch.Size) -> Tensor:
    """One value per block → one per element: of every axis of ``shape``, ``blocks`` has a divisor."""
    size = shape.numel() // max(blocks.numel(), 1)
    return restored(blocks.unsqueeze(-1).expand(*blocks.shape, size), blocks.shape, shape)


def reduced(values: Tensor, blocks: torch.Size) -> Tensor:
    """Elements by block: the shape of ``blocks``, and a last axis for those of one block."""
    sizes = [side for size, count in zip(values.shape, blocks, strict=True) for side in (count, size // count)]
    rank = len(blocks)
    return values.reshape(sizes).permute([*range(0, 2 * rank, 2), *range(1, 2 * rank, 2)]).reshape(*blocks, -1)


def restored(elements: Tensor, blocks: torch.Size, shape: torch.Size) -> Tensor:
    """The inverse of ``reduced``."""
    rank = len(blocks)
    sizes = [size // count for size, count in zip(shape, blocks, strict=True)]
    order = [axis for pair in zip(range(rank), range(rank, 2 * rank), strict=True) for axis in pair]
    return elements.reshape(*blocks, *sizes).permute(order).reshape(shape)
