"""``kitti:PATH`` for learning without depth: sequences and stereo pairs with their calibration files.

Two layouts are known. Raw data: ``DATE/calib_cam_to_cam.txt`` beside the drives ``DATE/DRIVE/image_02/data/N.png`` and image_03.
Odometry: ``sequences/NN/calib.txt`` beside ``image_2/N.png`` and ``image_3``. The pictures are the rectified colour ones.
"""

from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.file_pairs import read_rows
from fcrn_mobile.data.frames import FileClip, Triplets, checked_triplets
from fcrn_mobile.data.kitti import IMAGE_SUFFIXES
from fcrn_mobile.data.listing import is_hidden, list_files, named, natural_key
from fcrn_mobile.data.pairing import collect, pair, tell_left_out
from fcrn_mobile.data.stereo import Rig, StereoPairs, checked_pairs
from fcrn_mobile.data.views import Intrinsics
from fcrn_mobile.errors import InputError
from fcrn_mobile.text import counted

__all__ = ["open_kitti_stereo", "open_kitti_triplets"]


@dataclass(frozen=True)
class _Layout:
    """Name of the calibration file, its keys of the left and right colour camera, and the folders of their pictures."""

    file: str
    keys: tuple[str, str]
    folders: tuple[str, str]


_LAYOUTS = (
    _Layout("calib_cam_to_cam.txt", ("P_rect_02", "P_rect_03"), ("image_02", "image_03")),
    _Layout("calib.txt", ("P2", "P3"), ("image_2", "image_3")),
)


@dataclass(frozen=True)
class _Drive:
    """A folder of left and right pictures, and the projection matrices 3×4 of both cameras."""

    name: str
    pictures: tuple[dict[str, Path], dict[str, Path]]
    matrices: tuple[NDArray[np.float64], NDArray[np.float64]]

    def intrinsics(self, side: int) -> Intrinsics:
        matrix = self.matrices[side]
        return Intrinsics(*(float(value) for value in (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])))

    @property
    def baseline(self) -> float:
        """Metres from the left camera to the right one: the fourth column of a projection matrix holds -fx·x of its camera."""
        left, right = self.matrices
        return float(left[0, 3] / left[0, 0] - right[0, 3] / right[0, 0])


def open_kitti_triplets(path: Path, step: int = 1) -> Triplets:
    """Triplets of all drives below a folder, of either camera.

    Raises:
        InputError: no drive with its calibration, or none long enough.
    """
    clips = tuple(
        FileClip(tuple(files.values()), drive.intrinsics(side), f"{drive.name}/{side}/")
        for drive in _drives(path)
        for side, files in enumerate(drive.pictures)
        if files
    )
    return checked_triplets(clips, step, path)


def open_kitti_stereo(path: Path) -> StereoPairs:
    """Pairs of all drives below a folder.

    Raises:
        InputError: no drive with its calibration and both pictures, or a baseline that isn't positive.
    """
    rigs: list[Rig] = []
    remarks: list[str] = []
    for drive in _drives(path):
        left, right = drive.pictures
        lefts, rights = ({stem: file.as_posix() for stem, file in side.items()} for side in (left, right))
        matches = pair(lefts, rights, "left picture", "right picture")
        remarks += matches.remarks
        if not matches.pairs:
            continue
        if not drive.baseline > 0:
            raise InputError(f"the baseline of '{drive.name}' is {drive.baseline:g} m by its calibration file: restore that file")
        pairs = tuple((left[stem], right[stem]) for stem in matches.pairs)
        rigs.append(Rig(pairs, drive.intrinsics(0), drive.baseline, f"{drive.name}/"))
    if not rigs:
        raise InputError(f"no stereo pairs in '{path}': image_02 and image_03 (or image_2 and image_3) must hold equal names")
    tell_left_out(path, remarks)
    return checked_pairs(tuple(rigs), path)


def _drives(path: Path) -> list[_Drive]:
    if not path.is_dir():
        raise InputError(f"no data at '{path}': give the folder that holds KITTI's drives and calibration files")
    drives = []
    listing = list_files(path)
    for layout in _LAYOUTS:
        for calibration in (path / file for file in listing.files if PurePath(file).name == layout.file):
            folder = calibration.parent
            matrices = _projections(calibration, layout.keys)
            for drive in (folder, *sorted((item for item in folder.iterdir() if item.is_dir()), key=lambda item: natural_key(item.name))):
                left, right = (_pictures(drive / name) for name in layout.folders)
                if left or right:
                    drives.append(_Drive(drive.relative_to(path).as_posix() if drive != path else drive.name, (left, right), matrices))
    if not drives:
        raise InputError(
            f"no drive in '{path}': it needs DATE/calib_cam_to_cam.txt with DATE/DRIVE/image_02/data/N.png, "
            "or sequences/NN/calib.txt with sequences/NN/image_2/N.png"
        )
    tell_left_out(path, [*_uncalibrated(listing.files, {drive.name for drive in drives}), *listing.remarks])
    return drives


def _uncalibrated(files: tuple[str, ...], read: set[str]) -> list[str]:
    """A remark on drives whose calibration file is missing, if there are any."""
    cameras = {folder for layout in _LAYOUTS for folder in layout.folders}
    missing: dict[str, None] = {}
    for folders in (PurePath(file).parts[:-1] for file in files if PurePath(file).suffix.lower() in IMAGE_SUFFIXES):
        # Depth maps have cameras too, below proj_depth/.
        if (camera := next((place for place, name in enumerate(folders) if name in cameras), 0)) and "proj_depth" not in folders:
            missing["/".join(folders[:camera])] = None
    names = [name for name in missing if name not in read]
    return [f"{counted(len(names), 'drive')} without a calibration file ({named(names)})"] if names else []


def _pictures(folder: Path) -> dict[str, Path]:
    """Pictures of a folder, or of its data/, by file stem, in natural order."""
    folder = folder / "data" if (folder / "data").is_dir() else folder
    if not folder.is_dir():
        return {}
    files = sorted((file.name for file in folder.iterdir() if _is_picture(file)), key=natural_key)
    return {stem: folder / name for stem, name in collect(files, lambda name: PurePath(name).stem, "picture").items()}


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(file.name) and file.is_file()


def _projections(path: Path, keys: tuple[str, str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rows = dict(line.split(":", 1) for line in read_rows(path, "a calibration file of KITTI") if ":" in line)
    matrices = []
    for key in keys:
        try:
            matrix = np.array([float(value) for value in rows[key].split()]).reshape(3, 4)
        except (KeyError, ValueError) as error:
            raise InputError(f"calibration file '{path}' has no 3×4 matrix '{key}': restore it from the data set") from error
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise InputError(f"'{key}' in '{path}' has no positive focal length: restore it from the data set")
        matrices.append(matrix)
    return matrices[0], matrices[1]
