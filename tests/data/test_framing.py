"""Where a picture lies in a model's, and the model's depth in the picture again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from fcrn_mobile.data.framing import Frame

_SIDES = st.tuples(st.integers(8, 90), st.integers(8, 90))


def gradient(size: tuple[int, int]) -> np.ndarray:
    """Red grows downwards, green to the right."""
    rows, columns = np.meshgrid(np.linspace(20, 250, size[0]), np.linspace(20, 250, size[1]), indexing="ij")
    return np.stack([rows, columns, np.full(size, 200.0)], axis=-1).astype(np.uint8)


def test_stretching_is_pillows() -> None:
    image = gradient((30, 50))
    expected = np.asarray(Image.fromarray(image).resize((48, 24), Image.Resampling.BILINEAR))
    frame = Frame((30, 50), (24, 48))
    np.testing.assert_array_equal(frame.fill(image), expected)
    depth = np.ones((12, 24), np.float32)
    assert frame.restore(depth) is depth


@pytest.mark.parametrize("size", [(30, 50), (60, 40), (24, 48), (100, 200)])
def test_a_letterbox_is_pillows(size: tuple[int, int]) -> None:
    """``ImageOps.pad`` keeps the aspect between black bars; it may round a side the other way."""
    image = gradient(size)
    filled = Frame(size, (24, 48), "letterbox").fill(image)
    expected = np.asarray(ImageOps.pad(Image.fromarray(image), (48, 24), Image.Resampling.BILINEAR))
    assert filled.shape == expected.shape
    assert np.mean(np.abs(filled.astype(int) - expected) > 8) < 0.08


@pytest.mark.parametrize("size", [(30, 50), (60, 40), (24, 48)])
def test_a_crop_is_the_middle_in_the_models_aspect(size: tuple[int, int]) -> None:
    image = gradient(size)
    filled = Frame(size, (24, 48), "crop").fill(image)
    expected = np.asarray(ImageOps.fit(Image.fromarray(image), (48, 24), Image.Resampling.BILINEAR))
    assert np.abs(filled.astype(int) - expected).max() <= 12


@given(_SIDES, st.integers(1, 2))
@settings(deadline=None, max_examples=60)
def test_depth_lies_where_the_picture_was(size: tuple[int, int], stride: int) -> None:
    """A model that gives its red channel, at its size or half of it: what comes back is the picture's red, stretched."""
    image = gradient(size)
    for framing in ("letterbox", "crop"):
        frame = Frame(size, (64, 96), framing)  # type: ignore[arg-type]
        depth = frame.fill(image)[::stride, ::stride, 0].astype(np.float32)
        back = frame.restore(depth)
        assert min(back.shape) >= 1
        seen = np.isfinite(back)
        assert seen.any()
        rows, columns = np.nonzero(seen)
        expected = 20 + 230 * np.clip((rows + 0.5) / back.shape[0], 0, 1)
        # A pixel of the result or of the picture, whichever is coarser.
        assert np.abs(back[rows, columns] - expected).max() <= 230 * 2.5 / min(back.shape[0], size[0])
        if framing == "letterbox":
            assert seen.all()
            assert abs(back.shape[0] / back.shape[1] - size[0] / size[1]) <= 2.5 * size[0] / size[1] / min(back.shape)
        else:
            assert seen.sum() == depth.size
