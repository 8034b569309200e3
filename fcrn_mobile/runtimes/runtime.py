"""The runtime interface, and the choice of a backend for an artefact."""

import sys
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.overflow import Overflow
from fcrn_mobile.network.checkpoints import BUILTIN

#: Backend → suffix of the artefacts it runs.
BACKENDS = {"torch": ".safetensors", "mil": ".mlpackage", "coreml": ".mlpackage", "onnxruntime": ".onnx", "coreai": ".aimodel"}


class Runtime(Protocol):
    """Runs one model.

    Attributes:
        name: of the model, for tables.
        path: its file or folder.
        backend: one of ``BACKENDS``.
        input_size: height and width that images are resized to.
        metadata: what the artefact says about itself.
    """

    name: str
    path: Path
    backend: str
    input_size: tuple[int, int]
    metadata: dict[str, str]

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 RGB of any size → h×w float32 metres."""
        ...


@runtime_checkable
class FindsOverflow(Protocol):
    """A runtime that can tell where values run over."""

    def first_overflow(self, image: NDArray[np.uint8]) -> Overflow | None:
        """The first tensor that is not finite on this image, or None."""
        ...


def open_runtime(model: str, backend: str = "auto", arithmetic: Arithmetic = "float16") -> Runtime:
    """Open a checkpoint or an artefact.

    Args:
        model: ``builtin``, a .safetensors, .mlpackage, .onnx or .aimodel path.
        backend: one of ``BACKENDS``; ``auto`` picks coreml for packages on macOS and mil elsewhere.
        arithmetic: of the mil backend; ``float16`` shows what a device's half precision does.

    Raises:
        InputError: no such file, unknown kind or backend, or a damaged artefact.
    """
    path = Path(model)
    suffix = ".safetensors" if model == BUILTIN else path.suffix
    if backend == "auto":
        backend = _backend_of(model, suffix)
    if backend not in BACKENDS:
        raise InputError(f"unknown backend '{backend}': use one of auto, {', '.join(BACKENDS)}")
    if suffix != BACKENDS[backend]:
        raise InputError(f"backend '{backend}' runs {BACKENDS[backend]} files, not '{model}': leave --backend out")
    if model != BUILTIN and not path.exists():
        raise InputError(f"no model at '{model}': give an existing file, or '{BUILTIN}'")
    if backend == "torch":
        from fcrn_mobile.runtimes.torch_runtime import TorchRuntime

        return TorchRuntime(model)
    if backend == "mil":
        from fcrn_mobile.runtimes.mil_runtime import MilRuntime

        return MilRuntime(path, arithmetic)
    if backend == "coreml":
        from fcrn_mobile.runtimes.coreml_runtime import CoreMLRuntime

        return CoreMLRuntime(path)
    if backend == "coreai":
        from fcrn_mobile.runtimes.coreai_runtime import CoreAIRuntime

        return CoreAIRuntime(path)
    from fcrn_mobile.runtimes.onnx_runtime import OnnxRuntime

    return OnnxRuntime(path)


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Stretch an image to height × width bilinearly, as every runtime, training and validation do."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _backend_of(model: str, suffix: str) -> str:
    if suffix == ".mlpackage":
        return "coreml" if sys.platform == "darwin" else "mil"
    for backend, known in BACKENDS.items():
        if suffix == known:
            return backend
    raise InputError(f"'{model}' is not a model: give '{BUILTIN}' or a file ending in .safetensors, .mlpackage, .onnx or .aimodel")
