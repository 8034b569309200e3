"""fcrn-mobile: FCRN depth networks for Core ML, with their drift and speed known before a phone has run them.

The names below are the library's face; each is imported when it is first used, so that ``import fcrn_mobile`` costs nothing.
Everything else is found in its folder, see ``docs/architecture.md``.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fcrn_mobile.conversion.export import export
    from fcrn_mobile.conversion.recipe import Recipe, read_recipe
    from fcrn_mobile.data.spec import open_source
    from fcrn_mobile.errors import InputError
    from fcrn_mobile.evaluation.budget import parse_limit
    from fcrn_mobile.evaluation.evaluate import evaluate
    from fcrn_mobile.evaluation.metrics import protocol
    from fcrn_mobile.mil.program import Program
    from fcrn_mobile.network.checkpoints import load_checkpoint
    from fcrn_mobile.network.forms import open_network
    from fcrn_mobile.runtimes.opening import open_runtime
    from fcrn_mobile.validation.drift import validate

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Program",
    "Recipe",
    "evaluate",
    "export",
    "load_checkpoint",
    "open_network",
    "open_runtime",
    "open_source",
    "parse_limit",
    "protocol",
    "read_recipe",
    "validate",
]

#: Public name → its module.
_HOMES = {
    "InputError": "errors",
    "Program": "mil.program",
    "Recipe": "conversion.recipe",
    "evaluate": "evaluation.evaluate",
    "export": "conversion.export",
    "load_checkpoint": "network.checkpoints",
    "open_network": "network.forms",
    "open_runtime": "runtimes.opening",
    "open_source": "data.spec",
    "parse_limit": "evaluation.budget",
    "protocol": "evaluation.metrics",
    "read_recipe": "conversion.recipe",
    "validate": "validation.drift",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
