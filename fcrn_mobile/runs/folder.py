"""A run's folder: what stands in it, and that a run that ended within its first epoch leaves nothing to keep."""

import errno
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path

from fcrn_mobile.errors import InputError
from fcrn_mobile.runs.lock import LOCK, OWNER, claimed
from fcrn_mobile.whole_file import NO_ROOM, partial_name

__all__ = ["BEST", "LAST", "METRICS", "PICTURES", "RECORD", "STATE", "TRACKED", "clear", "naming_a_full_disk", "require_new"]

#: All that the run depends on; and all that the trainer needs to go on.
RECORD, STATE = "run.json", "last.ckpt"
#: Its networks, by the monitored metric and by the last epoch.
BEST, LAST = "best.safetensors", "last.safetensors"
#: A line per logged step; a picture per epoch; its place in an MLflow store.
METRICS, PICTURES, TRACKED = "metrics.csv", "pictures", "mlflow.json"
#: A disk that takes no more, or fails.
_UNWRITABLE = (*NO_ROOM, errno.EIO)
#: What training has written before its first epoch has ended, half-written files of a killed process included.
_BEFORE_AN_EPOCH = (
    RECORD,
    METRICS,
    "hparams.yaml",
    TRACKED,
    "events.out.tfevents.*",
    *(partial_name(name) for name in (BEST, LAST, STATE, RECORD)),
)


@contextmanager
def naming_a_full_disk(folder: Path) -> Iterator[None]:
    """Say where there is no room, which the system's own error for a full disk does not, whoever of the loggers meets it.

    Raises:
        InputError: nothing more can be written in the folder.
    """
    # TensorBoard writes in a thread, whose error it raises again in ours.
    hook, threading.excepthook = threading.excepthook, _unless_full
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE or error.filename is not None:
            raise
        raise InputError(
            f"cannot write in '{folder}' ({error.strerror}): make room, then continue with --resume {shlex.quote(str(folder))}"
        ) from error
    finally:
        threading.excepthook = hook


def _unless_full(arguments: threading.ExceptHookArgs) -> None:
    if not (isinstance(arguments.exc_value, OSError) and arguments.exc_value.errno in _UNWRITABLE):
        threading.__excepthook__(arguments)


def require_new(folder: Path, claimed_here: bool = False) -> None:
    """Pass if a run may be started in a folder: it does not exist, is empty, or holds a run of which no epoch has ended.

    Args:
        folder: of the run.
        claimed_here: whether this process has ``claimed`` it.

    Raises:
        InputError: it holds anything else, or another process trains in it.
    """
    if not folder.exists():
        return
    if folder.is_dir():
        if (folder / LOCK).exists() and not claimed_here:
            with claimed(folder):
                pass
        names = _names(folder)
        if not names or (RECORD in names and all(_is_left_behind(name) for name in names)):
            return
        if RECORD in names and STATE not in names:
            raise InputError(
                f"'{folder}' holds a run that ended within its first epoch, and its weights: begin it again with "
                f"--resume {shlex.quote(str(folder))}, or choose another --out"
            )
    raise InputError(f"'{folder}' exists: choose another --out, or continue it with --resume {shlex.quote(str(folder))}")


def clear(folder: Path) -> None:
    """Remove what a run has left behind of which no epoch has ended, but for its record and its place in an MLflow store."""
    for name in _names(folder):
        if _is_left_behind(name) and name not in (RECORD, TRACKED):
            (folder / name).unlink()


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name not in (LOCK, OWNER)]


def _is_left_behind(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in _BEFORE_AN_EPOCH)
