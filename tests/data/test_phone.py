import numpy as np
import pytest

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.phone import PhoneView, View, phone_view
from fcrn_mobile.data.source import OfCamera, Sample
from fcrn_mobile.depth_contract import Framing
from fcrn_mobile.errors import InputError

#: Of 26 mm in 35 mm equivalents, 4:3: tan of half the horizontal field of view is 0.4·43.267/26.
PHONE = 26 / (0.8 * 43.2666)


class Wall:
    """One picture whose red and depth name the column and whose green names the row, each in its 1000th part."""

    names = ("wall",)

    def __init__(self, height: int, width: int) -> None:
        y, x = np.mgrid[:height, :width] + 0.5
        image = np.stack([255 * x / width, 255 * y / height, 0 * x], -1).round().astype(np.uint8)
        self.sample = Sample(image, (1 + x / width).astype(np.float32), "wall")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return self.sample


def wall(view: View, framing: Framing, model: tuple[int, int] = (224, 320), focal: float | None = 1000.0) -> PhoneView:
    camera = UNKNOWN if focal is None else TrainingCamera("a wide camera", focal, 4000)
    return phone_view(OfCamera(Wall(3000, 4000), camera), model, framing, view)


@pytest.mark.parametrize(
    ("view", "framing", "height", "width"),
    [
        # Video of 1280×720 sideways; 1280·PHONE pixels of focal length there are 1000 px of the picture.
        ("phone-landscape", "letterbox", 720, 1280),
        ("phone-portrait", "stretch", 1280, 720),
        ("phone-landscape", "crop", 720, 720 * 320 / 224),
        ("phone-portrait", "crop", 720 * 224 / 320, 720),
    ],
)
def test_a_picture_shows_as_much_as_the_phones_camera(view: View, framing: Framing, height: float, width: float) -> None:
    seen = wall(view, framing)
    scale = 1000 / (1280 * PHONE)
    image, depth = seen[0].image, seen[0].depth
    assert image.shape == (224, 320, 3)
    assert seen.zoom == 1
    inside = depth[depth > 0]
    assert (inside.max() - inside.min()) * 4000 == pytest.approx(width * scale, abs=3)
    # Bars put the picture's width into a wider one.
    shown = max(width, height * 320 / 224) if framing == "letterbox" else width
    assert seen.camera.relative_focal == pytest.approx(1280 * PHONE / shown, rel=2e-3)
    green = image[:, 160, 1][image[:, 160, 0] > 0].astype(float)
    assert (green.max() - green.min()) / 255 * 3000 == pytest.approx(height * scale, abs=0.02 * 3000)


def test_depth_lies_behind_its_pixels_between_bars_too() -> None:
    seen = wall("phone-portrait", "letterbox")
    image, depth = seen[0].image, seen[0].depth
    rows, columns = (((np.arange(side) + 0.5) / side * length).astype(int) for side, length in zip(image.shape, depth.shape, strict=False))
    behind = depth[np.ix_(rows, columns)]
    bars = behind == 0
    assert 0.5 < bars.mean() < 0.7
    assert not image[bars & np.roll(bars, 2, 1) & np.roll(bars, -2, 1)].any()
    np.testing.assert_allclose(image[~bars][:, 0] / 255, behind[~bars] - 1, atol=0.02)


def test_stretched_pictures_are_whole_whatever_the_model_asks_for() -> None:
    seen = wall("stretch", "crop")
    assert seen[0].image.shape == (224, 320, 3)
    assert seen[0].depth.shape == (3000, 4000)
    assert seen.camera.relative_focal == pytest.approx(1000 / 4000)
    assert seen.framed_for == (224, 320)


def test_what_a_narrow_picture_lacks_is_said() -> None:
    seen = wall("phone-landscape", "stretch", focal=4000 * PHONE * 1.5)
    assert seen.zoom == pytest.approx(1.5, rel=1e-3)
    assert "they show 1.50 times less of both sides than a phone would" in str(seen)
    assert seen.to_json()["emulated"] is True


def test_without_a_focal_length_there_is_no_phone() -> None:
    with pytest.raises(InputError, match=r"--framing phone-portrait needs the focal length of the data's camera: add \?fx=PIXELS"):
        wall("phone-portrait", "crop", focal=None)


def test_pictures_of_other_cameras_are_refused() -> None:
    class Two(Wall):
        names = ("wide", "narrow")

        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Sample:
            return self.sample if index == 0 else Wall(200, 900).sample

    frames = phone_view(OfCamera(Two(3000, 4000), TrainingCamera("", 1000, 4000)), (224, 320), "stretch", "phone-portrait")
    with pytest.raises(InputError, match="'wall' has another field of view than the first picture"):
        frames[1]
