"""The choice of a backend for a checkpoint or an artefact."""

import sys
from pathlib import Path

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.network.forms import BUILTIN, CHECKPOINT, FORMS, form_of, require_network
from fcrn_mobile.runtimes.backends import ALIASES, BACKENDS, Backend
from fcrn_mobile.runtimes.runtime import Runtime
from fcrn_mobile.text import enumerated

__all__ = ["backend_named", "check_threads", "choose_backend", "model_suffix", "open_runtime", "require_model"]


def open_runtime(
    model: str,
    backend: str = "auto",
    arithmetic: Arithmetic | str = "float16",
    threads: int | None = None,
    compute_units: str = "all",
    model_config: Path | None = None,
    size: tuple[int, int] | None = None,
) -> Runtime:
    """Open a checkpoint or an artefact.

    Args:
        model: a float network of any form (``network.forms``), or an .mlpackage, .mlmodel, .onnx or .aimodel path.
        backend: one of ``BACKENDS``; ``auto`` picks coreml for packages on macOS and mil elsewhere.
        arithmetic: of the mil backend; ``float16`` shows what a device's half precision does.
        threads: of the prediction, for backends that are ``threaded``; None leaves the backend's own choice. Torch's are the whole
            process's.
        compute_units: of the coreml backend, one of ``package.metadata.COMPUTE_UNITS``.
        model_config: TOML of the model's contract (``depth_contract``); None: what its metadata say, or else the file beside it.
        size: height and width of the pictures that the model is to get, where it takes several; None: its usual ones.

    Raises:
        InputError: no such file, unknown kind or backend, or a damaged artefact.
    """
    record = choose_backend(model, backend)
    require_model(model)
    if threads:
        check_threads(record)
    if threads and record.torch_threads:
        import torch

        torch.set_num_threads(threads)
    if size and "size" not in record.settings:
        raise InputError(f"backend '{record.name}' runs '{model}' at the model's own size: leave --size out")
    settings = {"arithmetic": arithmetic, "threads": threads, "compute_units": compute_units, "size": size}
    return record.open(model, settings, model_config)


def choose_backend(model: str, backend: str = "auto") -> Backend:
    """The backend for a model, from its name alone.

    Raises:
        InputError: unknown kind of model or backend, or the backend does not run that kind.
    """
    suffix = model_suffix(model)
    if backend != "auto":
        record = backend_named(backend)
        if suffix != record.suffix:
            raise InputError(f"backend '{backend}' runs {record.suffix} files, not '{model}': leave --backend out")
        return record
    fitting = [each for each in BACKENDS.values() if each.suffix == suffix]
    if not fitting:
        suffixes = enumerated([*dict.fromkeys(each.suffix for each in BACKENDS.values()), *ALIASES], "or")
        outside = enumerated([form.shown for form in FORMS[1:]], "or")
        raise InputError(f"'{model}' is not a model: give '{BUILTIN}', a file ending in {suffixes}, or a network from outside: {outside}")
    return next((each for each in fitting if each.chosen_on == sys.platform), fitting[0])


def backend_named(name: str) -> Backend:
    """The record of a backend.

    Raises:
        InputError: there is none of this name.
    """
    if name not in BACKENDS:
        raise InputError(f"unknown backend '{name}': use one of auto, {', '.join(BACKENDS)}")
    return BACKENDS[name]


def model_suffix(model: str) -> str:
    """What the name of a model says of its kind."""
    suffix = CHECKPOINT if form_of(model) else Path(model).suffix
    return ALIASES.get(suffix, suffix)


def require_model(model: str) -> None:
    """Pass if there is such a model.

    Raises:
        InputError: there is not.
    """
    if form_of(model):
        require_network(model)
    elif not Path(model).exists():
        raise InputError(f"no model at '{model}': give an existing file, or '{BUILTIN}'")


def check_threads(backend: Backend) -> None:
    """Pass if the number of a backend's threads can be set.

    Raises:
        InputError: it cannot.
    """
    if not backend.threaded:
        raise InputError(f"backend '{backend.name}' chooses its threads itself: leave --threads out")
