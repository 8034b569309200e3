"""Reading and writing of images and depth maps, with one clear error where a file is not what it should be."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fcrn_mobile.errors import InputError

MIN_SIDE = 8


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Stretch an image to height × width bilinearly, as every runtime, training and validation do."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an 8-bit RGB picture.

    Args:
        data: the file's bytes.
        name: what to call it in an error.

    Returns:
        H×W×3 uint8 sRGB, turned upright by its EXIF orientation. An alpha channel is dropped.

    Raises:
        InputError: unreadable, not 8-bit colour, or smaller than 8×8.
    """
    image = _open(data, name)
    if image.mode not in ("RGB", "RGBA", "P"):
        raise InputError(f"'{name}' is a {_describe(image.mode)} image: convert it to 8-bit RGB first")
    if min(image.size) < MIN_SIDE:
        raise InputError(f"'{name}' is {image.width}×{image.height} pixels: give an image of at least {MIN_SIDE}×{MIN_SIDE}")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an 8-bit RGB picture: see ``decode_image``."""
    return decode_image(_read(path), str(path))


def open_image(path: Path) -> Image.Image:
    """Read a picture of any mode.

    Raises:
        InputError: unreadable.
    """
    return _open(_read(path), str(path))


def decode_depth(
    data: bytes, name: str, units_per_metre: float = 1000.0, units_per_metre_8_bit: float | None = None
) -> NDArray[np.float32]:
    """Decode a depth map.

    Args:
        data: bytes of a single-channel 16-bit (or 8-bit) PNG.
        name: what to call it in an error.
        units_per_metre: 1000 for millimetres, 256 for KITTI, 5000 for TUM.
        units_per_metre_8_bit: of a file of 8 bits, where that differs; 25.5 for DenseDepth.

    Returns:
        H×W float32 metres; 0 and the largest 16-bit value, which sensors write for "nothing seen", become 0 (invalid).

    Raises:
        InputError: unreadable, or more than one channel.
    """
    image = _open(data, name)
    if image.mode not in ("I;16", "I;16B", "I", "L"):
        raise InputError(f"'{name}' is a {_describe(image.mode)} image: depth must be a single-channel 16-bit PNG")
    raw = np.asarray(image).astype(np.float32)
    if image.mode == "L" and units_per_metre_8_bit is not None:
        return raw / np.float32(units_per_metre_8_bit)
    raw[raw == np.iinfo(np.uint16).max] = 0
    return raw / np.float32(units_per_metre)


def read_depth(path: Path, units_per_metre: float = 1000.0, units_per_metre_8_bit: float | None = None) -> NDArray[np.float32]:
    """Read a depth map: see ``decode_depth``."""
    return decode_depth(_read(path), str(path), units_per_metre, units_per_metre_8_bit)


def save_depth_png(depth: NDArray[np.float32], path: Path) -> None:
    """Write metres as a 16-bit PNG in millimetres; values that are not finite or negative become 0, above 65.534 m saturate."""
    millimetres = np.nan_to_num(depth * 1000.0, nan=0.0, posinf=65534.0, neginf=0.0)
    Image.fromarray(np.clip(np.rint(millimetres), 0, 65534).astype(np.uint16)).save(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read image '{path}': {error.strerror}") from error


def _open(data: bytes, name: str) -> Image.Image:
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except UnidentifiedImageError as error:
        raise InputError(f"'{name}' is not an image that Pillow can read: give a JPEG or PNG file") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"'{name}' is a damaged image ({error}): replace it") from error
    return image


def _describe(mode: str) -> str:
    names = {"L": "grayscale", "1": "black-and-white", "LA": "grayscale", "CMYK": "CMYK", "F": "32-bit float"}
    if mode.startswith("I"):
        return "16-bit" if "16" in mode else "32-bit integer"
    return names.get(mode, mode)
