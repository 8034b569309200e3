"""``list:PATH``: lines ``rgb.jpg sync_depth.png focal``, the lists of BTS and of the projects that followed it."""

from pathlib import Path

from fcrn_mobile.data.file_pairs import FilePairs, Pair, find_file, read_rows, reject_repeats
from fcrn_mobile.data.pairing import alone, tell_left_out
from fcrn_mobile.errors import InputError

__all__ = ["open_list"]

_NO_DEPTH = "None"


def open_list(path: Path, root: Path | None = None, scale: float | None = None) -> FilePairs:
    """Read a list of image and depth files; the focal length behind them isn't needed.

    Args:
        path: the list. Lines whose depth is ``None`` are passed over and counted.
        root: the folder that its files are relative to (a leading slash means it too); None for the list's own.
        scale: units per metre of the depth files, 256 for KITTI's; None for millimetres, as NYU's are.

    Raises:
        InputError: unreadable; a line of another form or with a file that does not exist (with its number); no pair.
    """
    if root is not None and not root.is_dir():
        raise InputError(f"no folder '{root}': give the folder that the files of '{path}' are relative to")
    form = "'rgb.jpg depth.png focal'"
    folder = root if root is not None else path.absolute().parent
    pairs, without_depth = [], []
    for number, line in enumerate(read_rows(path, f"a list with lines {form}"), start=1):
        fields = line.split()
        if not fields:
            continue
        row = f"row {number} of '{path}'"
        if len(fields) not in (2, 3):
            raise InputError(f"{row} has {len(fields)} fields: it needs {form}, without spaces in file names")
        image_file, depth_file = fields[:2]
        if depth_file == _NO_DEPTH:
            without_depth.append(image_file)
            continue
        remedy = "name the folder with ?root=FOLDER, restore the file or remove the row"
        image, depth = (find_file(file, (folder,), row, remedy) for file in (image_file, depth_file))
        pairs.append(Pair(image_file.lstrip("/"), image, depth))
    if not pairs:
        raise InputError(f"'{path}' has no pair: give a list with lines {form}")
    reject_repeats(pairs, path)
    tell_left_out(path, filter(None, [alone(without_depth, "image", "depth map")]))
    return FilePairs(tuple(pairs), scale)
