"""Pictures of every mode and orientation, against Pillow's own conversion and turning."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fcrn_mobile.data import images
from fcrn_mobile.data.depth_maps import decode_depth
from fcrn_mobile.data.images import decode_image, decode_photo, read_channel, read_gray, read_image
from fcrn_mobile.data.once import forget_warnings
from fcrn_mobile.errors import InputError

ORIENTATION = 0x0112
COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (12, 20), dtype=np.uint8)


@pytest.fixture(autouse=True)
def another_run() -> None:
    forget_warnings()


def palette(transparent: bool) -> Image.Image:
    image = Image.fromarray(COLOURS).convert("P", palette=Image.Palette.ADAPTIVE, colors=32)
    if transparent:
        image.info["transparency"] = bytes([0, 128] * 16)
    return image


def gray_palette() -> Image.Image:
    """Indices run against the grays that they stand for."""
    image = Image.fromarray(COLOURS[..., 0] // 16)
    image.putpalette([255 - 16 * index for index in range(16) for _ in range(3)])
    return image


def made(mode: str) -> Image.Image:
    rgb = Image.fromarray(COLOURS)
    if mode.startswith("P transparent"):
        return palette(transparent=True)
    if mode == "P":
        return palette(transparent=False)
    if mode == "P gray":
        return gray_palette()
    if mode in ("RGBA", "LA"):
        image = rgb.convert(mode)
        image.putalpha(Image.fromarray(ALPHA))
        return image
    if mode == "I;16":
        return Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 200)
    if mode == "I":
        return Image.fromarray(COLOURS[..., 0].astype(np.int32) * 70_000)
    if mode == "F":
        return Image.fromarray(COLOURS[..., 0].astype(np.float32) / 3)
    return rgb.convert(mode)


def stored(mode: str, orientation: int = 1) -> bytes:
    """The picture as a PNG, or as a TIFF where PNG lacks the mode."""
    image, file = made(mode), io.BytesIO()
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(file, "TIFF" if mode in ("CMYK", "F", "I") else "PNG", exif=exif)
    return file.getvalue()


def upright(mode: str, orientation: int) -> Image.Image:
    """By Pillow: read, then turned."""
    image = Image.open(io.BytesIO(stored(mode, orientation)))
    image.load()
    return ImageOps.exif_transpose(image)


EIGHT_BITS = ["1", "L", "LA", "P", "P gray", "P transparent", "RGB", "RGBA", "CMYK"]
WIDE = ["I;16", "I", "F"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", EIGHT_BITS)
def test_pictures_of_eight_bits_are_rgb_and_upright_whatever_their_mode(mode: str, orientation: int) -> None:
    expected = upright(mode, orientation)
    expected = expected.convert("RGBA").convert("RGB") if mode.startswith("P") else expected.convert("RGB")
    photo = decode_photo(stored(mode, orientation), "a")
    assert photo.orientation == orientation
    np.testing.assert_array_equal(photo.pixels, np.asarray(expected))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", EIGHT_BITS)
def test_gray_is_the_luma_of_the_same_upright_pictures(mode: str, orientation: int, tmp_path) -> None:
    (tmp_path / "a").write_bytes(stored(mode, orientation))
    rgb = decode_image(stored(mode, orientation), "a").astype(float)
    np.testing.assert_allclose(read_gray(tmp_path / "a"), rgb @ [0.299, 0.587, 0.114], atol=0.51)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P gray", *WIDE])
def test_one_channel_keeps_its_values_and_is_upright(mode: str, orientation: int, tmp_path) -> None:
    (tmp_path / "a").write_bytes(stored(mode, orientation))
    expected = upright(mode, orientation)
    if mode not in WIDE:
        expected = expected.convert("RGB").getchannel("R")
    values = read_channel(tmp_path / "a")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.asarray(expected).astype(np.float32))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "P", "P transparent"])
def test_colours_are_not_one_channel(mode: str, tmp_path) -> None:
    (tmp_path / "a").write_bytes(stored(mode))
    with pytest.raises(InputError, match="one channel is needed: give a grayscale image"):
        read_channel(tmp_path / "a")


@pytest.mark.parametrize(("mode", "word"), [("I;16", "16-bit"), ("I", "32-bit integer"), ("F", "32-bit float")])
def test_what_does_not_say_what_is_white_is_no_photo(mode: str, word: str, tmp_path) -> None:
    (tmp_path / "a").write_bytes(stored(mode))
    for read in (read_image, read_gray):
        with pytest.raises(InputError, match=f"{word} image: convert it to 8-bit"):
            read(tmp_path / "a")


def test_a_palette_with_alpha_is_read_by_its_colours() -> None:
    file = io.BytesIO()
    palette(transparent=False).convert("PA").save(file, "TIFF")
    assert Image.open(io.BytesIO(file.getvalue())).mode == "PA"
    np.testing.assert_array_equal(decode_image(file.getvalue(), "a"), np.asarray(palette(transparent=False).convert("RGB")))


def test_gray_pictures_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("first.png", "second.png"):
        decode_image(stored("L"), name)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "'first.png' is a grayscale image: it is read as RGB" in lines[0]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@given(orientation=st.integers(0, 9), height=st.integers(8, 12), width=st.integers(8, 12), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_any_file_turns_as_pillow_turns_it(form: str, orientation: int, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, exif=exif)
    image = Image.open(io.BytesIO(file.getvalue()))
    image.load()
    np.testing.assert_array_equal(decode_image(file.getvalue(), "a"), np.asarray(ImageOps.exif_transpose(image)))


def depth_png(depth: np.ndarray, orientation: int | None = None) -> bytes:
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[ORIENTATION] = orientation
    Image.fromarray(depth.astype(np.uint16)).save(file, "PNG", exif=exif)
    return file.getvalue()


def photo(orientation: int, height: int, width: int, form: str = "PNG") -> images.Photo:
    """Row and column of each pixel as the sensor saw it, in red and green."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    Image.fromarray(np.stack((rows, columns, rows), axis=2)).save(file, form, exif=exif)
    return decode_photo(file.getvalue(), "a.png")


