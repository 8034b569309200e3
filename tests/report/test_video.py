import time
import weakref
from fractions import Fraction
from pathlib import Path

import av
import matplotlib
import numpy as np
import pytest

from fcrn_mobile.data.video import open_video
from fcrn_mobile.errors import InputError
from fcrn_mobile.report.video import SMOOTHING, SmoothRange, compose, save_depth_video
from tests.clips import RATE, decoded, lossless, waves, write_clip


def slope(image: np.ndarray) -> np.ndarray:
    """A network that sees a plane from 1 m at the left to 5 m at the right, at half size, shifted by the mean brightness."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return np.tile(np.linspace(1, 5, width, dtype=np.float32), (height, 1)) + np.float32(image.mean() / 1000)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_the_left_is_the_source_and_the_right_its_depth_in_colours(tmp_path) -> None:
    frames = waves(6, 64, 96)
    video = open_video(lossless(tmp_path / "a.mkv", frames))
    result = save_depth_video(video, slope, tmp_path / "out.mp4", depth_range=(0.5, 6))
    pictures, times = decoded(tmp_path / "out.mp4")
    assert result.frames == len(pictures) == 6
    assert times == [Fraction(index, RATE) for index in range(6)]
    for frame, picture in zip(frames, pictures, strict=True):
        assert picture.shape[0] == 64
        assert picture.shape[1] > 192
        assert difference(picture[:, :96], frame) < 4
        metres = np.interp(np.arange(96), np.arange(48) * 2 + 0.5, slope(frame)[0])
        colours = matplotlib.colormaps["magma_r"]((metres - 0.5) / 5.5, bytes=True)[:, :3]
        assert difference(picture[:, 96:192], np.tile(colours, (64, 1, 1))) < 4
    assert (result.extent.near, result.extent.far) == pytest.approx(
        (min(slope(f).min() for f in frames), max(slope(f).max() for f in frames))
    )


def test_every_run_writes_the_same_bytes(tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(8, 48, 64)))
    written = set()
    for _ in range(20):
        save_depth_video(video, slope, tmp_path / "out.mp4")
        written.add((tmp_path / "out.mp4").read_bytes())
    assert len(written) == 1


def test_times_rate_and_duration_are_those_of_the_source(tmp_path) -> None:
    times = [0, 3, 4, 10, 12]
    video = open_video(write_clip(tmp_path / "a.mp4", waves(5, 32, 32), times, Fraction(1, 30)))
    save_depth_video(video, slope, tmp_path / "all.mp4")
    assert decoded(tmp_path / "all.mp4")[1] == [Fraction(time, 30) for time in times]
    steady = open_video(write_clip(tmp_path / "b.mp4", waves(12, 32, 32)))
    save_depth_video(steady, slope, tmp_path / "third.mp4", every=3)
    with av.open(str(tmp_path / "third.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(RATE, 3)
        assert container.duration / av.time_base == pytest.approx(12 / RATE)
        assert container.streams.video[0].frames == 4


@pytest.mark.parametrize(("height", "width"), [(33, 47), (8, 8), (40, 31)])
def test_any_size_can_be_written(height: int, width: int, tmp_path) -> None:
    frame = np.full((height, width, 3), (200, 90, 40), np.uint8)
    save_depth_video(open_video(lossless(tmp_path / "a.mkv", [frame])), slope, tmp_path / "out.mp4")
    ((picture,), _) = decoded(tmp_path / "out.mp4")
    assert picture.shape[0] == height + height % 2
    # Colour has half the resolution: near the middle it mixes with the depth's.
    assert difference(picture[:height, : width // 2], frame[:, : width // 2]) < 4


def test_a_bar_beside_the_depth_goes_from_far_above_to_near_below() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    picture = compose(image, np.full((60, 80), 2, np.float32), (2, 6))
    bar = picture[:, 320:]
    near, far = (matplotlib.colormaps["magma_r"](end, bytes=True)[:3] for end in (0.0, 1.0))
    assert (bar[0] == far).all(axis=1).any()
    assert (bar[-1] == near).all(axis=1).any()
    assert (bar == 255).all(axis=2).any(), "labels are white"
    other = compose(image, np.full((60, 80), 2, np.float32), (2, 9))[:, 320:]
    assert other.shape == bar.shape
    assert (other != bar).any(), "labels tell the range"


def test_depth_that_is_not_finite_is_gray() -> None:
    depth = np.full((4, 4), 2, np.float32)
    depth[:, 2:] = np.nan
    picture = compose(np.zeros((8, 8, 3), np.uint8), depth, (1, 3))
    assert picture[4, 15].tolist() == [0x80] * 3
    assert picture[4, 8].tolist() == list(matplotlib.colormaps["magma_r"](0.5, bytes=True)[:3])


def test_the_range_follows_the_scene_by_1_e_per_time_constant() -> None:
    span = SmoothRange()
    first, second = (np.linspace(low, high, 101, dtype=np.float32) for low, high in ((0, 1), (0.3, 1.4)))
    assert span(first, 0.0) == pytest.approx((0.02, 0.98))
    assert span(first, 0.3) == pytest.approx((0.02, 0.98))
    past = np.exp(-0.5)
    expected = past * np.array([0.02, 0.98]) + (1 - past) * np.array([0.322, 1.378])
    assert span(second, 0.3 + SMOOTHING / 2) == pytest.approx(tuple(expected), rel=1e-5)
    assert span(np.full(5, np.nan, np.float32), 9.0) == pytest.approx(tuple(expected), rel=1e-5)


def test_at_a_cut_the_range_starts_anew() -> None:
    span = SmoothRange()
    span(np.linspace(0, 1, 101, dtype=np.float32), 0.0)
    assert span(np.linspace(0, 2, 101, dtype=np.float32), 0.1) == pytest.approx((0.04, 1.96))


def test_frames_without_depth_are_gray_and_counted(tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(3, 32, 32)))
    nan = np.full((4, 4), np.nan, np.float32)
    maps = iter([nan, nan + np.inf, np.array([[2, 3], [np.inf, 4]], np.float32)])
    result = save_depth_video(video, lambda image: next(maps), tmp_path / "out.mp4")
    assert (result.extent.near, result.extent.far) == (2, 4)
    assert result.extent.not_finite == pytest.approx(33 / 36)
    for frame in decoded(tmp_path / "out.mp4")[0][:2]:
        assert abs(int(frame[16, 48, 0]) - 0x80) < 6


@pytest.mark.parametrize(("value", "words"), [(np.nan, "nowhere finite"), (0, "reaches from 0 to 0"), (-1, "from -1 to -1")])
def test_a_video_without_any_depth_is_refused_and_leaves_nothing(value: float, words: str, tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(2, 32, 32)))
    with pytest.raises(InputError, match=rf"a\.mp4' .*{words}"):
        save_depth_video(video, lambda image: np.full((4, 4), value, np.float32), tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.speed
def test_frames_per_second_are_measured_without_the_first_call(tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(5, 32, 32)))
    calls: list[int] = []

    def slow(image: np.ndarray) -> np.ndarray:
        time.sleep(1.0 if not calls else 0.02)
        calls.append(len(calls) + 1)
        return slope(image)

    done: list[int] = []
    result = save_depth_video(video, slow, tmp_path / "out.mp4", on_frame=done.append)
    assert 4 / 1.08 < result.prediction_fps <= 50
    assert result.fps <= 5 / 1.08
    assert done == calls == [1, 2, 3, 4, 5]


def test_a_failure_leaves_what_was_there_before(tmp_path: Path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(20, 32, 32)))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_text("older")

    def fails_late(image: np.ndarray, calls: list[int] = []) -> np.ndarray:  # noqa: B006 # counts its calls
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return slope(image)

    with pytest.raises(KeyboardInterrupt):
        save_depth_video(video, fails_late, tmp_path / "out" / "a.mp4")
    assert [(path.name, path.read_text()) for path in (tmp_path / "out").iterdir()] == [("a.mp4", "older")]


def test_neither_frames_nor_depths_pile_up(tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(40, 32, 32)))
    made: list[weakref.ref] = []
    most = 0

    def watched(image: np.ndarray) -> np.ndarray:
        nonlocal most
        depth = slope(image)
        made.extend((weakref.ref(image), weakref.ref(depth)))
        most = max(most, sum(ref() is not None for ref in made))
        return depth

    save_depth_video(video, watched, tmp_path / "out.mp4")
    assert len(made) == 80
    assert most <= 4
