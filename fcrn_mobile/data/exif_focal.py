"""The focal length of a picture, from its EXIF."""

from io import BytesIO
from math import hypot, isfinite

from PIL import Image

__all__ = ["equivalent_focal_px", "exif_focal_px"]

_EXIF_IFD = 0x8769
#: FocalLengthIn35mmFilm, in millimetres; 0 where it is not known (CIPA DC-008, Exif 2.32, tag 0xA405).
_TAG = 0xA405
#: Of the frame of 35 mm film, 36 mm × 24 mm. Exif does not say which side is equivalent; the diagonal is what makers of cameras take whose
#: pictures are not 3:2, and what Depth Pro takes (arXiv 2410.02073, its code).
_DIAGONAL_MM = hypot(36, 24)


def equivalent_focal_px(millimetres: float, width: int, height: int) -> float:
    """Pixels, which are square, of a focal length in 35 mm equivalents: f35 · √(W² + H²) / √(36² + 24²)."""
    return millimetres * hypot(width, height) / _DIAGONAL_MM


def exif_focal_px(data: bytes) -> float | None:
    """Focal length in pixels of a picture's file; None where EXIF has none.

    A picture that was resized since keeps its field of view, and so the answer is right; of one that was cropped it is not.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            width, height = image.size
            millimetres = float(image.getexif().get_ifd(_EXIF_IFD).get(_TAG, 0))
    except (OSError, ValueError, SyntaxError, TypeError, KeyError, ZeroDivisionError):  # damaged, or no number
        return None
    return equivalent_focal_px(millimetres, width, height) if isfinite(millimetres) and millimetres > 0 else None