def sensor_depth(height: int, width: int) -> np.ndarray:
    """1 m and a millimetre per column, 100 per row."""
    rows, columns = np.mgrid[:height, :width]
    return 1000 + 100 * rows + columns


def fits(depth: np.ndarray, image: images.Photo) -> bool:
    """Whether every pixel of the image lies on its own depth."""
    expected = 1000 + 100 * image.pixels[..., 0].astype(int) + image.pixels[..., 1]
    return depth.shape == expected.shape and bool((np.rint(depth * 1000) == expected).all())


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (12, 8), (9, 9)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_depth_as_the_sensor_saw_it_turns_with_its_image(orientation: int, height: int, width: int, form: str) -> None:
    image = photo(orientation, height, width, form)
    assert fits(decode_depth(depth_png(sensor_depth(height, width)), "d.png", photo=image), image)
    assert fits(decode_depth(depth_png(sensor_depth(height, width), orientation=1), "d.png", photo=image), image)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_depth_of_the_upright_size_is_upright_already(orientation: int) -> None:
    image = photo(orientation, 8, 12)
    pixels = image.pixels.astype(int)
    assert fits(decode_depth(depth_png(1000 + 100 * pixels[..., 0] + pixels[..., 1]), "d.png", photo=image), image)


@pytest.mark.parametrize(("height", "width"), [(8, 12), (9, 9)])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_depth_with_an_orientation_of_its_own_is_turned_by_that_and_only_once(orientation: int, height: int, width: int) -> None:
    data = depth_png(sensor_depth(height, width), orientation)
    image = photo(orientation, height, width)
    assert fits(decode_depth(data, "d.png", photo=image), image)
    alone = decode_depth(data, "d.png")
    np.testing.assert_array_equal(alone, decode_depth(data, "d.png", photo=image))


@pytest.mark.parametrize(("orientation", "height", "said"), [(3, 8, True), (6, 9, True), (1, 9, False), (6, 8, False)])
def test_a_turn_that_no_size_confirms_is_said_once(orientation: int, height: int, said: bool, caplog: pytest.LogCaptureFixture) -> None:
    image = photo(orientation, height, 9)
    for name in ("first.png", "second.png"):
        decode_depth(depth_png(sensor_depth(height, 9)), name, photo=image)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(lines) == said
    assert all("'first.png' is turned with its image" in line and f"orientation {orientation}" in line for line in lines)


@pytest.mark.parametrize("spec", ["folder:{}", "list:{}/l.txt"])
def test_the_depth_of_a_phone_on_its_side_lies_on_its_image(spec: str, tmp_path) -> None:
    from fcrn_mobile.data import open_source

    exif = Image.Exif()
    exif[ORIENTATION] = 6
    rows, columns = np.mgrid[:12, :20].astype(np.uint8)
    for kind in ("rgb", "depth"):
        (tmp_path / kind).mkdir()
    Image.fromarray(np.stack((rows, columns, rows), axis=2)).save(tmp_path / "rgb/a.png", exif=exif)
    Image.fromarray(sensor_depth(12, 20).astype(np.uint16)).save(tmp_path / "depth/a.png")
    (tmp_path / "l.txt").write_text("rgb/a.png depth/a.png 500\n")
    sample = open_source(spec.format(tmp_path))[0]
    assert sample.image.shape == (20, 12, 3)
    assert fits(sample.depth, images.Photo(sample.image, 6))


def test_pillows_limit_of_pixels_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode_image(stored("RGB"), "a.png").shape == (12, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 10
    monkeypatch.setattr(images, "MAX_MEGAPIXELS", 0.0001)
    with pytest.raises(InputError, match=r"'a\.png' has .* megapixels, the limit is .*: give a smaller picture"):
        decode_image(stored("RGB"), "a.png")
    assert Image.MAX_IMAGE_PIXELS == 10


def test_a_picture_too_small_is_refused() -> None:
    file = io.BytesIO()
    Image.new("RGB", (9, 7)).save(file, "PNG")
    with pytest.raises(InputError, match="9×7 pixels: give an image of at least 8×8"):
        decode_image(file.getvalue(), "a")


@pytest.mark.parametrize("exif", [b"garbage", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01", b""])
def test_damaged_exif_does_not_spoil_a_picture(exif: bytes, recwarn: pytest.WarningsRecorder) -> None:
    file = io.BytesIO()
    Image.fromarray(COLOURS).save(file, "JPEG", exif=b"Exif\0\0" + exif)
    assert decode_photo(file.getvalue(), "a").orientation == 1
    assert not recwarn.list


def test_a_file_that_is_gone_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"cannot read '.*gone\.png'"):
        read_image(Path(tmp_path / "gone.png"))
