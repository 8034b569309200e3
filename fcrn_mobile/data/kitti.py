"""``kitti:PATH``: KITTI's depth-completion ground truth with its raw images, or flat folders of images and depth."""

from dataclasses import dataclass
from pathlib import Path

from fcrn_mobile.data.file_pairs import FilePairs, Pair
from fcrn_mobile.errors import InputError

#: Depth is uint16 / 256 m, 0 where no point was measured (the data set's development kit).
UNITS_PER_METRE = 256.0
REMEDY = "KITTI's has 16, restore it, or read other data with folder: or list: and ?scale=UNITS_PER_METRE"
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_CAMERAS = ("image_02", "image_03")
_IMAGE_FOLDERS = ("image", "rgb")
_DEPTH_FOLDERS = ("groundtruth_depth", "groundtruth", "depth")


@dataclass(frozen=True, order=True)
class _Key:
    """What an image and its depth have in common."""

    drive: str
    camera: str
    frame: str

    @property
    def name(self) -> str:
        return "/".join(part for part in (self.drive, self.camera, self.frame) if part)


def open_kitti(path: Path) -> FilePairs:
    """Find pairs below a folder.

    Two layouts are known. Depth completion: ``…/DRIVE/proj_depth/groundtruth/image_02/N.png`` (or image_03) with the raw image
    ``…/DRIVE/image_02/data/N.png`` (or without data/) anywhere below; where ``train`` and ``val`` folders hold the depth they are
    the splits. Flat, such as ``val_selection_cropped``: ``image/`` or ``rgb/`` beside ``groundtruth_depth/``, ``groundtruth/`` or
    ``depth/``, paired by file stem. Images without ground truth, and ground truth without an image, are left out.

    Raises:
        InputError: no such folder, or no pair in it.
    """
    if not path.is_dir():
        raise InputError(f"no data at '{path}': give the folder that holds KITTI's images and depth")
    images: dict[_Key, Path] = {}
    depths: dict[_Key, Path] = {}
    for file in sorted(path.rglob("*")):
        if file.suffix.lower() not in _IMAGE_SUFFIXES or file.name.startswith("."):
            continue
        folders = file.relative_to(path).parts[:-1]
        if key := _depth_key(folders, file):
            depths[key] = file
        elif key := _image_key(folders, file):
            images[key] = file
    if not (shared := sorted(images.keys() & depths.keys())):
        raise InputError(
            f"no pairs in '{path}' ({len(images)} images, {len(depths)} depth maps): it needs DRIVE/image_02/data/N.png with "
            "DRIVE/proj_depth/groundtruth/image_02/N.png, or image/ (or rgb/) with groundtruth_depth/ (or depth/) and equal names"
        )
    return FilePairs(
        tuple(Pair(key.name, images[key], depths[key], _part(path, depths[key])) for key in shared), UNITS_PER_METRE, remedy=REMEDY
    )


def _depth_key(folders: tuple[str, ...], file: Path) -> _Key | None:
    if file.suffix.lower() != ".png":
        return None
    if folders[-3:-1] == ("proj_depth", "groundtruth") and folders[-1] in _CAMERAS:
        return _Key("/".join(folders[-4:-3]), folders[-1], file.stem)
    if folders and folders[-1] in _DEPTH_FOLDERS:
        # The selected validation frames carry their kind in the name: …_groundtruth_depth_0000000005_image_02.png.
        return _Key("/".join(folders[:-1]), "", file.stem.replace("_groundtruth_depth_", "_image_"))
    return None


def _image_key(folders: tuple[str, ...], file: Path) -> _Key | None:
    if folders and folders[-1] == "data":
        folders = folders[:-1]
    if folders and folders[-1] in _CAMERAS and "proj_depth" not in folders:
        return _Key("/".join(folders[-2:-1]), folders[-1], file.stem)
    if folders and folders[-1] in _IMAGE_FOLDERS:
        return _Key("/".join(folders[:-1]), "", file.stem)
    return None


def _part(root: Path, depth: Path) -> str:
    folders = depth.relative_to(root).parts[:-1]
    return next((part for part in ("train", "val") if part in folders), "")
