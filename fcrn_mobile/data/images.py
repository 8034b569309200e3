"""Reading of pictures: one reader with one rule for every mode and orientation, and one clear error where a file is not what it should be.

A picture of 8 bits a channel is read whatever its mode: black-and-white, grayscale, palette, RGB, CMYK; alpha is dropped, and EXIF's
orientation turns it. One of 16 bits or of floats in a single channel does not say what is white, and is no photo.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fcrn_mobile.data.orientation import exif_orientation, turned
from fcrn_mobile.errors import InputError
from fcrn_mobile.once import warn_once

__all__ = [
    "MAX_MEGAPIXELS",
    "MIN_SIDE",
    "Photo",
    "Picture",
    "decode_image",
    "decode_photo",
    "described",
    "fit",
    "open_picture",
    "read_channel",
    "read_file",
    "read_gray",
    "read_image",
]

MIN_SIDE = 8
#: Largest picture that is decoded, in megapixels: 1.5 GB as RGB. Cameras make 200, stitched panoramas more.
MAX_MEGAPIXELS = 500
_GRAY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV")
#: Modes that Pillow turns into RGB by way of another only.
_BY_WAY_OF = {"P": "RGBA", "PA": "RGBA", "RGBa": "RGBA"}


@dataclass(frozen=True)
class Picture:
    """A decoded file.

    Attributes:
        image: its pixels, of any mode.
        orientation: EXIF's of the file, 1 to 8.
        turn: what of it the pixels still need; Pillow turns a TIFF by itself.
    """

    image: Image.Image
    orientation: int
    turn: int


@dataclass(frozen=True)
class Photo:
    """An upright picture.

    Attributes:
        pixels: H×W×3 uint8 sRGB.
        orientation: EXIF's by which they were turned, 1 to 8.
    """

    pixels: NDArray[np.uint8]
    orientation: int


def fit(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Stretch an image to height × width bilinearly, as every runtime, training and validation do."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def decode_photo(data: bytes, name: str) -> Photo:
    """Decode a picture of 8 bits a channel as RGB; that a file is gray is said once.

    Args:
        data: the file's bytes.
        name: what to call it in an error.

    Returns:
        It, turned upright by its EXIF orientation. An alpha channel is dropped.

    Raises:
        InputError: unreadable, not of 8 bits, smaller than 8×8, or too large.
    """
    picture = _eight_bits(data, name)
    if min(picture.image.size) < MIN_SIDE:
        width, height = picture.image.size
        raise InputError(f"'{name}' is {width}×{height} pixels: give an image of at least {MIN_SIDE}×{MIN_SIDE}")
    if picture.image.mode in _GRAY:
        warn_once("gray", f"'{name}' is a grayscale image: it is read as RGB, and so are others like it")
    return Photo(turned(np.asarray(_converted(picture.image, "RGB")), picture.turn), picture.orientation)


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """The pixels of ``decode_photo``."""
    return decode_photo(data, name).pixels


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as RGB: see ``decode_image``."""
    return decode_image(read_file(path), str(path))


def read_gray(path: Path) -> NDArray[np.uint8]:
    """Read a picture of 8 bits a channel as gray: colours by their luma (ITU-R 601), alpha dropped, upright.

    Returns:
        H×W uint8.

    Raises:
        InputError: unreadable, not of 8 bits, or too large.
    """
    picture = _eight_bits(read_file(path), str(path))
    return turned(np.asarray(_converted(picture.image, "L")), picture.turn)


def read_channel(path: Path) -> NDArray[np.float32]:
    """Read the values of a grayscale picture of any depth: 8 bits as 0 to 255, 16 bits and floats as they are, alpha dropped, upright.

    Returns:
        H×W float32.

    Raises:
        InputError: unreadable, in colour, or too large. A palette of grays is grayscale.
    """
    picture = open_picture(read_file(path), str(path))
    image = picture.image
    if image.mode in ("P", "PA"):
        colours = np.asarray(_converted(image, "RGB"))
        if (colours != colours[..., :1]).any():
            raise InputError(f"'{path}' has a palette of colours where one channel is needed: give a grayscale image or an .npy")
        return turned(colours[..., 0], picture.turn).astype(np.float32)
    if image.mode in _COLOUR or len(image.getbands()) > 2:
        raise InputError(f"'{path}' is {described(image.mode)} where one channel is needed: give a grayscale image or an .npy")
    return turned(np.asarray(_converted(image, "L") if image.mode in _GRAY else image), picture.turn).astype(np.float32)


def open_picture(data: bytes, name: str) -> Picture:
    """Decode a picture of any mode.

    Raises:
        InputError: unreadable, or too large.
    """
    try:
        with _own_limit():
            image = Image.open(BytesIO(data))
            if image.width * image.height > MAX_MEGAPIXELS * 1e6:
                megapixels = image.width * image.height / 1e6
                raise InputError(f"'{name}' has {megapixels:.0f} megapixels, the limit is {MAX_MEGAPIXELS}: give a smaller picture")
            # A PNG may say it behind its pixels; a TIFF says it no more once Pillow has turned it.
            stored = exif_orientation(image) if image.format == "TIFF" else None
            image.load()
            turn = exif_orientation(image)
            return Picture(image, stored or turn, turn)
    except UnidentifiedImageError as error:
        raise InputError(f"'{name}' is not an image that Pillow can read: give a JPEG or PNG file") from error
    except (OSError, ValueError, SyntaxError, MemoryError) as error:
        raise InputError(f"'{name}' is a damaged image ({error}): replace it") from error


def read_file(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        InputError: unreadable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read '{path}': {error.strerror}") from error


def described(mode: str) -> str:
    """One of Pillow's modes in words, as in "a 16-bit image"."""
    names = {"L": "grayscale", "1": "black-and-white", "LA": "grayscale", "P": "palette", "F": "32-bit float"}
    if mode.startswith("I"):
        return "16-bit" if "16" in mode else "32-bit integer"
    return names.get(mode, mode)


def _eight_bits(data: bytes, name: str) -> Picture:
    picture = open_picture(data, name)
    if picture.image.mode not in (*_GRAY, *_COLOUR):
        raise InputError(f"'{name}' is a {described(picture.image.mode)} image: convert it to 8-bit RGB first")
    return picture


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode in _BY_WAY_OF:
        image = image.convert(_BY_WAY_OF[image.mode])
    # Gray from CMYK and the like is the luma of their colours.
    if mode == "L" and image.mode in _COLOUR:
        image = image.convert("RGB")
    return image.convert(mode)


@contextmanager
def _own_limit() -> Iterator[None]:
    """Pillow's own limit of pixels and its warnings about damaged EXIF are switched off."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
