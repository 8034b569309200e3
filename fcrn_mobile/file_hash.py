"""Hash of files, by which an artefact names what it was made from."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["sha256_of"]

#: Bytes that are read at a time.
_PIECE = 2**20


def sha256_of(parts: Iterable[Path | bytes]) -> str:
    """SHA-256, in hexadecimal digits, of bytes and of what files hold, one after the other as if they were one.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            digest.update(part)
            continue
        with part.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()
