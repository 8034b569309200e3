"""Artefacts appear at their path whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fcrn_mobile.errors import InputError


def check_destination(path: Path, force: bool) -> None:
    """Refuse a destination before any work is done for it.

    Raises:
        InputError: it exists and ``force`` is not given, or its folder does not exist.
    """
    if path.exists() and not force:
        raise InputError(f"'{path}' exists: choose another --out or overwrite it with --force")
    if not path.parent.is_dir():
        raise InputError(f"no folder '{path.parent}' for '{path.name}': create it first")


@contextmanager
def written_whole(path: Path, force: bool) -> Iterator[Path]:
    """A path beside ``path`` to write to; renamed to ``path`` on success, removed on failure."""
    check_destination(path, force)
    # The suffix stays last: coremltools refuses to save under another one.
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        if path.exists():
            _remove(path)
        partial.rename(path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
