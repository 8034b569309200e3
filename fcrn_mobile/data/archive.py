"""Reading .zip files as people have them: made on Windows, by macOS, encrypted, damaged, or packed in ways that Python cannot unpack."""

import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from fcrn_mobile.data.listing import is_hidden, natural_key
from fcrn_mobile.errors import InputError

__all__ = ["Archive"]

#: What damage makes of Python's reader.
_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, NotImplementedError, RuntimeError, struct.error)
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
#: Section 4.4.5 of PKWARE's APPNOTE.TXT.
_METHODS = {9: "Deflate64", 93: "Zstandard", 95: "XZ", 96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES encryption"}


class Archive:
    """The files of a .zip. It can be pickled, and used in a forked process: each opens the file for itself.

    Args:
        path: the .zip.

    Attributes:
        files: their paths in it, with forward slashes, in natural order; hidden ones and macOS's own are left out.

    Raises:
        InputError: not a readable .zip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: tuple[int, zipfile.ZipFile] | None = None
        try:
            members = self._zip.infolist()
        except _DAMAGE as error:
            raise InputError(f"'{path}' is not a readable .zip ({_reason(error)}): give a folder or .zip") from error
        # Windows tools write backslashes against the standard. Of two members with one name the later counts, as for every reader.
        paths = {_normal(member.filename): member for member in members if not member.filename.endswith(("/", "\\"))}
        self._members = {name: member for name, member in paths.items() if name and not is_hidden(name)}
        self.files = tuple(sorted(self._members, key=natural_key))

    def check(self, file: str) -> None:
        """Refuse a file that this version of Python cannot unpack.

        Raises:
            InputError: it is encrypted, or compressed in another way.
        """
        member = self._members[file]
        method = member.compress_type
        if member.flag_bits & 1:
            raise InputError(f"{file!r} in '{self.path}' is encrypted: unpack the .zip with its password and give the folder")
        if method not in _READABLE:
            name = _METHODS.get(method, f"method {method}")
            raise InputError(
                f"{file!r} in '{self.path}' is compressed with {name}, which Python cannot read: unpack the .zip and give the folder"
            )

    def read(self, file: str) -> bytes:
        """A file's bytes.

        Raises:
            InputError: damaged, or not to be unpacked: see ``check``.
        """
        self.check(file)
        try:
            return self._zip.read(self._members[file])
        except _DAMAGE as error:
            raise InputError(f"{file!r} in '{self.path}' is damaged ({_reason(error)}): pack the .zip again") from error

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_opened": None}

    @property
    def _zip(self) -> zipfile.ZipFile:
        # An open zip cannot be pickled, and a forked worker shares its read position with every other: each process opens its own.
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return self._opened[1]


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or "it ends too early"


def _normal(name: str) -> str:
    return "/".join(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "//"))
