"""``csv:PATH``: rows ``rgb.jpg,depth.png``, as DenseDepth and its copies on Kaggle list NYU Depth V2."""

import csv
from pathlib import Path

from fcrn_mobile.data.file_pairs import FilePairs, Pair, find_file, read_rows, reject_repeats
from fcrn_mobile.errors import InputError

__all__ = ["UNITS_PER_METRE_8_BIT", "open_csv"]

#: DenseDepth writes training depth as 8 bits of 10 m, and test depth as 16-bit millimetres.
UNITS_PER_METRE_8_BIT = 255 / 10


def open_csv(path: Path) -> FilePairs:
    """Read a csv of image and depth files.

    Files are relative to the csv's folder or to that folder's parent (Kaggle's ``data/nyu2_train.csv`` names
    ``data/nyu2_train/…``). A depth file of 8 bits holds v/255·10 m, one of 16 bits millimetres; each file is looked at.

    Raises:
        InputError: unreadable; a row that isn't two files or names one that does not exist (with its number); no row.
    """
    rows = read_rows(path, "a csv with rows 'rgb.jpg,depth.png'")
    folder = path.absolute().parent
    pairs = []
    for number, cells in enumerate(_cells(rows, path), start=1):
        if not cells:
            continue
        row = f"row {number} of '{path}'"
        files = [cell.strip() for cell in cells]
        if len(files) != 2 or not all(files):
            raise InputError(f"{row} is '{','.join(cells)}': it needs two files, 'rgb.jpg,depth.png'")
        image, depth = (find_file(file, (folder, folder.parent), row, "restore it or remove the row") for file in files)
        pairs.append(Pair(files[0], image, depth))
    if not pairs:
        raise InputError(f"'{path}' has no rows: give a csv with rows 'rgb.jpg,depth.png'")
    reject_repeats(pairs, path)
    return FilePairs(tuple(pairs), units_per_metre_8_bit=UNITS_PER_METRE_8_BIT)


def _cells(rows: list[str], path: Path) -> list[list[str]]:
    try:
        return list(csv.reader(rows))
    except csv.Error as error:
        raise InputError(f"'{path}' is no csv ({error}): it needs rows 'rgb.jpg,depth.png'") from error
