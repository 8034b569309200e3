"""One process at a time trains in a run's folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fcrn_mobile.errors import InputError

__all__ = ["LOCK", "OWNER", "claimed"]

LOCK, OWNER = ".lock", ".pid"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes from training in an existing folder; the system lets go of it when this process dies.

    Raises:
        InputError: another process trains in it, or nothing can be written there.
    """
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
        (folder / OWNER).write_text(f"{os.getpid()}\n", encoding="utf-8")
    except Timeout:
        raise InputError(
            f"process {_owner(folder)} is training in '{folder}': wait until it has ended, stop it, or choose another --out"
        ) from None
    except OSError as error:
        lock.release()
        raise InputError(f"cannot write in '{folder}' ({error.strerror}): give a folder with room that you may write to") from error
    try:
        yield
    finally:
        (folder / OWNER).unlink(missing_ok=True)
        lock.release()


def _owner(folder: Path) -> str:
    try:
        return (folder / OWNER).read_text(encoding="utf-8").strip() or "?"
    except OSError:
        return "?"
