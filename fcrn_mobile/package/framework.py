"""Where coremltools asks Core ML's framework, and how something else can answer; like ``pymil.py``, it knows coremltools' private parts.

coremltools talks to the framework through one compiled module, ``libcoremlpython``, which only its wheel for macOS has. Its other modules
take what they need from that one, and the name and version of the system, when they are imported. Written against coremltools 9.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fcrn_mobile.quiet import quiet_coremltools

__all__ = ["answered_by"]

#: The newest that coremltools 9 knows.
_MACOS = (26, 0)
_COMPILED = "coremltools.libcoremlpython"


@contextmanager
def answered_by(model: type, asset: type) -> Iterator[None]:
    """Have coremltools ask these instead of the framework, as on a Mac; all is as before when the context ends.

    Args:
        model: takes a path, the name of compute units, the name of a function or "", hints, and an asset or None, and raises
            RuntimeError if it can't be loaded; its methods are those of coremltools' ``_MLModelProxy``.
        asset: a model in memory, ``_MLModelAssetProxy``.
    """
    with quiet_coremltools():
        from coremltools import _deps
        from coremltools.models import model as models
        from coremltools.models import utils
    before = {
        "_MLModelProxy": models._MLModelProxy,
        "_MLModelAssetProxy": models._MLModelAssetProxy,
        "_IS_MACOS": _deps._IS_MACOS,
        "_is_macos": utils._is_macos,
        "_macos_version": utils._macos_version,
    }
    answers = {
        "_MLModelProxy": model,
        "_MLModelAssetProxy": asset,
        "_IS_MACOS": True,
        "_is_macos": lambda: True,
        "_macos_version": lambda: _MACOS,
    }
    compiled = ModuleType(_COMPILED)
    vars(compiled).update(answers)
    try:
        with _module(compiled):
            _exchange(before, answers)
            yield
    finally:
        _exchange(answers, before)  # in modules that were imported meanwhile, too


def _exchange(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Replace what coremltools' modules, its tests among them, hold under these names."""
    for module in [module for name, module in sys.modules.items() if name.split(".")[0] == "coremltools"]:
        values = vars(module)
        values.update({name: new[name] for name in old if name in values and values[name] is old[name]})


@contextmanager
def _module(compiled: ModuleType) -> Iterator[None]:
    """Have it imported under its name, and be what the package has under it."""
    package, attribute = sys.modules["coremltools"], compiled.__name__.rpartition(".")[2]
    places: list[tuple[dict[str, Any], str]] = [(sys.modules, compiled.__name__), (vars(package), attribute)]
    before = [(names, name, names.get(name)) for names, name in places]
    for names, name in places:
        names[name] = compiled
    try:
        yield
    finally:
        for names, name, value in before:
            if value is None:
                names.pop(name, None)
            else:
                names[name] = value
