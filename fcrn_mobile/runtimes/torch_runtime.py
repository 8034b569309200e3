"""The float network, in torch eager or compiled."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.depth_contract import read_contract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import ZERO_TO_ONE, DepthInterface, Port
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import set_form
from fcrn_mobile.network.float_network import FloatNetwork
from fcrn_mobile.network.forms import form_of, open_network, parse_network
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["CompiledTorchRuntime", "LiteralTorchRuntime", "TorchRuntime", "check_compiler"]


class TorchRuntime:
    """Runs a float network, an FCRN rewritten exactly for deployment."""

    backend = "torch"

    def __init__(self, model: str, model_config: Path | None = None, size: tuple[int, int] | None = None) -> None:
        network = open_network(_configured(model, model_config, size))
        self.name = model_name(network.path) if isinstance(network, Checkpoint) else network.name
        self.path = network.path
        contract = network.contract
        if model_config and isinstance(network, Checkpoint):
            contract = read_contract(model_config, contract)
        if size is None:
            size = (isinstance(network, Checkpoint) and contract.usual_size) or network.input_size
        else:
            contract = contract.at(size)
        # Whatever the network from outside takes, here it takes RGB in 0..1 and gives one map.
        contract = replace(contract, mean=ZERO_TO_ONE.mean, std=ZERO_TO_ONE.std, channels="RGB", layout="channels-first", output=None)
        ports = [Port("image", "float32", (1, 3, *size))], [Port("depth", "float32", None)]
        self._interface = DepthInterface.of(f"'{model}'", *ports, contract)
        self.contract, self.input_size = self._interface.contract, size
        self.metadata = Metadata.of(network, network.tool_version).to_dict()
        self._network: torch.nn.Module = self._prepared(network)
        # Somebody else's network may keep what it computed.
        self.is_concurrent = isinstance(network, Checkpoint) and type(self) is not CompiledTorchRuntime

        # Convolutions of pixels side by side take a tenth to a fifth less time on a CPU.
        self._layout = torch.channels_last if isinstance(network, Checkpoint) else torch.contiguous_format
        self._network = self._network.to(memory_format=self._layout)  # type: ignore[call-overload]

    def _prepared(self, network: FloatNetwork) -> torch.nn.Module:
        return network.deployed()

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            depth = self._network(torch.from_numpy(self._interface.picture(image)).contiguous(memory_format=self._layout))
        return self._interface.depth(depth.numpy(), image)


class CompiledTorchRuntime(TorchRuntime):
    """The same through ``torch.compile``; the first prediction compiles, which takes a C++ compiler and up to minutes."""

    backend = "torch-compiled"

    def __init__(self, model: str, model_config: Path | None = None, size: tuple[int, int] | None = None) -> None:
        check_compiler()
        super().__init__(model, model_config, size)
        self._network.compile(dynamic=False)


class LiteralTorchRuntime(TorchRuntime):
    """The network as the paper writes it and as it was trained, not rewritten: 5×5 convolutions over unpooled maps, batch norms."""

    backend = "torch-literal"

    def _prepared(self, network: FloatNetwork) -> torch.nn.Module:
        if not isinstance(network, Checkpoint):
            raise InputError(f"'{network.name}' is no FCRN and has one form only: use --backend torch")
        if network.quantization:
            raise InputError(f"'{network.name}' was trained in the form it is deployed in, there is no literal one: use --backend torch")
        return set_form(network.network, "literal")


def _configured(model: str, config: Path | None, size: tuple[int, int] | None) -> str:
    """The network's name with its config and size, if its form takes them."""
    spec, form = parse_network(model), form_of(model)
    options = {name: value for name, value in (("config", config), ("size", size)) if value and form and name in form.options}
    return str(replace(spec, **options)) if options else model  # type: ignore[arg-type] # as fields


def check_compiler() -> None:
    """Refuse ``torch.compile`` where it cannot work.

    Raises:
        InputError: there is no C++ compiler.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        raise InputError("backend 'torch-compiled' needs a C++ compiler: install g++ or clang++, or use --backend torch")
