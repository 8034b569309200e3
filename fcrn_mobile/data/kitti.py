"""``kitti:PATH``: KITTI's depth-completion ground truth with its raw images, or flat folders of images and depth."""

from pathlib import Path, PurePosixPath

from fcrn_mobile.data.file_pairs import FilePairs, Pair
from fcrn_mobile.data.listing import list_files
from fcrn_mobile.data.pairing import collect, pair, tell_left_out
from fcrn_mobile.errors import InputError

__all__ = ["IMAGE_SUFFIXES", "REMEDY", "UNITS_PER_METRE", "open_kitti"]

#: Depth is uint16 / 256 m, 0 where no point was measured (the data set's development kit).
UNITS_PER_METRE = 256.0
REMEDY = "KITTI's has 16, restore it, or read other data with folder: or list: and ?scale=UNITS_PER_METRE"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
_CAMERAS = ("image_02", "image_03")
_IMAGE_FOLDERS = ("image", "rgb")
_DEPTH_FOLDERS = ("groundtruth_depth", "groundtruth", "depth")


def open_kitti(path: Path) -> FilePairs:
    """Find pairs below a folder.

    Two layouts are known. Depth completion: ``…/DRIVE/proj_depth/groundtruth/image_02/N.png`` (or image_03) with the raw image
    ``…/DRIVE/image_02/data/N.png`` (or without data/) anywhere below; where ``train`` and ``val`` folders hold the depth they are
    the splits. Flat, such as ``val_selection_cropped``: ``image/`` or ``rgb/`` beside ``groundtruth_depth/``, ``groundtruth/`` or
    ``depth/``, paired by file stem. Images without ground truth, and ground truth without an image, are left out
    and counted.

    Raises:
        InputError: no such folder, no pair in it, or two files that are the same of one frame.
    """
    if not path.is_dir():
        raise InputError(f"no data at '{path}': give the folder that holds KITTI's images and depth")
    listing = list_files(path)
    matches = pair(collect(listing.files, _image, "image"), collect(listing.files, _depth, "depth map"), "image", "depth map")
    if not matches.pairs:
        raise InputError(
            f"no pairs in '{path}' ({matches.counts[0]} images, {matches.counts[1]} depth maps): it needs DRIVE/image_02/data/N.png with "
            "DRIVE/proj_depth/groundtruth/image_02/N.png, or image/ (or rgb/) with groundtruth_depth/ (or depth/) and equal names"
        )
    tell_left_out(path, [*matches.remarks, *listing.remarks])
    pairs = tuple(Pair(name, path / image, path / depth, _part(depth)) for name, (image, depth) in matches.pairs.items())
    return FilePairs(pairs, UNITS_PER_METRE, remedy=REMEDY)


def _depth(path: str) -> str | None:
    """The frame whose depth map a file is: drive, camera and number, or the path of a flat layout without its folder of depth."""
    file = PurePosixPath(path)
    folders = file.parts[:-1]
    if file.suffix.lower() != ".png" or not folders:
        return None
    if folders[-3:-1] == ("proj_depth", "groundtruth") and folders[-1] in _CAMERAS:
        return "/".join((*folders[-4:-3], folders[-1], file.stem))
    if folders[-1] in _DEPTH_FOLDERS:
        # The selected validation frames carry their kind in the name: …_groundtruth_depth_0000000005_image_02.png.
        return "/".join((*folders[:-1], file.stem.replace("_groundtruth_depth_", "_image_")))
    return None


def _image(path: str) -> str | None:
    """The frame whose image a file is, named as ``_depth`` names it."""
    file = PurePosixPath(path)
    folders = file.parts[:-1]
    if folders and folders[-1] == "data":
        folders = folders[:-1]
    if file.suffix.lower() not in IMAGE_SUFFIXES or not folders:
        return None
    if folders[-1] in _CAMERAS and "proj_depth" not in folders:
        return "/".join((*folders[-2:-1], folders[-1], file.stem))
    if folders[-1] in _IMAGE_FOLDERS:
        return "/".join((*folders[:-1], file.stem))
    return None


def _part(depth: str) -> str:
    folders = PurePosixPath(depth).parts[:-1]
    return next((part for part in ("train", "val") if part in folders), "")
