"""Which two files are one frame: those with equal paths, but for the suffix and the folder that says which of the two a file is."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from posixpath import commonpath, splitext

from fcrn_mobile.data.listing import named, natural_key
from fcrn_mobile.errors import InputError
from fcrn_mobile.once import warn_once

__all__ = ["Kind", "Matches", "alone", "collect", "match", "pair", "tell_left_out"]


@dataclass(frozen=True)
class Kind:
    """One of the two files of a frame.

    Attributes:
        word: what people call it, such as ``image``.
        folders: names of the folder that it lies in or below, in lower case.
        suffixes: in lower case.
    """

    word: str
    folders: tuple[str, ...]
    suffixes: tuple[str, ...]


@dataclass(frozen=True)
class Matches:
    """Frames, and the files without a partner.

    Attributes:
        pairs: first and second file of each frame by its name, in natural order.
        counts: files of either kind.
        remarks: on the files without a partner, for ``tell_left_out``.
    """

    pairs: dict[str, tuple[str, str]]
    counts: tuple[int, int]
    remarks: tuple[str, ...]


def match(files: Iterable[str], first: Kind, second: Kind) -> Matches:
    """Pair the files of a listing.

    ``SCENE/rgb/0001.jpg`` belongs to ``SCENE/depth/0001.png``, ``rgb/SCENE/0001.jpg`` to ``depth/SCENE/0001.png``; both are named
    ``SCENE/0001``. Folders that lead to the rgb/ and depth/ of all frames are no part of their names.

    Raises:
        InputError: two files that are the same of one frame, such as ``0001.jpg`` beside ``0001.png``.
    """
    files, folders = list(files), first.folders + second.folders
    own, other = (collect(files, partial(_identity, kind=kind, folders=folders), kind.word) for kind in (first, second))
    matches = pair(own, other, first.word, second.word)
    scenes = {_divided(image.rpartition("/")[0], folders)[0] for image, _ in matches.pairs.values()}
    common = len(commonpath(scenes)) if scenes else 0
    return Matches({path[common:].lstrip("/"): both for path, both in matches.pairs.items()}, matches.counts, matches.remarks)


def collect(files: Iterable[str], identity: Callable[[str], str | None], word: str) -> dict[str, str]:
    """Files by what identifies their frames; those that ``identity`` gives None for are not of this kind.

    Raises:
        InputError: two files with the same identity.
    """
    collected: dict[str, str] = {}
    for file in files:
        frame = identity(file)
        if frame is None:
            continue
        if frame in collected:
            raise InputError(f"'{collected[frame]}' and '{file}' are both the {word} of '{frame}': remove or rename one of them")
        collected[frame] = file
    return collected


def pair(first: Mapping[str, str], second: Mapping[str, str], first_word: str, second_word: str) -> Matches:
    """Match two collections of files by what identifies their frames."""
    shared = sorted(first.keys() & second.keys(), key=natural_key)
    remarks = (
        alone([first[frame] for frame in first.keys() - second.keys()], first_word, second_word),
        alone([second[frame] for frame in second.keys() - first.keys()], second_word, first_word),
    )
    return Matches({frame: (first[frame], second[frame]) for frame in shared}, (len(first), len(second)), tuple(filter(None, remarks)))


def alone(files: Iterable[str], word: str, partner: str) -> str:
    """A remark on files without a partner; empty for none."""
    files = sorted(files, key=natural_key)
    article = "an" if partner[0] in "aeiou" else "a"
    return f"{len(files)} {word}{'' if len(files) == 1 else 's'} without {article} {partner} ({named(files)})" if files else ""


def tell_left_out(source: Path, remarks: Iterable[str]) -> None:
    """Say what a source leaves out, once in a run, as a warning; nothing for no remark."""
    if text := "; ".join(remarks):
        warn_once(f"left out of {source}: {text}", f"'{source}': left out are {text}")


def _identity(file: str, kind: Kind, folders: tuple[str, ...]) -> str | None:
    folder, _, name = file.rpartition("/")
    stem, suffix = splitext(name)
    _, telling, rest = _divided(folder, folders)
    return f"{rest}{stem}" if telling in kind.folders and suffix.lower() in kind.suffixes else None


@lru_cache(maxsize=4096)  # a folder has many files
def _divided(folder: str, folders: tuple[str, ...]) -> tuple[str, str, str]:
    """``a/rgb/b`` → ``a``, ``rgb`` and ``a/b/``: the last folder that tells the kind, what lies above it, and the path without it."""
    parts = folder.split("/")
    last = max((place for place, part in enumerate(parts) if part.lower() in folders), default=None)
    if last is None:
        return "", "", ""
    return "/".join(parts[:last]), parts[last].lower(), "".join(f"{part}/" for part in (*parts[:last], *parts[last + 1 :]))
