"""The backends that run models: one record for each, from which opening, help, messages and the plans of benchmarks follow.

A new backend is a file of its own with a ``Runtime`` (``runtime.py``), and a record here.
"""

import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcrn_mobile.network.forms import CHECKPOINT

if TYPE_CHECKING:
    from fcrn_mobile.runtimes.runtime import Runtime

__all__ = ["ALIASES", "BACKENDS", "Backend", "is_on_device"]

#: Suffix of a model → that of the models which the same backends run.
ALIASES = {".mlmodel": ".mlpackage"}


@dataclass(frozen=True)
class Backend:
    """What runs models of one kind.

    Attributes:
        name: on the command line and in results.
        suffix: of the models that it runs; ``CHECKPOINT`` stands for float networks of all forms.
        opens: ``module:class`` in this folder, imported when it is asked for. It takes the path (of a float network what ``network.forms``
            reads), ``model_config`` (a path or None) and the settings by their names; what the machine lacks for it, it names in an
            ``InputError``.
        settings: those of ``open_runtime`` that it takes: ``arithmetic``, ``threads``, ``compute_units``, ``size``.
        torch_threads: whether its threads are torch's, which are the whole process's.
        chosen_on: the system (``sys.platform``) on which ``auto`` takes it before others of the same suffix; elsewhere the first is taken.
    """

    name: str
    suffix: str
    opens: str
    settings: tuple[str, ...] = ()
    torch_threads: bool = False
    chosen_on: str = ""

    @property
    def threaded(self) -> bool:
        """Whether its number of threads can be set."""
        return self.torch_threads or "threads" in self.settings

    @property
    def on_device(self) -> bool:
        """Whether it runs on the units of an Apple device, the Neural Engine among them."""
        return "compute_units" in self.settings

    def open(self, model: str, settings: dict[str, Any], model_config: Path | None = None) -> "Runtime":
        """A model ready to run, with those of the settings that the backend takes.

        Raises:
            InputError: as of the runtime.
        """
        own = {name: settings[name] for name in self.settings}
        opens = pkgutil.resolve_name(f"fcrn_mobile.runtimes.{self.opens}")
        runtime: Runtime = opens(model if self.suffix == CHECKPOINT else Path(model), model_config=model_config, **own)
        return runtime


#: By name, in the order in which lists show them.
BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("torch", CHECKPOINT, "torch_runtime:TorchRuntime", ("size",), torch_threads=True),
        Backend("torch-compiled", CHECKPOINT, "torch_runtime:CompiledTorchRuntime", ("size",), torch_threads=True),
        Backend("torch-literal", CHECKPOINT, "torch_runtime:LiteralTorchRuntime", ("size",), torch_threads=True),
        Backend("mil", ".mlpackage", "mil_runtime:MilRuntime", ("arithmetic", "size"), torch_threads=True),
        Backend("coreml", ".mlpackage", "coreml_runtime:CoreMLRuntime", ("compute_units", "size"), chosen_on="darwin"),
        Backend("onnxruntime", ".onnx", "onnx_runtime:OnnxRuntime", ("threads",)),
        Backend("openvino", ".onnx", "openvino_runtime:OpenVINORuntime", ("threads",)),
        Backend("coreai", ".aimodel", "coreai_runtime:CoreAIRuntime"),
    )
}


def is_on_device(engine: str) -> bool:
    """Whether an engine, as results name it (``mil, float16 arithmetic``), runs on the units of an Apple device."""
    backend = BACKENDS.get(engine.partition(",")[0])
    return backend is not None and backend.on_device
