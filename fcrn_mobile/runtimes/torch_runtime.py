"""The float network, in torch eager or compiled."""

import os
import shutil

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, checkpoint_path, load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import set_form
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["CompiledTorchRuntime", "LiteralTorchRuntime", "TorchRuntime", "check_compiler"]


class TorchRuntime:
    """Runs a checkpoint, rewritten exactly for deployment."""

    backend = "torch"

    def __init__(self, model: str) -> None:
        checkpoint = load_checkpoint(model)
        self.name = model_name(checkpoint_path(model))
        self.path = checkpoint_path(model)
        self.input_size = checkpoint.network.config.input_size
        self.metadata = Metadata.of(checkpoint, checkpoint.tool_version).to_dict()
        self._network: torch.nn.Module = self._prepared(checkpoint)

    def _prepared(self, checkpoint: Checkpoint) -> torch.nn.Module:
        return deploy(checkpoint.network)

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            depth = self._network(image_tensor(fit(image, self.input_size)).unsqueeze(0))
        result: NDArray[np.float32] = depth[0, 0].numpy()
        return result


class CompiledTorchRuntime(TorchRuntime):
    """The same through ``torch.compile``; the first prediction compiles, which takes a C++ compiler and up to minutes."""

    backend = "torch-compiled"

    def __init__(self, model: str) -> None:
        check_compiler()
        super().__init__(model)
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
