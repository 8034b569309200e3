"""The choice of a backend for a checkpoint or an artefact."""

import sys
from pathlib import Path

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.network.checkpoints import BUILTIN
from fcrn_mobile.runtimes.runtime import Runtime

#: Backend → suffix of the artefacts it runs.
BACKENDS = {"torch": ".safetensors", "mil": ".mlpackage", "coreml": ".mlpackage", "onnxruntime": ".onnx", "coreai": ".aimodel"}


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


def _backend_of(model: str, suffix: str) -> str:
    if suffix == ".mlpackage":
        return "coreml" if sys.platform == "darwin" else "mil"
    for backend, known in BACKENDS.items():
        if suffix == known:
            return backend
    raise InputError(f"'{model}' is not a model: give '{BUILTIN}' or a file ending in .safetensors, .mlpackage, .onnx or .aimodel")
