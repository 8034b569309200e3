"""Tiny videos that the tests make themselves."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 10


def waves(count: int, height: int, width: int) -> list[NDArray[np.uint8]]:
    """Frames of strong, smooth colours that move: what a codec keeps well, and a wrong colour matrix does not."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    phases = ((2 * x, 0.0), (2 * y, 2.0), (x + y, 4.0))
    return [
        np.stack([127.5 + 110 * np.sin(1.5 * p + shift + 0.3 * index) for p, shift in phases], axis=2).astype(np.uint8)
        for index in range(count)
    ]


def write_clip(
    path: Path,
    frames: Sequence[NDArray[np.uint8]],
    times: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, RATE),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    aspect: Fraction | None = None,
    source_format: str = "rgb24",
) -> Path:
    """Encode frames, H×W×3 RGB unless ``source_format`` says otherwise, at times in units of the time base."""
    options = {"libx264": {"crf": "6", "preset": "veryfast"}}.get(codec, {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=source_format)
            if index == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixel_format
                stream.codec_context.time_base = time_base
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
            frame.pts, frame.time_base = index if times is None else times[index], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lossless(path: Path, frames: Sequence[NDArray[np.uint8]]) -> Path:
    """A clip whose pixels come back exactly, of any size."""
    return write_clip(path, frames, codec="ffv1", pixel_format="bgr0")


def turn(path: Path, clockwise: int, height: int, width: int) -> Path:
    """Make an MP4 say that its stored pixels are to be shown turned, as phones do.

    The matrix of its track header, (p q 1) · |a b u; c d v; x y w| = (m n 1), ISO/IEC 14496-12 8.3.2: 16.16 fixed point, w 2.30.
    """
    a, b, c, d, x, y = {90: (0, 1, -1, 0, height, 0), 180: (-1, 0, 0, -1, width, height), 270: (0, -1, 1, 0, 0, width)}[clockwise]
    data = bytearray(path.read_bytes())
    one = 1 << 16
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, x * one, y * one, 1 << 30)
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + len(matrix)] = matrix
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Throw away the end of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def index_first(source: Path, path: Path) -> Path:
    """The same MP4 with its index before its frames: cut, it still opens."""
    with av.open(str(source)) as read, av.open(str(path), "w", options={"movflags": "faststart"}) as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                write.mux(packet)
    return path


def decoded(path: Path) -> tuple[list[NDArray[np.uint8]], list[Fraction]]:
    """Frames and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [frame.pts * frame.time_base for frame in frames]
