"""The float network, in torch eager or compiled."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.depth_contract import read_contract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import DepthInterface, Port
from fcrn_mobile.network.checkpoints import Checkpoint, checkpoint_path, load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import set_form
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["CompiledTorchRuntime", "LiteralTorchRuntime", "TorchRuntime", "check_compiler"]


class TorchRuntime:
    """Runs a checkpoint, rewritten exactly for deployment."""

    backend = "torch"

    def __init__(self, model: str, model_config: Path | None = None) -> None:
        checkpoint = load_checkpoint(model)
        self.name = model_name(checkpoint_path(model))
        self.path = checkpoint_path(model)
        contract = read_contract(model_config, checkpoint.contract) if model_config else checkpoint.contract
        size = contract.sizes[0] if contract.sizes else checkpoint.network.config.input_size
        self._interface = DepthInterface.of(
            f"'{model}'", [Port("image", "float32", (1, 3, *size))], [Port("depth", "float32", None)], contract
        )
        self.contract, self.input_size = self._interface.contract, size
        self.metadata = Metadata.of(checkpoint, checkpoint.tool_version).to_dict()
        self._network: torch.nn.Module = self._prepared(checkpoint)

    def _prepared(self, checkpoint: Checkpoint) -> torch.nn.Module:
        return deploy(checkpoint.network)

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            depth = self._network(torch.from_numpy(self._interface.picture(image)))
        return self._interface.depth(depth.numpy(), image)


class CompiledTorchRuntime(TorchRuntime):
    """The same through ``torch.compile``; the first prediction compiles, which takes a C++ compiler and up to minutes."""

    backend = "torch-compiled"

    def __init__(self, model: str, model_config: Path | None = None) -> None:
        check_compiler()
        super().__init__(model, model_config)
        self._network.compile(dynamic=False)


class LiteralTorchRuntime(TorchRuntime):
    """The network as the paper writes it and as it was trained, not rewritten: 5×5 convolutions over unpooled maps, batch norms."""

    backend = "torch-literal"

    def _prepared(self, checkpoint: Checkpoint) -> torch.nn.Module:
        if checkpoint.quantization:
            raise InputError(f"'{checkpoint.name}' was trained in the form it is deployed in, there is no literal one: use --backend torch")
        return set_form(checkpoint.network, "literal")


def check_compiler() -> None:
    """Refuse ``torch.compile`` where it cannot work.

    Raises:
        InputError: there is no C++ compiler.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
        raise InputError("backend 'torch-compiled' needs a C++ compiler: install g++ or clang++, or use --backend torch")
