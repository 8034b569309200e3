"""The choice of a backend for a checkpoint or an artefact."""

import sys
from pathlib import Path

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.network.checkpoints import BUILTIN
from fcrn_mobile.runtimes.runtime import Runtime

#: Backend → suffix of the models it runs; the first of a suffix is the one that ``auto`` picks away from macOS.
BACKENDS = {
    "torch": ".safetensors",
    "torch-compiled": ".safetensors",
    "torch-literal": ".safetensors",
    "mil": ".mlpackage",
    "coreml": ".mlpackage",
    "onnxruntime": ".onnx",
    "openvino": ".onnx",
    "coreai": ".aimodel",
}
#: Backends whose number of threads can be set.
THREADED = ("torch", "torch-compiled", "torch-literal", "mil", "onnxruntime", "openvino")
_TORCH_THREADS = ("torch", "torch-compiled", "torch-literal", "mil")


def open_runtime(
    model: str, backend: str = "auto", arithmetic: Arithmetic = "float16", threads: int | None = None, compute_units: str = "all"
) -> Runtime:
    """Open a checkpoint or an artefact.

    Args:
        model: ``builtin``, a .safetensors, .mlpackage, .onnx or .aimodel path.
        backend: one of ``BACKENDS``; ``auto`` picks coreml for packages on macOS and mil elsewhere.
        arithmetic: of the mil backend; ``float16`` shows what a device's half precision does.
        threads: of the prediction, for ``THREADED`` backends; None leaves the backend's own choice. Torch's are the whole process's.
        compute_units: of the coreml backend, one of ``coreml_runtime.COMPUTE_UNITS``.

    Raises:
        InputError: no such file, unknown kind or backend, or a damaged artefact.
    """
    path = Path(model)
    backend = choose_backend(model, backend)
    if model != BUILTIN and not path.exists():
        raise InputError(f"no model at '{model}': give an existing file, or '{BUILTIN}'")
    if threads and backend not in THREADED:
        raise InputError(f"backend '{backend}' chooses its threads itself: leave --threads out")
    if threads and backend in _TORCH_THREADS:
        import torch

        torch.set_num_threads(threads)
    if BACKENDS[backend] == ".safetensors":
        from fcrn_mobile.runtimes.torch_runtime import CompiledTorchRuntime, LiteralTorchRuntime, TorchRuntime

        return {"torch": TorchRuntime, "torch-compiled": CompiledTorchRuntime, "torch-literal": LiteralTorchRuntime}[backend](model)
    if backend == "mil":
        from fcrn_mobile.runtimes.mil_runtime import MilRuntime

        return MilRuntime(path, arithmetic)
    if backend == "coreml":
        from fcrn_mobile.runtimes.coreml_runtime import CoreMLRuntime

        return CoreMLRuntime(path, compute_units)
    if backend == "coreai":
        from fcrn_mobile.runtimes.coreai_runtime import CoreAIRuntime

        return CoreAIRuntime(path)
    if backend == "openvino":
        from fcrn_mobile.runtimes.openvino_runtime import OpenVINORuntime

        return OpenVINORuntime(path, threads)
    from fcrn_mobile.runtimes.onnx_runtime import OnnxRuntime

    return OnnxRuntime(path, threads)


def choose_backend(model: str, backend: str = "auto") -> str:
    """The backend for a model, from its name alone.

    Raises:
        InputError: unknown kind of model or backend, or the backend does not run that kind.
    """
    suffix = ".safetensors" if model == BUILTIN else Path(model).suffix
    if backend == "auto":
        return _backend_of(model, suffix)
    if backend not in BACKENDS:
        raise InputError(f"unknown backend '{backend}': use one of auto, {', '.join(BACKENDS)}")
    if suffix != BACKENDS[backend]:
        raise InputError(f"backend '{backend}' runs {BACKENDS[backend]} files, not '{model}': leave --backend out")
    return backend


def _backend_of(model: str, suffix: str) -> str:
    if suffix == ".mlpackage":
        return "coreml" if sys.platform == "darwin" else "mil"
    for backend, known in BACKENDS.items():
        if suffix == known:
            return backend
    raise InputError(f"'{model}' is not a model: give '{BUILTIN}' or a file ending in .safetensors, .mlpackage, .onnx or .aimodel")
