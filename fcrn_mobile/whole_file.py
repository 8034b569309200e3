"""Files and packages that appear at their path whole or not at all."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fcrn_mobile.errors import InputError, why

#: What a disk says that takes no more.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


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
    """A path beside ``path`` to write to; renamed to ``path`` on success, removed on failure.

    Raises:
        InputError: as ``check_destination``; or the disk takes no more.
    """
    check_destination(path, force)
    # The suffix stays last: coremltools refuses to save under another one.
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield partial
        if path.exists():
            _remove(path)
        partial.rename(path)
    except Exception as error:
        if reason := no_room(error):
            raise InputError(f"cannot write '{path}' ({reason}): make room, or choose another folder") from error
        raise
    finally:
        _remove(partial)


def no_room(error: BaseException) -> str:
    """What the disk says if it takes no more, whichever library passes it on; else empty.

    Writers of other languages (safetensors, Core ML's) have exceptions of their own, with the system's words in them; an error of a file
    that is being written names no file.
    """
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return error.strerror or ""
    text = why(error) if isinstance(error, OSError) else str(error)
    return next((said for said in map(os.strerror, _NO_ROOM) if said in text), "")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
