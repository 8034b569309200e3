"""What a prediction leaves in a folder: which files an input gives, and those of a picture."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.conversion.artefact import written_whole
from fcrn_mobile.data.depth_maps import save_depth_png
from fcrn_mobile.data.inputs import is_video
from fcrn_mobile.errors import InputError
from fcrn_mobile.report.figures import save_side_by_side
from fcrn_mobile.report.pointcloud import Intrinsics, back_project, save_ply


def result_files(path: Path, out: Path, cloud: bool = False) -> list[Path]:
    """NAME.mp4 of a video; NAME.png, NAME.depth.png and, for a point cloud, NAME.ply of a picture."""
    suffixes = [".mp4"] if is_video(path) else [".png", ".depth.png", *([".ply"] if cloud else [])]
    return [out / f"{path.stem}{suffix}" for suffix in suffixes]


def check_results(files: Iterable[Path], out: Path, cloud: bool = False) -> None:
    """No result may overwrite another's, an input, or a folder. Case is ignored, as macOS does.

    Raises:
        InputError: one would.
    """
    files = list(files)
    sources = {_key(path): path for path in files}
    owners: dict[str, Path] = {}
    for path in files:
        for result in result_files(path, out, cloud):
            key = _key(result)
            if key in owners:
                raise InputError(f"'{owners[key]}' and '{path}' have the same name: predict them into two folders")
            if key in sources:
                raise InputError(f"'{result}' would overwrite the input '{sources[key]}': choose another --out")
            if result.is_dir():
                raise InputError(f"'{result}' is a folder: choose another --out")
            owners[key] = path


def save_picture(
    image: NDArray[np.uint8], depth: NDArray[np.float32], files: list[Path], camera: Intrinsics | None = None, metric: bool = True
) -> int:
    """Write the files of one picture, each whole or not at all.

    Args:
        image: H×W×3 uint8.
        depth: h×w metres.
        files: as ``result_files`` names them.
        camera: of the point cloud, in pixels of the image.
        metric: whether depth is in metres, not up to scale.

    Returns:
        Points in the cloud; 0 without one.
    """
    coloured, millimetres, *clouds = files
    with written_whole(coloured, force=True) as partial:
        save_side_by_side(image, depth, partial)
    with written_whole(millimetres, force=True) as partial:
        save_depth_png(depth, partial)
    if camera is None:
        return 0
    points = back_project(depth, image, camera)
    with written_whole(clouds[0], force=True) as partial:
        save_ply(points, partial, metric)
    return len(points)


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
