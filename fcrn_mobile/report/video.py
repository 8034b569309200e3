"""A video of a network's depth: each frame, its depth in colours, and a colour bar, side by side."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fcrn_mobile.data.video import Video, load_av, read_frames
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.survey import Predict
from fcrn_mobile.palette import BAR_GROUND
from fcrn_mobile.report.extent import Extent
from fcrn_mobile.report.figures import coloured
from fcrn_mobile.whole_file import written_whole

__all__ = ["CUT", "SMOOTHING", "DepthVideo", "SmoothRange", "compose", "save_depth_video"]

#: Seconds over which a range that is not fixed follows the scene.
SMOOTHING = 1.0
#: A jump of more than this share of the range is a cut, or as good as one: there the range starts anew.
CUT = 0.5
#: Constant quality of H.264: 18 is hardly to be told from the source. Its macroblock tree is off because with it x264's AVX-512 code wrote
#: another first frame in 19 of 400 runs on the same pixels (x264 as in PyAV 18.1; 0 of 1200 without it).
_QUALITY = {"crf": "18", "preset": "veryfast", "mbtree": "0"}
_BT709 = 1  # FFmpeg's number, for matrix, primaries and transfer alike
_LIMITED = 1


@dataclass(frozen=True)
class DepthVideo:
    """What was written.

    Attributes:
        frames: how many.
        extent: of the depth of all frames.
        prediction_fps: frames per second of the prediction alone; its first call, which warms up, counts only where it is the only one.
        fps: frames per second from the file read to the file written.
    """

    frames: int
    extent: Extent
    prediction_fps: float
    fps: float


class SmoothRange:
    """The depths that the colours span: the 2nd to 98th percentile of each frame, averaged over time so that colours do not flicker.

    The weight of the past falls by 1/e per ``SMOOTHING`` seconds, and at a cut (see ``CUT``) to nothing.
    """

    def __init__(self, inverse: bool = False) -> None:
        self._order = -1 if inverse else 1
        self._range: NDArray[np.float64] | None = None
        self._time = 0.0

    def __call__(self, depth: NDArray[np.float32], seconds: float) -> tuple[float, float]:
        """The range after a frame of h×w metres at a time; a frame without a finite depth changes nothing."""
        finite = depth[np.isfinite(depth)]
        if finite.size:
            current = np.percentile(finite, (2, 98)).astype(np.float64)
            if self._range is None or np.abs(current - self._range).max() > CUT * np.ptp(self._range):
                self._range = current
            past = exp((self._time - seconds) / SMOOTHING)
            self._range = past * self._range + (1 - past) * current
            self._time = seconds
        near, far = (0.0, 1.0) if self._range is None else (float(limit) for limit in self._range[:: self._order])
        return near, far


class _Timed:
    """A prediction that knows its frames per second; its first call, which warms up, counts only where it is the only one."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self._first = self._others = 0.0
        self.calls = 0

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        start = time.perf_counter()
        depth = self._predict(image)
        seconds = time.perf_counter() - start
        self._first, self._others = (self._first, self._others + seconds) if self.calls else (seconds, 0.0)
        self.calls += 1
        return depth

    @property
    def fps(self) -> float:
        counted, seconds = (self.calls - 1, self._others) if self.calls > 1 else (self.calls, self._first)
        return counted / max(seconds, 1e-9)


