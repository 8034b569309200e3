"""Warnings that hold for file after file are said once in a run, by the first that they hold for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collected", "forget_warnings", "log", "warn_once"]

log = logging.getLogger(__name__)
_SAID: set[str] = set()


def warn_once(kind: str, message: str) -> None:
    """Log a warning, unless one of its kind was logged before in this process.

    Args:
        kind: what the warning is about.
        message: names the file.
    """
    if kind not in _SAID:
        _SAID.add(kind)
        log.warning("%s", message)


def forget_warnings() -> None:
    """Let every kind be said again: another run begins."""
    _SAID.clear()


@contextmanager
def collected() -> Iterator[list[str]]:
    """The warnings of a block, which get into this list instead of the log."""
    messages: list[str] = []

    def collect(record: logging.LogRecord) -> bool:
        messages.append(record.getMessage())
        return False

    log.addFilter(collect)
    try:
        yield messages
    finally:
        log.removeFilter(collect)
