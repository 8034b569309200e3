"""What a prediction leaves in a folder: which files an input gives, and those of a picture."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.depth_maps import save_depth_png
from fcrn_mobile.data.inputs import is_video
from fcrn_mobile.errors import InputError
from fcrn_mobile.report.figures import save_side_by_side
from fcrn_mobile.report.pointcloud import Intrinsics, back_project, save_ply
from fcrn_mobile.whole_file import written_whole


def result_files(path: Path, out: Path, cloud: bool = False) -> list[Path]:
    """NAME.mp4 of a video; NAME.png, NAME.depth.png and, for a point cloud, NAME.ply of a picture."""
    suffixes = [".mp4"] if is_video(path) else [".png", ".depth.png", *([".ply"] if cloud else [])]
    return [out / f"{path.stem}{suffix}" for suffix in suffixes]


def check_results(files: Iterable[Path], out: Path, cloud: bool = False, force: bool = False) -> None:
    """No result may overwrite another's, an input, or a folder, nor, unless ``force``, any file. Case is ignored, as macOS does.

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
            if not force and result.exists():
                raise InputError(f"'{result}' exists: choose another --out or overwrite it with --force")
            owners[key] = path


def save_picture(
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    files: list[Path],
    camera: Intrinsics | None = None,
    metric: bool = True,
    full_size: bool = False,
) -> int:
    """Write the files of one picture, all of them whole or none.

    Args:
        image: H×W×3 uint8.
        depth: h×w metres.
        files: as ``result_files`` names them; overwritten.
        camera: of the point cloud, in pixels of the image.
        metric: whether depth is in metres, not up to scale.
        full_size: write the depth map in the image's size.

    Returns:
        Points in the cloud; 0 without one.
    """
    points = None if camera is None else back_project(depth, image, camera)
    with ExitStack() as stack:
        coloured, millimetres, *clouds = (stack.enter_context(written_whole(file, force=True)) for file in files)
        save_side_by_side(image, depth, coloured)
        save_depth_png(_enlarged(depth, image.shape[:2]) if full_size else depth, millimetres)
        if points is None:
            return 0
        save_ply(points, clouds[0], metric)
        return len(points)


def _enlarged(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """To height × width, bilinearly, as the metrics do."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(depth)).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
