"""Videos as streams of upright RGB frames with their times. Needs the optional extra ``video``.

PyAV rather than imageio: imageio's video plug-ins are PyAV itself or an ffmpeg process, and give neither the frames' time stamps (a phone's
frame rate varies) nor the rotation that a phone writes instead of turning the pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import MIN_SIDE
from fcrn_mobile.errors import InputError, UnusableInputError

__all__ = ["Frame", "Video", "load_av", "open_video", "read_frames"]

#: FFmpeg's number for "the file does not say which YUV this is", and the height from which players then take BT.709 instead of BT.601.
_UNSPECIFIED, _HD_HEIGHT = 2, 720


@dataclass(frozen=True)
class Video:
    """What is known of a video before it is read.

    Attributes:
        path: its file.
        size: height and width as shown: turned upright, pixels square.
        rate: mean frames per second.
        time_base: seconds per tick of the frames' times.
        frames: how many to expect; 0 where the file does not say.
    """

    path: Path
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    frames: int

    def expected(self, every: int = 1, limit: int | None = None) -> int:
        """Frames that ``read_frames`` will yield, as far as the file says; 0 where it does not."""
        frames = -(-self.frames // every)
        return frames if limit is None else min(frames, limit)


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        image: H×W×3 uint8 sRGB.
        ticks: its time since the first frame, in units of the video's time base; strictly increasing.
    """

    image: NDArray[np.uint8]
    ticks: int


def load_av() -> Any:
    """The module ``av``.

    Raises:
        InputError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise InputError("videos need PyAV: install it with pip install 'fcrn-mobile[video]'") from error
    return av


def open_video(path: Path) -> Video:
    """Read what a video says about itself, and its first frame.

    Raises:
        InputError: PyAV is missing, no such file, not a video, without a frame, damaged at its start, or smaller than 8×8.
    """
    av = load_av()
    try:
        with _open(av, path) as container:
            stream = _stream(container, path)
            first = next(container.decode(stream), None)
            if first is None:
                raise InputError(f"'{path}' holds no frame: give another video")
            height, width = _upright(first, _shown_size(first, stream)).shape[:2]
            rate = stream.average_rate or stream.guessed_rate or Fraction(25)
            # Matroska counts no frames, only time.
            seconds = Fraction(container.duration or 0, av.time_base)
            frames = stream.frames or round(seconds * rate)
            video = Video(path, (height, width), Fraction(rate), Fraction(stream.time_base), frames)
    except av.FFmpegError as error:
        raise InputError(f"cannot read video '{path}' ({error.strerror}): give a file that FFmpeg plays") from error
    if min(video.size) < MIN_SIDE:
        raise InputError(f"'{path}' is {width}×{height} pixels: give a video of at least {MIN_SIDE}×{MIN_SIDE}")
    return video


def read_frames(video: Video, every: int = 1, limit: int | None = None) -> Iterator[Frame]:
    """Decode frame by frame; one is in memory at a time.

    Args:
        video: from ``open_video``.
        every: yield frames 0, ``every``, 2·``every``, ….
        limit: yield no more than this many.

    Raises:
        UnusableInputError: damaged at some frame.
    """
    av = load_av()
    done, ticks, start = 0, -1, None
    try:
        with _open(av, video.path) as container:
            stream = _stream(container, video.path)
            for index, decoded in enumerate(container.decode(stream)):
                if index % every:
                    continue
                # Some files leave times out or repeat them: such a frame follows its predecessor as the rate says, or by one tick.
                pts = decoded.pts if decoded.pts is not None else round(index / (video.rate * video.time_base))
                start = pts if start is None else start
                ticks = max(pts - start, ticks + 1)
                yield Frame(_upright(decoded, _shown_size(decoded, stream), video.size), ticks)
                done += 1
                if done == limit:
                    return
    except av.FFmpegError as error:
        remedy = f"repair it, or stop before the damage with --max-frames {done}" if done else "give another video"
        raise UnusableInputError(f"'{video.path}' is damaged after frame {done * every} ({error.strerror}): {remedy}") from error


def _open(av: Any, path: Path) -> Any:
    # An absolute path: FFmpeg takes what stands before a colon in another for a protocol.
    return av.open(str(path.resolve()))


def _stream(container: Any, path: Path) -> Any:
    if not container.streams.video:
        raise InputError(f"'{path}' holds no video, only sound or text: give a file with pictures")
    return container.streams.video[0]


def _shown_size(frame: Any, stream: Any) -> tuple[int, int]:
    """Height and width before rotation, with pixels made square (DV and DVD store narrow or wide ones)."""
    return frame.height, round(frame.width * (stream.sample_aspect_ratio or 1))


def _upright(frame: Any, stored: tuple[int, int], shown: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """A decoded frame as H×W×3 uint8 RGB, scaled to ``stored`` height × width, then turned as its display matrix says.

    Args:
        frame: of PyAV.
        stored: height and width before it is turned.
        shown: those after, where the stream must not change its size.
    """
    quarters = round(frame.rotation / 90) % 4  # counter-clockwise
    if shown is not None:
        stored = (shown[1], shown[0]) if quarters % 2 else shown
    hd = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT
    rgb = frame.reformat(width=stored[1], height=stored[0], format="rgb24", src_colorspace="ITU709" if hd else None)
    image: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(rgb.to_ndarray(), quarters))
    return image
