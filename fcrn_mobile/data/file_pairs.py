"""Frames whose image and depth map are two files: what lists and folder layouts of public data sets come down to."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.depth_maps import decode_depth, warn_of_units
from fcrn_mobile.data.images import decode_photo, read_file
from fcrn_mobile.data.source import Sample, splits_by_part
from fcrn_mobile.errors import InputError

__all__ = ["FilePairs", "Pair", "checked_sample", "find_file", "read_rows", "reject_repeats"]


@dataclass(frozen=True)
class Pair:
    """One frame on disk.

    Attributes:
        name: unique within its source.
        image: 8-bit RGB file.
        depth: single-channel depth file.
        part: ``train`` or ``val`` where the data set's own layout says so, else empty.
    """

    name: str
    image: Path
    depth: Path
    part: str = ""


@dataclass(frozen=True)
class FilePairs:
    """A source of image and depth files.

    Attributes:
        pairs: the frames.
        units_per_metre, units_per_metre_8_bit, remedy: of depth files, as ``decode_depth`` takes them.
    """

    pairs: tuple[Pair, ...]
    units_per_metre: float | None = None
    units_per_metre_8_bit: float | None = None
    remedy: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(pair.name for pair in self.pairs)

    def splits(self) -> dict[str, tuple[int, ...]]:
        """The data set's own train and val parts where it has them, else the fixed split."""
        return splits_by_part([pair.part for pair in self.pairs])

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        """Decode one pair.

        Raises:
            InputError: missing or damaged file, sizes that differ, or a depth map without one valid pixel.
        """
        pair = self.pairs[index]
        photo = decode_photo(read_file(pair.image), str(pair.image))
        units = (self.units_per_metre, self.units_per_metre_8_bit, self.remedy)
        depth = decode_depth(read_file(pair.depth), str(pair.depth), *units, photo=photo)
        return checked_sample(photo.pixels, depth, pair.name, str(pair.depth))


def checked_sample(image: NDArray[np.uint8], depth: NDArray[np.float32], name: str, where: str) -> Sample:
    """A sample whose image and depth fit together; a median depth that few scenes have is said once.

    Args:
        image: H×W×3 uint8.
        depth: H×W float32 metres.
        name: of the sample.
        where: what an error calls the depth map.

    Raises:
        InputError: sizes that differ, or a depth map without one valid pixel.
    """
    if image.shape[:2] != depth.shape:
        (height, width), (depth_height, depth_width) = image.shape[:2], depth.shape
        raise InputError(f"'{where}' is {depth_width}×{depth_height} but its image is {width}×{height}: register depth to colour first")
    if not np.any(depth > 0):
        raise InputError(f"'{where}' has no valid pixel: remove the pair or check the depth scale")
    warn_of_units(depth, where)
    return Sample(image, depth, name)


def read_rows(path: Path, what: str) -> list[str]:
    """Lines of a text file.

    Raises:
        InputError: unreadable or not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not a text file: give {what}") from error
    except OSError as error:
        raise InputError(f"cannot read '{path}' ({error.strerror}): give {what}") from error


def find_file(file: str, roots: Iterable[Path], row: str, remedy: str) -> Path:
    """The file that a row names, below the first of the roots that has it; a leading slash may mean the root.

    Raises:
        InputError: no root has it.
    """
    roots = tuple(roots)
    # Lists made on Windows have backslashes; elsewhere a name may hold one.
    for text in (file, file.replace("\\", "/")) if "\\" in file else (file,):
        for place in (*(root / text.lstrip("/") for root in roots), *([Path(text)] if text.startswith("/") else [])):
            if _is_file(place):
                return place
    raise InputError(f"{row}: no file '{file}' in {' or '.join(repr(str(root)) for root in roots)}: {remedy}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name too long for the disk, or one with a zero byte
        return False


def reject_repeats(pairs: list[Pair], path: Path) -> None:
    """Refuse a list that holds a frame twice, which could put it into training and validation at once.

    Raises:
        InputError: names the first frame that comes twice.
    """
    twice = [name for name, count in Counter(pair.name for pair in pairs).items() if count > 1]
    if twice:
        raise InputError(f"'{path}' lists '{twice[0]}' {'twice' if len(twice) == 1 else 'and others twice'}: keep one row of each image")
