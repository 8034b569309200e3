"""Reading and writing of depth maps: integers in a unit that someone has to know, floats in metres."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcrn_mobile.data.exr import MAGIC as EXR_MAGIC
from fcrn_mobile.data.exr import decode_exr
from fcrn_mobile.data.images import Photo, described, open_picture
from fcrn_mobile.data.npy import MAGIC as NPY_MAGIC
from fcrn_mobile.data.npy import decode_npy
from fcrn_mobile.data.orientation import SIDEWAYS, turned
from fcrn_mobile.errors import InputError
from fcrn_mobile.once import warn_once

__all__ = ["DEPTH_SUFFIXES", "MILLIMETRES", "PLAUSIBLE", "decode_depth", "save_depth_png", "save_inverse_png", "warn_of_units"]

#: Files that ``decode_depth`` reads; what is in them decides, not their names.
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".npy", ".exr", ".pfm")
MILLIMETRES = 1000.0
#: Median depths outside of this range, in metres, are those of wrong units rather than of scenes.
PLAUSIBLE = (0.2, 100.0)
#: Metres from which on a float means "nothing there": Blender writes 10^10.
_NOTHING = 1e9
_ZIP_MAGIC = b"PK\x03\x04"
_READ = "give a 16-bit PNG in known units, or metres as 32-bit floats in a .npy, .tiff, .exr or .pfm"
_SAY_SCALE = "add ?scale=UNITS_PER_METRE to the data (25.5 where 255 is 10 m), or give 16 bits"


def decode_depth(
    data: bytes,
    name: str,
    units_per_metre: float | None = None,
    units_per_metre_8_bit: float | None = None,
    remedy: str = "",
    photo: Photo | None = None,
) -> NDArray[np.float32]:
    """Decode a depth map: integers of 16 bits or more, or floats, of a .png, .tiff, .npy, .exr or .pfm.

    Args:
        data: the file's bytes.
        name: what to call it in an error.
        units_per_metre: said by the user for all files, or known of a data set (256 for KITTI, 5000 for TUM; then with ``remedy``). None:
            integers are millimetres, and a file of 8 bits is refused.
        units_per_metre_8_bit: of a file of 8 bits, where that is known to differ; 25.5 for DenseDepth.
        remedy: where the unit is the data set's own, what to do about a file of 8 bits, which then is refused all the same; and floats then
            are metres.
        photo: the picture that it belongs to and turns with, see ``_turned_with``.

    Returns:
        H×W float32 metres, 0 where invalid: not finite, not positive, or the largest 16-bit value, which sensors write for "nothing seen".

    Raises:
        InputError: unreadable, more than one channel, or 8 bits whose unit nobody said.
    """
    raw, orientation = _pixels(data, name)
    if raw.dtype.itemsize == 1:
        units = units_per_metre_8_bit or (None if remedy else units_per_metre)
        if units is None:
            raise InputError(f"'{name}' has depth of 8 bits, too coarse for the units of 16: {remedy or _SAY_SCALE}")
    elif raw.dtype.kind == "f":
        units = 1.0 if remedy else units_per_metre or 1.0
    else:
        units = units_per_metre or MILLIMETRES
    depth = _metres(raw, units)
    return depth if photo is None or orientation != 1 else _turned_with(photo, depth, name)


def warn_of_units(depth: NDArray[np.float32], where: str) -> None:
    """Warn of a depth map whose median is that of wrong units rather than of a scene; once, as one of a source is as all of it.

    Args:
        depth: H×W metres, 0 where invalid.
        where: what to call it.
    """
    depths = depth[depth > 0]
    median = float(np.median(depths)) if depths.size else 1.0
    if not PLAUSIBLE[0] <= median <= PLAUSIBLE[1]:
        remedy = "check the units of the data (?scale=UNITS_PER_METRE says them); others like it are not named"
        warn_once("units", f"'{where}' has a median depth of {median:.3g} m, which few scenes have: {remedy}")


def save_depth_png(depth: NDArray[np.float32], path: Path) -> None:
    """Write metres as a 16-bit PNG in millimetres; values that are not finite or negative become 0, above 65.534 m saturate."""
    millimetres = np.nan_to_num(depth * 1000.0, nan=0.0, posinf=0.0, neginf=0.0)
    Image.fromarray(np.clip(np.rint(millimetres), 0, 65534).astype(np.uint16)).save(path)


def save_inverse_png(inverse: NDArray[np.float32], path: Path) -> None:
    """Write inverse depth without a unit as a 16-bit PNG: its smallest finite value as 1, its largest as 65535, what is not finite as 0."""
    finite = np.isfinite(inverse)
    low, high = (float(inverse[finite].min()), float(inverse[finite].max())) if finite.any() else (0.0, 0.0)
    scaled = 1 + 65534 * (np.where(finite, inverse, low).astype(np.float64) - low) / ((high - low) or 1)
    Image.fromarray(np.where(finite, np.rint(scaled), 0).astype(np.uint16)).save(path)


def _pixels(data: bytes, name: str) -> tuple[NDArray[Any], int]:
    """H×W integers or floats as the file has them, and the EXIF orientation of its own by which they were turned."""
    if data.startswith(EXR_MAGIC):
        return decode_exr(data, name), 1
    if data.startswith((NPY_MAGIC, _ZIP_MAGIC)):
        return _array(data, name), 1
    if data.startswith(b"PF"):
        raise InputError(f"'{name}' is a PFM file in colour: depth must have one channel (Pf)")
    try:
        picture = open_picture(data, name)
    except InputError as error:
        if isinstance(error.__cause__, UnidentifiedImageError):
            raise InputError(f"'{name}' is no depth map that can be read: {_READ}") from error
        raise
    mode = picture.image.mode
    if mode not in ("L", "I", "F") and not mode.startswith("I;16"):
        raise InputError(f"'{name}' is a {described(mode)} image: depth must be a single-channel 16-bit PNG, or floats in metres")
    return turned(np.asarray(picture.image), picture.turn), picture.orientation


def _turned_with(photo: Photo, depth: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """A depth map as its image was turned, if it has the size that the sensor saw.

    One that has the upright image's size alone is upright already. Where both sizes are equal, as after half a turn or of a square, nothing
    tells, and it is taken for what the sensor saw, which is said once.
    """
    upright = photo.pixels.shape[:2]
    stored = upright[::-1] if photo.orientation in SIDEWAYS else upright
    if photo.orientation == 1 or depth.shape != stored:
        return depth
    if stored == upright:
        warn_once("turned", f"'{name}' is turned with its image, as EXIF says (orientation {photo.orientation}); so are others like it")
    return turned(depth, photo.orientation)


def _array(data: bytes, name: str) -> NDArray[Any]:
    """The one map of an .npy file; a channel axis of length 1 is dropped."""
    raw = decode_npy(data, name)
    array: NDArray[Any] = raw[..., 0] if raw.ndim == 3 and raw.shape[2] == 1 else raw[0] if raw.ndim == 3 and len(raw) == 1 else raw
    if array.ndim != 2 or not array.size or array.dtype.kind not in "uif":
        shape = "×".join(map(str, raw.shape)) or "no dimension"
        raise InputError(f"'{name}' holds {shape} of {raw.dtype}: a depth map is H×W integers or floats")
    return array


def _metres(raw: NDArray[Any], units_per_metre: float) -> NDArray[np.float32]:
    mask = np.isfinite(raw) & (raw > 0)
    if raw.dtype.kind != "f" and raw.dtype.itemsize > 1:
        mask &= raw != np.iinfo(np.uint16).max
    depth: NDArray[np.float32] = np.where(mask, raw, 0).astype(np.float32) / np.float32(units_per_metre)
    depth[~(depth < _NOTHING)] = 0
    return depth
