"""One interface of a float depth network, which FCRN and networks from outside fulfil; conversion, runtimes and validation share it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

import fcrn_mobile
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.network.unpooling import Form

__all__ = ["SIZE_OPTIONS", "ContractedNetwork", "FloatNetwork", "OutsideNetwork", "depth_of", "outside_network"]

#: How a network from outside is told at what size it runs, for messages.
SIZE_OPTIONS = "--input-size HxW of export, --size HxW of validate and bench, or ?size=HxW in its name"
#: Names of outputs that a message lists.
_MOST_LISTED = 8


class FloatNetwork(Protocol):
    """A float depth network and where it comes from.

    Attributes:
        name: for tables and messages.
        path: of its weights, or of the folder that it was read from.
        sha256: hash of its weights' file.
        training: what is known of its training.
        tool_version: the version that wrote its file, or that reads it.
        quantization: what it was trained to be stored as; None for a float network.
    """

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def sha256(self) -> str: ...
    @property
    def training(self) -> TrainingRecord: ...
    @property
    def tool_version(self) -> str: ...
    @property
    def quantization(self) -> Quantization | None: ...

    @property
    def kind(self) -> str:
        """What network it is: the preset, or the class of one from outside."""
        ...

    @property
    def contract(self) -> DepthContract:
        """What picture it takes and what its depth means."""
        ...

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels that it is run and exported at unless told otherwise."""
        ...

    @property
    def network(self) -> nn.Module:
        """N×3×H×W RGB in 0..1 → N×1×h×w, in evaluation mode; it normalises by itself."""
        ...

    def deployed(self, form: Form = "four") -> nn.Module:
        """A copy that is the caller's to change, without gradients; of an FCRN rewritten exactly for deployment.

        It normalises by its buffers ``mean`` and ``std``, see ``deploy.taking_pixels``.

        Raises:
            InputError: a form other than ``four`` of a network that has no up-blocks of an FCRN.
        """
        ...


class ContractedNetwork(nn.Module):
    """A network from outside as every other here: it normalises by itself and gives one map.

    Args:
        network: takes and gives what the contract says.
        contract: where it has no mean and std, the network takes RGB in 0..1 as it is.

    Shape:
        input N×3×H×W, RGB in 0..1; output N×1×h×w.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, contract: DepthContract) -> None:
        super().__init__()
        self.contract = contract
        self.register_buffer("mean", torch.tensor(contract.mean or (0.0,) * 3).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(contract.std or (1.0,) * 3).view(1, 3, 1, 1), persistent=False)
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        if self.contract.channels == "BGR":
            image = image.flip(1)
        x = (image - self.mean) / self.std
        if self.contract.layout == "channels-last":
            x = x.permute(0, 2, 3, 1)
        return depth_of(self.network(x), self.contract.output)


def depth_of(output: Any, name: str | None = None) -> Tensor:
    """The map among what a network gives, N×1×h×w.

    Args:
        output: a tensor, or several in a mapping, list or tuple (of these the name is the index).
        name: of the one that is depth; None: the only one.

    Raises:
        InputError: it gives none or several, none of the name, or something that is no map N×1×h×w, N×h×w×1, N×h×w or h×w.
    """
    tensors = _tensors(output)
    if name is not None and name not in tensors:
        raise InputError(f"the network gives no '{name}' but {_listed(tensors)}: correct output in the model config")
    if name is None and len(tensors) != 1:
        raise InputError(f"the network gives {_listed(tensors)}: say with output = NAME in the model config which of them is depth")
    depth = tensors[name] if name is not None else next(iter(tensors.values()))
    if depth.dim() == 4 and depth.shape[1] != 1 and depth.shape[3] == 1:
        depth = depth.permute(0, 3, 1, 2)
    elif depth.dim() in (2, 3):
        depth = depth[None, None] if depth.dim() == 2 else depth.unsqueeze(1)
    if depth.dim() != 4 or depth.shape[1] != 1 or not depth.is_floating_point():
        raise InputError(f"the network gives {_shown(depth)}: a depth model gives one map of floating-point numbers, such as N×1×h×w")
    return depth


def _tensors(output: Any) -> dict[str, Tensor]:
    if isinstance(output, Tensor):
        return {"the output": output}
    items = output.items() if isinstance(output, Mapping) else enumerate(output) if isinstance(output, list | tuple) else ()
    return {str(key): value for key, value in items if isinstance(value, Tensor)}


def _listed(tensors: Mapping[str, Tensor]) -> str:
    shown = ", ".join(f"'{name}' ({_shown(value)})" for name, value in list(tensors.items())[:_MOST_LISTED])
    return f"{len(tensors)} tensors: {shown}" if tensors else "no tensor"


def _shown(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {'×'.join(map(str, tensor.shape)) or 'scalar'}"


@dataclass(frozen=True, eq=False)
class OutsideNetwork:
    """A ``FloatNetwork`` that this project did not make; see there."""

    name: str
    kind: str
    network: ContractedNetwork
    input_size: tuple[int, int]
    path: Path
    sha256: str
    training: TrainingRecord = field(default_factory=TrainingRecord)
    tool_version: str = fcrn_mobile.__version__
    quantization: None = None

    @property
    def contract(self) -> DepthContract:
        """What picture it takes and what its depth means."""
        return self.network.contract

    def deployed(self, form: Form = "four") -> nn.Module:
        """A copy without gradients.

        Raises:
            InputError: another form than ``four``, which are of FCRN's up-blocks.
        """
        if form != "four":
            raise InputError(f"form '{form}' is one of FCRN's up-blocks, which '{self.name}' does not have: leave form out of the recipe")
        return copy.deepcopy(self.network).requires_grad_(False).eval()


def outside_network(
    name: str, network: nn.Module, contract: DepthContract, size: tuple[int, int], path: Path, sha256: str, kind: str = ""
) -> OutsideNetwork:
    """A network as its contract describes it, after it has made depth of one picture.

    Args:
        name: for tables and messages.
        network: what was built or read; of whatever dtype.
        contract: what it takes and gives.
        size: height and width that it is to run at.
        path: of its weights.
        sha256: of them.
        kind: what network it is; the class's name if empty.

    Raises:
        InputError: a size that the contract does not allow, or a network that does not run, or gives no depth.
    """
    if not contract.allows(size):
        raise InputError(f"'{name}' does not take {size[0]}x{size[1]} pixels (height × width): give one that it takes, {contract.allowed}")
    contracted = ContractedNetwork(network.float().eval(), contract).eval()
    try:
        with torch.inference_mode():
            contracted(torch.full((1, 3, *size), 0.5))
    except InputError as error:
        raise InputError(f"'{name}': {error}") from error
    except Exception as error:  # somebody else's code
        reason = brief(error, 160) or "no message"
        raise InputError(
            f"'{name}' does not run on a picture of {size[0]}x{size[1]} pixels ({type(error).__name__}: {reason}): "
            f"give another size ({SIZE_OPTIONS}), or correct its model config"
        ) from error
    origin = TrainingRecord(imported_from=kind or type(network).__name__, file=path.name, sha256=sha256, depth=contract.units)
    return OutsideNetwork(name, origin.imported_from, contracted, size, path, sha256, origin)
