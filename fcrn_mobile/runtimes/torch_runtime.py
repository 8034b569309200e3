"""The float network, in torch eager or compiled."""

import os
import shutil

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import checkpoint_path, load_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.runtimes.runtime import UNITS


class TorchRuntime:
    """Runs a checkpoint, rewritten exactly for deployment."""

    backend = "torch"

    def __init__(self, model: str) -> None:
        checkpoint = load_checkpoint(model)
        self.name = checkpoint.name
        self.path = checkpoint_path(model)
        self.input_size = checkpoint.network.config.input_size
        self.metadata = {"checkpoint_sha256": checkpoint.sha256, "version": checkpoint.tool_version, UNITS: checkpoint.units}
        self._network: torch.nn.Module = deploy(checkpoint.network)

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            depth = self._network(image_tensor(fit(image, self.input_size)).unsqueeze(0))
        result: NDArray[np.float32] = depth[0, 0].numpy()
        return result


class CompiledTorchRuntime(TorchRuntime):
    """The same through ``torch.compile``; the first prediction compiles, which takes a C++ compiler and up to minutes."""

    backend = "torch-compiled"

    def __init__(self, model: str) -> None:
        if not any(shutil.which(name) for name in (os.environ.get("CXX", "c++"), "g++", "clang++")):
            raise InputError("backend 'torch-compiled' needs a C++ compiler: install g++ or clang++, or use --backend torch")
        super().__init__(model)
        self._network.compile()
