"""One interface over everything that turns an image into depth; what runs it is imported when it is first used (``backends.py``)."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcrn_mobile.runtimes.opening import open_runtime
    from fcrn_mobile.runtimes.runtime import FindsOverflow, Runtime

__all__ = ["FindsOverflow", "Runtime", "open_runtime"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{'opening' if name == 'open_runtime' else 'runtime'}"), name)
