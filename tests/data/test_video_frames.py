import sys
import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.data.inputs import expand
from fcrn_mobile.data.video import open_video, read_frames
from fcrn_mobile.errors import InputError
from tests.clips import cut, index_first, lossless, turn, waves, write_clip


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames; frame i is gray of 20·i."""
    return lossless(tmp_path_factory.mktemp("ten") / "ten.mkv", [np.full((16, 24, 3), 20 * i, np.uint8) for i in range(10)])


def test_frames_come_back_exactly_from_a_lossless_video(tmp_path) -> None:
    frames = waves(3, 33, 47)
    video = open_video(lossless(tmp_path / "a.mkv", frames))
    assert video.size == (33, 47)
    assert video.rate == 10
    assert video.frames == 3
    for read, frame in zip(read_frames(video), frames, strict=True):
        np.testing.assert_array_equal(read.image, frame)


def test_a_varying_frame_rate_keeps_every_frame_at_its_time(tmp_path) -> None:
    times = [5, 8, 9, 15, 40]
    video = open_video(write_clip(tmp_path / "a.mp4", waves(5, 32, 32), times, Fraction(1, 30)))
    read = [frame.ticks * video.time_base for frame in read_frames(video)]
    assert read == [Fraction(time - times[0], 30) for time in times]


@given(every=st.integers(1, 12), limit=st.one_of(st.none(), st.integers(1, 12)))
@settings(max_examples=15, deadline=None)
def test_every_nth_frame_up_to_a_limit_is_a_slice(ten: Path, every: int, limit: int | None) -> None:
    video = open_video(ten)
    read = list(read_frames(video, every, limit))
    assert [int(frame.image[0, 0, 0]) // 20 for frame in read] == list(range(10))[::every][:limit]
    assert [frame.ticks * video.time_base * 10 for frame in read] == list(range(10))[::every][:limit]
    assert video.expected(every, limit) == len(read)


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_phone_video_is_turned_upright(clockwise: int, tmp_path) -> None:
    (frame,) = waves(1, 32, 48)
    frame[2:10, 4:12] = (255, 0, 0)
    video = open_video(turn(write_clip(tmp_path / "a.mp4", [frame]), clockwise, 32, 48))
    (read,) = read_frames(video)
    # A pixel of row q, column p (measured from the corner) by hand: 90° clockwise puts it at row p, column height - q.
    q, p = 6, 8
    row, column = {90: (p, 32 - q), 180: (32 - q, 48 - p), 270: (48 - p, q)}[clockwise]
    assert read.image.shape[:2] == video.size == ((32, 48) if clockwise == 180 else (48, 32))
    red = np.abs(read.image.astype(int) - (255, 0, 0)).max(axis=2) < 40
    rows, columns = np.nonzero(red)
    assert abs(rows.mean() + 0.5 - row) < 1
    assert abs(columns.mean() + 0.5 - column) < 1


@pytest.mark.parametrize(("height", "red_weight", "blue_weight"), [(144, 0.299, 0.114), (720, 0.2126, 0.0722)])
def test_untagged_colours_are_bt601_of_small_and_bt709_of_hd_video(height: int, red_weight: float, blue_weight: float, tmp_path) -> None:
    red, green, blue = 0.8, 0.3, 0.2
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    planes = (16 + 219 * luma, 128 + 112 * (blue - luma) / (1 - blue_weight), 128 + 112 * (red - luma) / (1 - red_weight))
    width = height * 16 // 9
    sizes = (height * width, height * width // 4, height * width // 4)
    yuv = np.concatenate([np.full(size, round(value), np.uint8) for size, value in zip(sizes, planes, strict=True)])
    path = write_clip(tmp_path / "a.mp4", [yuv.reshape(height * 3 // 2, width)], source_format="yuv420p")
    (frame,) = read_frames(open_video(path))
    np.testing.assert_allclose(frame.image.reshape(-1, 3).mean(axis=0), np.array([red, green, blue]) * 255, atol=2.5)


def test_pixels_that_are_not_square_are_made_so(tmp_path) -> None:
    video = open_video(write_clip(tmp_path / "a.mp4", waves(1, 32, 32), aspect=Fraction(3, 2)))
    (frame,) = read_frames(video)
    assert frame.image.shape[:2] == video.size == (32, 48)


def test_frames_are_not_kept(tmp_path) -> None:
    alive: list[weakref.ref] = []
    most = 0
    for frame in read_frames(open_video(write_clip(tmp_path / "a.mp4", waves(30, 32, 32)))):
        alive.append(weakref.ref(frame.image))
        most = max(most, sum(ref() is not None for ref in alive))
    assert len(alive) == 30
    assert most <= 2


def test_a_cut_video_names_the_frame_up_to_which_it_reads(tmp_path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", waves(30, 64, 64))
    video = open_video(cut(index_first(whole, tmp_path / "a.mp4"), 0.6))
    read = []
    with pytest.raises(InputError, match=r"a\.mp4.*--max-frames") as caught:
        for frame in read_frames(video):
            read.append(frame)
    assert f"--max-frames {len(read)}" in str(caught.value)
    assert 5 < len(read) < 30
    assert len(list(read_frames(video, limit=len(read)))) == len(read)


def test_what_is_no_video_is_named(tmp_path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    small = lossless(tmp_path / "small.mkv", waves(1, 4, 6))
    for path, words in [
        (text, "cannot read video"),
        (cut(write_clip(tmp_path / "cut.mp4", waves(9, 32, 32)), 0.5), "cannot read video"),
        (sound, "no video"),
        (small, "6×4 pixels"),
        (tmp_path / "missing.mp4", "No such file"),
    ]:
        with pytest.raises(InputError, match=words) as caught:
            open_video(path)
        assert path.name in str(caught.value)


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"fcrn-mobile\[video\]"):
        open_video(tmp_path / "a.mp4")


def test_a_folder_becomes_its_pictures_in_order(tmp_path) -> None:
    for name in ("b.JPG", "a.png", "c.webp", "._a.png", "notes.txt", "clip.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.png").mkdir()
    lone = tmp_path / "notes.txt"
    assert [path.name for path in expand([lone, tmp_path])] == ["notes.txt", "a.png", "b.JPG", "c.webp"]


def test_a_folder_without_pictures_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"no pictures.*\.png"):
        expand([tmp_path])
    (tmp_path / "clip.mov").touch()
    with pytest.raises(InputError, match="name the videos themselves"):
        expand([tmp_path])
