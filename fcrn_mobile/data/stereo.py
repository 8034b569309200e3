"""Rectified stereo pairs: ``stereo:PATH?fx=…&baseline=…`` with ``left/`` and ``right/``, and what other layouts come down to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcrn_mobile.data.frames import check_equal_sizes
from fcrn_mobile.data.images import read_image
from fcrn_mobile.data.inputs import IMAGE_SUFFIXES
from fcrn_mobile.data.listing import list_files
from fcrn_mobile.data.pairing import Kind, match, tell_left_out
from fcrn_mobile.data.rectification import MOST_OFF, vertical_disparity
from fcrn_mobile.data.source import evenly
from fcrn_mobile.data.views import Intrinsics, Views, in_order, join_splits
from fcrn_mobile.errors import InputError

__all__ = ["Rig", "StereoPairs", "checked_pairs", "open_stereo"]

#: Pairs that are looked at to see whether a source is rectified.
_CHECKED = 5
_SIDES = Kind("left picture", ("left",), IMAGE_SUFFIXES), Kind("right picture", ("right",), IMAGE_SUFFIXES)


@dataclass(frozen=True)
class Rig:
    """Two cameras side by side and what they saw, in the order of time.

    Attributes:
        pairs: left and right file of each pair.
        intrinsics: of both rectified cameras, in pixels of the files.
        baseline: metres between them.
        prefix: of the pairs' names.
    """

    pairs: tuple[tuple[Path, Path], ...]
    intrinsics: Intrinsics
    baseline: float
    prefix: str = ""


@dataclass(frozen=True)
class StereoPairs:
    """The pairs of some rigs."""

    rigs: tuple[Rig, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(rig.prefix + left.stem for rig in self.rigs for left, _ in rig.pairs)

    def splits(self) -> dict[str, tuple[int, ...]]:
        """The last 15 % of every rig's pairs are ``val``."""
        counts = [len(rig.pairs) for rig in self.rigs]
        return join_splits([in_order(count) for count in counts], counts)

    def __len__(self) -> int:
        return sum(len(rig.pairs) for rig in self.rigs)

    def __getitem__(self, index: int) -> Views:
        """Decode one pair.

        Raises:
            InputError: a damaged picture, or sizes that differ.
        """
        place = range(len(self))[index]
        for rig in self.rigs:
            if place < len(rig.pairs):
                left, right = rig.pairs[place]
                images = (read_image(left), read_image(right))
                name = rig.prefix + left.stem
                check_equal_sizes(images, name)
                return Views(images, rig.intrinsics, rig.baseline, name)
            place -= len(rig.pairs)
        raise IndexError(index)


def open_stereo(
    path: Path, fx: float, baseline: float, fy: float | None = None, cx: float | None = None, cy: float | None = None
) -> StereoPairs:
    """Pairs of ``left/NAME`` and ``right/NAME``, matched by their paths.

    Args:
        path: the folder. Pictures in several folders below, ``SCENE/left/`` or ``left/SCENE/``, are recordings of one rig.
        fx, fy, cx, cy: of the rectified cameras in pixels, as of ``frames.open_frames``.
        baseline: metres between them.

    Raises:
        InputError: no such folder, no pair, two files of one name on a side, or pairs that aren't rectified.
    """
    if not path.is_dir():
        raise InputError(f"no folder '{path}': give a folder with left/ and right/ and equal names in both")
    listing = list_files(path)
    matches = match(listing.files, *_SIDES)
    remarks = [*matches.remarks, *listing.remarks]
    if not matches.pairs:
        notes = f" ({'; '.join(remarks)})" if remarks else ""
        raise InputError(f"no pairs in '{path}'{notes}: it needs left/ and right/ with pictures of equal names")
    first, _ = next(iter(matches.pairs.values()))
    height, width = read_image(path / first).shape[:2]
    intrinsics = Intrinsics(fx, fx if fy is None else fy, (width - 1) / 2 if cx is None else cx, (height - 1) / 2 if cy is None else cy)
    recordings: dict[str, list[tuple[Path, Path]]] = {}
    for name, (left, right) in matches.pairs.items():
        recordings.setdefault(name[: name.rfind("/") + 1], []).append((path / left, path / right))
    tell_left_out(path, remarks)
    return checked_pairs(tuple(Rig(tuple(pairs), intrinsics, baseline, prefix) for prefix, pairs in recordings.items()), path)


def checked_pairs(rigs: tuple[Rig, ...], path: Path) -> StereoPairs:
    """Pairs of rigs, a few of which were looked at.

    Raises:
        InputError: they are not rectified.
    """
    source = StereoPairs(rigs)
    measured = []
    for index in evenly(len(source), _CHECKED):
        views = source[index]
        off = vertical_disparity(*views.images)
        if off is not None:
            measured.append(off)
    if measured and (off := float(np.median(measured))) > MOST_OFF:
        raise InputError(
            f"the pairs of '{path}' are not rectified: the same point lies {off:.1f} % of the height higher or lower in the right picture "
            f"(median of {len(measured)} pairs, at most {MOST_OFF:g} %): rectify them first, for instance with OpenCV's stereoRectify"
        )
    return source
