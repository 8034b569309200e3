"""Pictures as inputs of any package: one reader, whatever the mode of the file, the kind of the input and EXIF."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.files import read_input
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule

#: Brightness grows to the right as the sensor saw it.
RAMP = np.tile(np.linspace(10, 240, 24).astype(np.uint8), (16, 1))
KINDS = {"RGB": (np.uint8, 3), "BGR": (np.uint8, 3), "GRAYSCALE": (np.uint8, 1), "GRAYSCALE_FLOAT16": (np.float32, 1)}


def ramp(mode: str, path: Path, orientation: int = 1) -> Path:
    image = Image.fromarray(RAMP)
    if mode == "P":  # indices fall where the grays that they stand for rise
        image = Image.fromarray(255 - RAMP)
        image.putpalette([255 - index for index in range(256) for _ in range(3)])
    exif = Image.Exif()
    exif[0x0112] = orientation
    (image if mode == "P" else image.convert(mode)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("size", [(16, 24), (24, 16), (9, 11)])
@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_every_kind_of_input_sees_the_same_upright_picture(
    kind: str, mode: str, size: tuple[int, int], orientation: int, tmp_path: Path
) -> None:
    feature = Feature("x", "image", kind, ShapeRule(size))
    path = ramp(mode, tmp_path / "a.png", orientation)
    if kind == "GRAYSCALE_FLOAT16" and mode in ("RGB", "RGBA"):
        with pytest.raises(InputError, match="one channel is needed"):
            read_input(feature, str(path))
        return
    value = read_input(feature, str(path))
    dtype, channels = KINDS[kind]
    assert value.dtype == dtype
    assert value.shape == size + ((3,) if channels == 3 else ())
    gray = value if channels == 1 else value[..., 0]
    upright = Image.fromarray(np.rot90(RAMP, {1: 0, 3: 2, 6: -1}[orientation]).copy())
    # Floats are stretched without rounding in between.
    np.testing.assert_allclose(gray, np.asarray(upright.resize(size[::-1], Image.Resampling.BILINEAR)), atol=1.01)


def test_sixteen_bits_keep_their_values_in_a_float_input_only(tmp_path: Path) -> None:
    Image.fromarray(RAMP.astype(np.uint16) * 200).save(tmp_path / "a.png")
    value = read_input(Feature("x", "image", "GRAYSCALE_FLOAT16", ShapeRule((16, 24))), str(tmp_path / "a.png"))
    np.testing.assert_array_equal(value, RAMP.astype(np.float32) * 200)
    for kind in ("GRAYSCALE", "RGB"):
        with pytest.raises(InputError, match="16-bit image: convert it to 8-bit"):
            read_input(Feature("x", "image", kind, ShapeRule((16, 24))), str(tmp_path / "a.png"))
