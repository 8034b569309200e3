"""``tum:PATH``: one sequence of the TUM RGB-D benchmark, or any recording in its format."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path, PurePath

from fcrn_mobile.data.file_pairs import FilePairs, Pair, find_file, read_rows, reject_repeats
from fcrn_mobile.data.pairing import alone, tell_left_out
from fcrn_mobile.errors import InputError

__all__ = ["MAX_DIFFERENCE", "REMEDY", "UNITS_PER_METRE", "associate", "open_tum"]

#: Depth is uint16 / 5000 m, 0 where nothing was seen (the benchmark's description of its file formats).
UNITS_PER_METRE = 5000.0
REMEDY = "TUM's has 16, restore it, or read other data with folder: or list: and ?scale=UNITS_PER_METRE"
MAX_DIFFERENCE = 0.02


@dataclass(frozen=True)
class _Stamped:
    """A file and its time in seconds; ``name`` is the file as listed."""

    time: float
    name: str
    file: Path


def open_tum(path: Path, max_difference: float = MAX_DIFFERENCE) -> FilePairs:
    """Pair the images of ``rgb.txt`` with the depth maps of ``depth.txt``, both lines of ``timestamp file``.

    Colour and depth are taken at different times: pairs are made from the closest in time on, and each file is used once.

    Args:
        path: the sequence's folder.
        max_difference: largest difference of time, in seconds.

    Raises:
        InputError: no such list; a line of another form or with a file that does not exist (with its number); no pair.
    """
    images, depths = (_read_list(path / name) for name in ("rgb.txt", "depth.txt"))
    image_times, depth_times = ([entry.time for entry in entries] for entries in (images, depths))
    matches = associate(image_times, depth_times, max_difference)
    if not matches:
        apart = min(abs(a - b) for a in image_times for b in depth_times)
        raise InputError(
            f"no image of '{path}' has a depth map within {max_difference:g} s, the closest is {apart:.3g} s away: "
            "raise ?max_difference=SECONDS or check the timestamps"
        )
    pairs = [Pair(PurePath(images[i].name).with_suffix("").as_posix(), images[i].file, depths[j].file) for i, j in matches]
    reject_repeats(pairs, path / "rgb.txt")
    unmatched_images = set(range(len(images))) - {i for i, _ in matches}
    unmatched_depths = set(range(len(depths))) - {j for _, j in matches}
    remarks = (
        alone([images[i].name for i in unmatched_images], "image", "depth map"),
        alone([depths[j].name for j in unmatched_depths], "depth map", "image"),
    )
    tell_left_out(path, [f"{remark} within {max_difference:g} s" for remark in remarks if remark])
    return FilePairs(tuple(pairs), UNITS_PER_METRE, remedy=REMEDY)


def associate(first: list[float], second: list[float], max_difference: float) -> list[tuple[int, int]]:
    """Match two lists of ascending times one to one, closest pairs first.

    Returns:
        Index pairs in ascending order; their times differ by at most ``max_difference``.
    """
    candidates = []
    for i, time in enumerate(first):
        j = bisect_left(second, time - max_difference)
        while j < len(second) and second[j] <= time + max_difference:
            candidates.append((abs(second[j] - time), i, j))
            j += 1
    used: tuple[set[int], set[int]] = (set(), set())
    matches = []
    for _, i, j in sorted(candidates):
        if i not in used[0] and j not in used[1]:
            used[0].add(i)
            used[1].add(j)
            matches.append((i, j))
    return sorted(matches)


def _read_list(path: Path) -> list[_Stamped]:
    entries = []
    for number, line in enumerate(read_rows(path, "a TUM sequence folder with rgb.txt and depth.txt"), start=1):
        fields = line.split(maxsplit=1)
        if not fields or fields[0].startswith("#"):
            continue
        row = f"row {number} of '{path}'"
        time = _seconds(fields[0])
        if not math.isfinite(time) or len(fields) != 2:
            raise InputError(f"{row} is '{line.strip()}': it needs 'timestamp file'")
        name = fields[1].strip()
        entries.append(_Stamped(time, name, find_file(name, (path.parent,), row, "restore it or remove the row")))
    if not entries:
        raise InputError(f"'{path}' lists no file: it needs lines 'timestamp file'")
    return sorted(entries, key=lambda entry: entry.time)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
