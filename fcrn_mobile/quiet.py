"""Keeps the chatter of conversion libraries off the user's screen; their errors still travel as exceptions."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def quiet_coremltools() -> Iterator[None]:
    """Silence version notes, missing-proxy notes and progress bars, from coremltools' import on."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            import coremltools  # noqa: F401 - its import prints, and lowers the level again

            logger.setLevel(logging.ERROR)
            yield
        finally:
            logger.setLevel(level)
