"""Keeps the chatter of conversion libraries off the user's screen, and nothing else; their errors still travel as exceptions."""

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from importlib import import_module
from typing import Any

__all__ = ["quiet_coremltools"]

#: Modules of coremltools 9.0 that draw bars of tqdm on the way from a traced network to a compressed package.
_WITH_BARS = (
    "coremltools.converters.mil.frontend.torch.ops",
    "coremltools.converters.mil.mil.passes.pass_pipeline",
    "coremltools.optimize.coreml._post_training_quantization",
    "coremltools.optimize.coreml._quantization_passes",
)


@contextmanager
def quiet_coremltools() -> Iterator[None]:
    """Silence version notes, missing-proxy notes and progress bars, from coremltools' import on.

    Python's streams stay as they are, but for the time of the import: what else runs meanwhile, such as a progress bar, is seen.
    """
    logger = logging.getLogger("coremltools")
    level = logger.level
    with warnings.catch_warnings(), ExitStack() as bars:
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            _import()
            logger.setLevel(logging.CRITICAL)  # the import lowers it again
            for name in _WITH_BARS:
                bars.enter_context(_without_bar(sys.modules[name]))
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _without_bar(module: Any) -> Iterator[None]:
    (name,) = (name for name in ("tqdm", "_tqdm") if hasattr(module, name))
    drawn = getattr(module, name)
    setattr(module, name, partial(drawn, disable=True))
    try:
        yield
    finally:
        setattr(module, name, drawn)


def _import() -> None:
    """Import coremltools, whose import prints."""
    if all(name in sys.modules for name in _WITH_BARS):
        return
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for name in _WITH_BARS:
            import_module(name)
