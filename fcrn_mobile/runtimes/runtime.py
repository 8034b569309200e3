"""The interface of all runtimes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError, brief
from fcrn_mobile.mil.overflow import Overflow

__all__ = ["OF_EVERY_RUN", "FindsOverflow", "Runtime", "distinct_names", "engine_of", "model_name", "run_failure"]

#: Files that every run of training has.
OF_EVERY_RUN = ("best", "last")


class Runtime(Protocol):
    """Runs one model.

    Attributes:
        name: of the model, for tables.
        path: its file or folder.
        backend: one of ``BACKENDS``.
        contract: what it takes and what its depth means.
        input_size: height and width that images are resized to.
        metadata: what the artefact says about itself, see ``package.metadata``.

    One that says ``is_concurrent = True`` may predict on several threads at once; others see one image after the other.
    """

    name: str
    path: Path
    backend: str
    contract: DepthContract
    input_size: tuple[int, int]
    metadata: dict[str, str]

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 RGB of any size → h×w float32 of the contract's depth: metres, depth up to scale, or inverse depth."""
        ...


@runtime_checkable
class FindsOverflow(Protocol):
    """A runtime that can tell where values run over."""

    def first_overflow(self, image: NDArray[np.uint8]) -> Overflow | None:
        """The first tensor that is not finite on this image, or None."""
        ...


def engine_of(runtime: Runtime) -> str:
    """What runs a model, as results name it: the backend, and under which arithmetic if it has several."""
    arithmetic = getattr(runtime, "arithmetic", None)
    return f"{runtime.backend}, {arithmetic}" if arithmetic else runtime.backend


def model_name(path: Path) -> str:
    """What a model is called in tables: its file's name, with the run's folder before what every run has: ``mine/best``."""
    return f"{path.resolve().parent.name}/{path.stem}" if path.stem in OF_EVERY_RUN else path.stem


def distinct_names(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """What models are called beside one another: their names, with the folder where two have the same."""
    return [name if names.count(name) == 1 else "/".join(path.parts[-2:]) for name, path in zip(names, paths, strict=True)]


def run_failure(model: str, error: Exception) -> InputError:
    """What a user is told when a backend fails on a model that it could open."""
    reason = brief(error, 160)
    return InputError(f"{model} fails when it runs ({reason or type(error).__name__}): export or convert it again")
