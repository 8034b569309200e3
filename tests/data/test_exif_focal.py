"""The focal length that EXIF tells, against the field of view that the number stands for."""

from io import BytesIO
from math import atan, degrees, hypot

import pytest
from PIL import Image

from fcrn_mobile.data.exif_focal import exif_focal_px


def photo(millimetres: object, size: tuple[int, int] = (400, 300), orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if millimetres is not None:
        exif.get_ifd(0x8769)[0xA405] = millimetres
    file = BytesIO()
    Image.new("RGB", size).save(file, "JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("size", [(400, 300), (300, 400), (360, 240), (1000, 1000)])
@pytest.mark.parametrize(("millimetres", "diagonal_view"), [(50, 46.8), (26, 79.5), (24, 84.1)])
def test_the_diagonal_field_of_view_is_that_of_35_mm_film(millimetres: int, diagonal_view: float, size: tuple[int, int]) -> None:
    """Fields of view as makers of lenses print them."""
    focal = exif_focal_px(photo(millimetres, size))
    assert focal is not None
    assert degrees(2 * atan(hypot(*size) / 2 / focal)) == pytest.approx(diagonal_view, abs=0.1)


def test_on_pictures_of_films_own_shape_it_is_a_share_of_36_millimetres() -> None:
    assert exif_focal_px(photo(35, (720, 480))) == pytest.approx(35 / 36 * 720)
    assert exif_focal_px(photo(35, (720, 480), orientation=6)) == pytest.approx(35 / 36 * 720)


@pytest.mark.parametrize("data", [photo(None), photo(0), b"", b"no picture", photo(50)[:40]])
def test_what_does_not_say_it_has_none(data: bytes) -> None:
    assert exif_focal_px(data) is None
