"""Labels for one camera: what is rendered through two lenses, and what a mixture makes of it."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from fcrn_mobile.data.cameras import NYU, UNKNOWN, TrainingCamera
from fcrn_mobile.data.canonical import Relabelled, for_one_camera, resolved_camera
from fcrn_mobile.data.mixture import Mixture, open_mixture
from fcrn_mobile.data.source import OfCamera, Sample, Subset, camera_of
from fcrn_mobile.data.spec import open_source
from fcrn_mobile.data.transforms import Augmentation, centre_crop, scale
from fcrn_mobile.once import forget_warnings


def room(focal: float, size: tuple[int, int], stretch: float = 1.0) -> Sample:
    """A box of 3 m × 2.4 m × 5 m from within, ray by ray through a pinhole; ``stretch`` moves each of its points that many times as far."""
    height, width = size
    v, u = np.mgrid[:height, :width]
    x, y = (u - (width - 1) / 2) / focal, (v - (height - 1) / 2) / focal
    with np.errstate(divide="ignore"):
        z = np.minimum.reduce([1.5 / np.abs(x), 1.2 / np.abs(y), np.full(size, 5.0 * stretch)])
    shade = 128 + 60 * np.sin(2 * x * z) + 60 * np.cos(2 * y * z + z / stretch)
    return Sample(np.repeat(shade[..., None], 3, 2).astype(np.uint8), z.astype(np.float32), "room")


@dataclass(frozen=True)
class Frames:
    """A source of given frames."""

    frames: tuple[Sample, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(frame.name for frame in self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Sample:
        return self.frames[index]


def taken(sample: Sample, focal: float | None) -> OfCamera[Sample]:
    return OfCamera(Frames((sample,)), TrainingCamera("test", focal))


def test_a_picture_that_two_lenses_can_have_taken_gets_one_label() -> None:
    """A lens 1.5 times as long, a room 1.5 times as deep, twice the pixels: one picture, of which a network can predict one depth only."""
    near, far = room(100, (120, 160)), room(150, (120, 160), stretch=1.5)
    np.testing.assert_array_equal(near.image, far.image)
    assert np.median(far.depth / near.depth) == pytest.approx(1.5)
    (own, other), camera = for_one_camera(["a", "b"], [taken(near, 100), taken(far, 150)], UNKNOWN)
    assert camera == TrainingCamera("test", 100, 160)
    transform = Augmentation((48, 64), resize=1.1)
    one, two = (transform(source[0], np.random.default_rng(3)) for source in (own, other))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_allclose(one.depth, two.depth, rtol=1e-6)
    np.testing.assert_array_equal(own[0].depth, near.depth)


def test_a_longer_lens_is_a_zoom_and_its_label_that_of_the_augmentation() -> None:
    """The same room from the same place: enlarging the wide picture 1.5 times, which divides depth by it, is what the long lens took."""
    wide, long = room(200, (240, 320)), room(300, (240, 320))
    zoomed = centre_crop(scale(wide, 1.5), 240, 320)
    (_, relabelled), _ = for_one_camera(["a", "b"], [taken(wide, 200), taken(long, 300)], UNKNOWN)
    error = np.abs(relabelled[0].depth / zoomed.depth - 1)
    assert np.median(error) < 5e-3  # half a pixel of the enlarged picture
    assert np.mean(error < 0.02) > 0.97
    assert np.median(np.abs(long.depth / zoomed.depth - 1)) > 0.4, "without it the two disagree"


def test_focal_lengths_are_relative_to_the_width_and_depth_that_is_none_stays_none() -> None:
    half, full = room(100, (120, 160)), room(200, (240, 320))
    full.depth[:5] = 0
    full.depth[5:9] = np.nan
    (_, same), _ = for_one_camera(["a", "b"], [taken(half, 100), taken(full, 200)], UNKNOWN)
    assert same[0] is full
    (_, other), _ = for_one_camera(["a", "b"], [taken(half, 100), taken(full, 100)], UNKNOWN)
    np.testing.assert_array_equal(other[0].depth, full.depth * np.float32(2))
    assert not (other[0].depth[:9] > 0).any()


def test_the_camera_is_that_of_the_validation_data_else_of_the_first_that_is_known(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    sample = room(100, (12, 16))
    sources = [taken(sample, None), taken(sample, 10), taken(sample, 20)]
    labelled, camera = for_one_camera(["folder:a", "folder:b", "folder:c"], sources, UNKNOWN)
    assert camera.relative_focal == 10 / 16
    assert [source[0].depth[0, 0] / sample.depth[0, 0] for source in labelled] == pytest.approx([1, 1, 0.5])
    (warning,) = caplog.messages
    assert "'folder:a' is not known" in warning
    assert "?fx=PIXELS" in warning
    assert "folder:b" not in warning
    labelled, camera = for_one_camera(["folder:b", "folder:c"], sources[1:], TrainingCamera("validation", 40, 16))
    assert camera.data == "validation"
    assert [source[0].depth[0, 0] / sample.depth[0, 0] for source in labelled] == pytest.approx([4, 2])
    assert len(caplog.messages) == 1


def test_without_a_known_camera_nothing_is_changed_or_said(caplog: pytest.LogCaptureFixture) -> None:
    forget_warnings()
    sources = [Frames((room(100, (12, 16)),))] * 2
    labelled, camera = for_one_camera(["folder:a", "folder:b"], sources, NYU.camera)
    assert (labelled, camera, caplog.messages) == (sources, UNKNOWN, [])


def test_a_source_keeps_its_camera_through_its_parts() -> None:
    source = open_source("sample?fx=300#train")
    assert camera_of(source) == camera_of(Subset(source, (1, 2))) == TrainingCamera("sample", 300)
    assert resolved_camera(source) == TrainingCamera("sample", 300, 304)
    assert camera_of(open_source("sample")).focal_px == 259.4
    assert camera_of(Frames(())) == UNKNOWN


def test_a_mixture_labels_for_one_camera_only_where_it_is_asked_to() -> None:
    data = "sample#val + sample?fx=518.8#train*0.5"
    as_they_are, mixed = open_mixture(data), open_mixture(data, UNKNOWN)
    assert isinstance(mixed, Mixture)
    assert mixed.camera.focal_px == 259.4
    for index, factor in ((0, 1), (10, 0.5)):
        np.testing.assert_allclose(mixed[index].depth, as_they_are[index].depth * factor, rtol=1e-6)
    one = open_mixture("sample?fx=100*0.5", NYU.camera)
    np.testing.assert_array_equal(one[0].depth, open_source("sample")[0].depth)
    assert camera_of(one) == TrainingCamera("sample", 100)


def test_pictures_of_other_widths_have_their_own_relative_focal_length() -> None:
    sizes = Frames((room(100, (12, 16)), replace(room(100, (12, 32)), name="wide")))
    source = Relabelled(OfCamera(sizes, TrainingCamera("test", 10)), TrainingCamera("one", 10, 16))
    assert source[0].depth[0, 0] == sizes[0].depth[0, 0]
    assert source[1].depth[0, 0] == 2 * sizes[1].depth[0, 0]