def save_depth_video(
    video: Video,
    predict: Predict,
    path: Path,
    depth_range: tuple[float, float] | None = None,
    unit: str = " m",
    every: int = 1,
    limit: int | None = None,
    on_frame: Callable[[int], None] = lambda done: None,
    inverse: bool = False,
) -> DepthVideo:
    """Write frame, depth and colour bar side by side as H.264 in MP4, without sound; whole or not at all, one frame in memory at a time.

    Args:
        video: the source; its frames keep their times and are shown upright.
        predict: H×W×3 uint8 → h×w float32 metres, or inverse depth where ``inverse`` says so.
        path: of the .mp4; overwritten.
        depth_range: nearest and farthest metres of the colours; None follows the scene, see ``SmoothRange``.
        unit: behind the numbers of the colour bar; empty for depth up to scale.
        every: take frames 0, ``every``, 2·``every``, ….
        limit: take at most this many.
        on_frame: is called with the number of frames done.

    Raises:
        UnusableInputError: the source is damaged, or no frame has depth.
        InputError: the file cannot be written.
    """
    av = load_av()
    start = time.perf_counter()
    span, extent = SmoothRange(inverse), Extent(inverse=inverse)
    timed = _Timed(predict)
    try:
        with (
            written_whole(path, force=True) as partial,
            av.open(str(partial.resolve()), "w", options={"movflags": "faststart"}) as container,
        ):
            stream = None
            for frame in read_frames(video, every, limit):
                depth = timed(frame.image)
                extent.update(depth)
                picture = compose(frame.image, depth, depth_range or span(depth, float(frame.ticks * video.time_base)), unit)
                stream = stream or _add_stream(container, picture.shape, video.rate / every, video.time_base)
                container.mux(stream.encode(_encodable(av, picture, frame.ticks, video, every)))
                on_frame(timed.calls)
            assert stream is not None, "open_video has seen a frame"
            container.mux(stream.encode(None))
            extent.check(str(video.path))
    except (av.FFmpegError, av.codec.codec.UnknownCodecError) as error:
        raise InputError(f"cannot write video '{path}' ({error}): choose another --out, or install PyAV's own wheel") from error
    return DepthVideo(timed.calls, extent, timed.fps, timed.calls / (time.perf_counter() - start))


def compose(image: NDArray[np.uint8], depth: NDArray[np.float32], metres: tuple[float, float], unit: str = " m") -> NDArray[np.uint8]:
    """Image, coloured depth and colour bar side by side.

    Args:
        image: H×W×3 uint8.
        depth: h×w metres, gray where not finite.
        metres: nearest and farthest depth, or inverse depth, of the colours; beyond them colours stay the same.
        unit: behind the numbers of the colour bar.

    Returns:
        H'×W'×3 uint8, W' = 2·W + the bar, both even as H.264 wants them: columns 0..W-1 are the image, W..2·W-1 the depth.
    """
    height, width = image.shape[:2]
    right = Image.fromarray(coloured(depth, *metres)).resize((width, height), Image.Resampling.BILINEAR)
    picture = np.hstack((image, np.asarray(right), _colour_bar(height, *metres, unit)))
    return np.pad(picture, ((0, height % 2), (0, 0), (0, 0)), mode="edge")


@lru_cache(maxsize=1)
def _colour_bar(height: int, near: float, far: float, unit: str) -> NDArray[np.uint8]:
    """H×w×3: far above, near below, ticks with their unit; w depends on the height alone, and is even."""
    size = min(max(height // 24, 9), 40)
    digits = 1 if abs(far - near) >= 1 else 2
    strip = coloured(np.linspace(far, near, height, dtype=np.float32)[:, None].repeat(size, axis=1), near, far)
    canvas = Image.new("RGB", (size * 11 // 2 // 2 * 2, height), BAR_GROUND)
    canvas.paste(Image.fromarray(strip), (size // 2, 0))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size)
    ticks = min(max(height // (3 * size), 2), 6)
    for index, share in enumerate(np.linspace(0, 1, ticks)):
        y = share * (height - 1)
        draw.line((size * 3 // 2, y, size * 2 - 2, y), "white")
        anchor = "la" if index == 0 else "ld" if index == ticks - 1 else "lm"
        draw.text((size * 2, y), f"{far + share * (near - far):.{digits}f}{unit}", "white", font, anchor)
    return np.asarray(canvas)


def _add_stream(container: Any, shape: tuple[int, ...], rate: Fraction, time_base: Fraction) -> Any:
    stream = container.add_stream("libx264", rate=rate, options=_QUALITY)
    stream.height, stream.width = shape[:2]
    stream.pix_fmt = "yuv420p"  # what phones and browsers play
    stream.codec_context.time_base = time_base
    for tag in ("colorspace", "color_primaries", "color_trc"):
        setattr(stream.codec_context, tag, _BT709)
    stream.codec_context.color_range = _LIMITED
    return stream


def _encodable(av: Any, picture: NDArray[np.uint8], ticks: int, video: Video, every: int) -> Any:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
    frame.pts, frame.time_base = ticks, video.time_base
    frame.duration = max(round(every / (video.rate * video.time_base)), 1)
    return frame
