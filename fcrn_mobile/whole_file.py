"""Files and packages that appear at their path whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from fcrn_mobile.errors import InputError, why

__all__ = ["NO_ROOM", "check_destination", "make_folder", "no_room", "partial_name", "replaced_whole", "write_whole", "written_whole"]

#: What a disk says that takes no more.
NO_ROOM = tuple(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG", "EROFS") if hasattr(errno, name))  # Windows has no EDQUOT


def check_destination(path: Path, force: bool) -> None:
    """Refuse a destination before any work is done for it.

    Raises:
        InputError: it exists and ``force`` is not given, or its folder does not exist.
    """
    if path.exists() and not force:
        raise InputError(f"'{path}' exists: choose another --out or overwrite it with --force")
    if not path.parent.is_dir():
        raise InputError(f"no folder '{path.parent}' for '{path.name}': create it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"folder '{path.parent}' cannot be written to: choose another --out")


@contextmanager
def written_whole(path: Path, force: bool) -> Iterator[Path]:
    """As ``replaced_whole``, for what a user asked for.

    Raises:
        InputError: as ``check_destination``; or the disk takes no more.
    """
    check_destination(path, force)
    try:
        with replaced_whole(path) as partial:
            yield partial
    except Exception as error:
        if reason := no_room(error):
            raise InputError(f"cannot write '{path}' ({reason}): make room, or choose another folder") from error
        raise


def write_whole(path: Path, text: str, force: bool = True) -> None:
    """Text as ``written_whole``, in UTF-8; what a name of a file holds that is no text becomes ``?``.

    Raises:
        InputError: as there.
    """
    with written_whole(path, force) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace")


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; on success it takes the place of ``path``, on failure it is removed. Errors stay as they are."""
    partial = path.with_name(partial_name(path.name, str(os.getpid())))
    try:
        yield partial
        # A file takes the place of a file in one step, which no folder does.
        if path.is_dir() or (path.exists() and partial.is_dir()):
            _remove(path)
        partial.replace(path)
    finally:
        _remove(partial)


def make_folder(out: Path) -> None:
    """The folder of ``--out``, made if it is not there.

    Raises:
        InputError: it cannot be.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"'{out}' cannot be a folder ({error.strerror}): choose another --out") from error


def partial_name(name: str, process: str = "*") -> str:
    """What a file is called until it is whole, by the process that writes it; a pattern for those of any process."""
    # The suffix stays last: coremltools refuses to save under another one.
    return f".{PurePath(name).stem}.{process}{PurePath(name).suffix}"


def no_room(error: BaseException) -> str:
    """What the disk says if it takes no more, whichever library passes it on; else empty.

    Writers of other languages (safetensors, Core ML's) have exceptions of their own, with the system's words in them; an error of a file
    that is being written names no file.
    """
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return error.strerror or ""
    text = why(error) if isinstance(error, OSError) else str(error)
    return next((message for message in map(os.strerror, NO_ROOM) if message in text), "")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
