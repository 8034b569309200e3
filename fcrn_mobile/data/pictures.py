"""``images:PATH``: pictures alone, of which no depth is known; and frames whose depth is not to be seen."""

import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.archive import Archive
from fcrn_mobile.data.file_pairs import find_file, read_rows
from fcrn_mobile.data.frames import video_frames
from fcrn_mobile.data.images import decode_image, read_file
from fcrn_mobile.data.inputs import IMAGE_SUFFIXES, is_video
from fcrn_mobile.data.listing import list_files
from fcrn_mobile.data.pairing import tell_left_out
from fcrn_mobile.data.source import Indexed, Sample, Source, Subset, Wrapped, valid_pixels
from fcrn_mobile.errors import InputError

__all__ = ["HolesMarked", "Pictures", "Unlabelled", "open_pictures", "unknown_depth"]

_KINDS = "a picture, a folder or .zip of pictures, a video, or a text file with a picture on each line"


def unknown_depth(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Depth H×W of a picture of which none is known: NaN, so that 0 is left for what no picture shows, as behind a rotation."""
    return np.full(image.shape[:2], np.nan, np.float32)


@dataclass(frozen=True)
class Pictures:
    """Pictures without depth.

    Attributes:
        names: of the pictures, by which they are read; unique.
        place: what an error puts in front of a name.
        read: the bytes of a picture by its name.
    """

    names: tuple[str, ...]
    place: str
    read: Callable[[str], bytes]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Decode one picture; its depth is NaN everywhere.

        Raises:
            InputError: unreadable.
        """
        name = self.names[index]
        image = decode_image(self.read(name), f"{self.place}{name}")
        return Sample(image, unknown_depth(image), name)


@dataclass(frozen=True)
class Unlabelled(Wrapped):
    """The pictures of another source, as if no depth were known."""

    source: Indexed[Sample]

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        return replace(sample, depth=unknown_depth(sample.image))


@dataclass(frozen=True)
class HolesMarked(Wrapped):
    """Another source, its depth NaN where it is invalid: what is 0 after a transform is then what the frame does not show."""

    source: Indexed[Sample]

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index]
        valid = valid_pixels(sample.depth)
        return replace(sample, depth=np.where(valid, sample.depth, np.float32(np.nan)))


def open_pictures(path: Path, step: int = 1) -> Source:
    """The pictures below a folder, in a .zip, in a video, or named on the lines of a text file (relative to it).

    Args:
        path: of any of these.
        step: the first picture and every ``step``-th from there.

    Raises:
        InputError: nothing there, no picture, a line with a file that does not exist or that is there twice, or a video without PyAV.
    """
    if is_video(path) and path.is_file():
        frames = video_frames(path, step)
        return Pictures(tuple(frames), "", frames.__getitem__)
    pictures = _pictures(path)
    return pictures if step == 1 else Subset(pictures, tuple(range(0, len(pictures), step)))


def _pictures(path: Path) -> Pictures:
    if path.is_dir():
        listing = list_files(path)
        tell_left_out(path, listing.remarks)
        return Pictures(_among(listing.files, path), f"{path}/", partial(_below, path))
    if not path.is_file():
        raise InputError(f"no pictures at '{path}': give {_KINDS}")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return Pictures((path.name,), f"{path.parent}/", partial(_below, path.parent))
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        archive = Archive(path)
        return Pictures(_among(archive.files, path), f"{path}/", archive.read)
    return _listed(path)


def _listed(path: Path) -> Pictures:
    rows = [(number, row.strip()) for number, row in enumerate(read_rows(path, _KINDS), 1) if row.strip()]
    if twice := [name for name, count in Counter(name for _, name in rows).items() if count > 1]:
        raise InputError(f"'{path}' lists '{twice[0]}' twice: keep one line of each picture")
    remedy = "restore the file or remove the line"
    files = {name: find_file(name, (path.parent,), f"line {number} of '{path}'", remedy) for number, name in rows}
    if not files:
        raise InputError(f"no pictures in '{path}': give {_KINDS}")
    return Pictures(tuple(files), "", partial(_of, files))


def _among(files: tuple[str, ...], path: Path) -> tuple[str, ...]:
    pictures = tuple(file for file in files if PurePosixPath(file).suffix.lower() in IMAGE_SUFFIXES)
    if not pictures:
        raise InputError(f"no pictures in '{path}': it needs files ending in {', '.join(IMAGE_SUFFIXES)}")
    return pictures


def _below(folder: Path, name: str) -> bytes:
    return read_file(folder / name)


def _of(files: dict[str, Path], name: str) -> bytes:
    return read_file(files[name])
