"""The files below a folder: links followed, hidden ones left out, numbered names in the order of their numbers."""

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from fcrn_mobile.errors import InputError
from fcrn_mobile.text import counted

__all__ = ["NAMED", "Listing", "is_hidden", "list_files", "named", "natural_key"]

#: What macOS adds to a zip, beside the ``._NAME`` that it writes on foreign disks.
_MACOS = "__MACOSX"
#: Items that a message names; the others are counted.
NAMED = 3


@dataclass(frozen=True)
class Listing:
    """What lies below a folder.

    Attributes:
        files: paths relative to the folder, with forward slashes, in natural order.
        dangling: links that lead nowhere, or round in a circle.
        repeated: links, and folders behind them, whose files are listed already.
    """

    files: tuple[str, ...]
    dangling: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What was passed over, a phrase each."""
        remarks = []
        if self.dangling:
            remarks.append(f"{counted(len(self.dangling), 'link')} to nowhere ({named(self.dangling)})")
        if self.repeated:
            what = "links to folders" if self.repeated[1:] else "link to a folder"
            remarks.append(f"{len(self.repeated)} {what} above or already read ({named(self.repeated)})")
        return remarks


def natural_key(path: str) -> tuple[str, str]:
    """Sorts ``frame2`` before ``frame10``, folder by folder. Numbers of equally many digits are compared as text."""
    # A folder's name ends before every character that another's may go on with.
    return "\0".join(map(_name_key, path.split("/"))), path


def named(names: Iterable[str]) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def is_hidden(path: str) -> bool:
    """Whether a file, or a folder on the way to it, is hidden or macOS's own."""
    return any(part.startswith(".") or part == _MACOS for part in PurePosixPath(path).parts)


def list_files(root: Path) -> Listing:
    """All files below a folder.

    A folder that several links lead to is read once, by the name that is no link if there is one: read twice, its frames could be in
    training and in validation. A link to a folder that the root lies in is passed over like these.

    Raises:
        InputError: a folder that cannot be read.
    """
    walk = _Walk(root)
    walk.into("")
    for link in walk.links:  # grows while links lead to folders with links in them
        walk.follow(link)
    return Listing(*(tuple(sorted(names, key=natural_key)) for names in (walk.files, walk.dangling, walk.repeated)))


class _Walk:
    """Files and links seen so far, by their paths below the root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[str] = []
        self.links: list[str] = []
        self.dangling: list[str] = []
        self.repeated: list[str] = []
        self._seen: set[tuple[int, int]] = set()
        self._above = {_identity(folder) for folder in root.resolve().parents}

    def into(self, folder: str) -> None:
        """Take in a folder and those in it that are no links."""
        waiting = [folder]
        while waiting:
            folder = waiting.pop()
            try:
                if (identity := _identity(self.root / folder)) in self._seen:  # by way of a link into this one
                    self.repeated.append(folder)
                    continue
                self._seen.add(identity)
                with os.scandir(self.root / folder) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if not is_hidden(entry.name):
                            self._take(entry, f"{folder}/{entry.name}" if folder else entry.name, waiting)
            except OSError as error:
                raise InputError(f"cannot read folder '{self.root / folder}': {error.strerror}") from error

    def follow(self, link: str) -> None:
        """Take in the folder that a link leads to, unless its files are listed already."""
        target = _identity(self.root / link)
        if target in self._seen or target in self._above:
            self.repeated.append(link)
        else:
            self.into(link)

    def _take(self, entry: os.DirEntry[str], path: str, waiting: list[str]) -> None:
        if entry.is_symlink():
            kind = self._target(entry)
            {"folder": self.links, "file": self.files, "": self.dangling}[kind].append(path)
        elif entry.is_dir():
            waiting.append(path)
        elif entry.is_file():
            self.files.append(path)

    @staticmethod
    def _target(link: os.DirEntry[str]) -> str:
        try:
            mode = link.stat().st_mode
        except OSError:  # nothing there, or a circle of links
            return ""
        return "folder" if stat.S_ISDIR(mode) else "file"


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


@lru_cache(maxsize=65536)  # a folder has many files
def _name_key(name: str) -> str:
    return re.sub(r"[0-9]+", _by_length, name)


def _by_length(digits: re.Match[str]) -> str:
    # A number stays a digit to its neighbours; more digits are a larger number, equally many compare as text.
    number = digits[0].lstrip("0")
    return f"0{chr(1 + len(number))}{number}"
