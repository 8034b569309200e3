"""Warnings that hold for file after file are said once in a run, by the first that they hold for."""

import logging

__all__ = ["forget_warnings", "log", "warn_once"]

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
