"""``frames:PATH?fx=…``: a video of one's own, or a folder of its frames, as triplets of neighbours."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path, PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.images import decode_image, read_image
from fcrn_mobile.data.inputs import expand, is_video
from fcrn_mobile.data.listing import named
from fcrn_mobile.data.pairing import collect, tell_left_out
from fcrn_mobile.data.views import Intrinsics, Views, in_order
from fcrn_mobile.errors import InputError
from fcrn_mobile.text import counted

__all__ = ["Clip", "FileClip", "Triplets", "VideoClip", "check_equal_sizes", "checked_triplets", "open_frames", "sequence", "video_frames"]

#: Frames of a video are kept as JPEGs no longer than this: no network here looks at more.
_LONGEST_SIDE = 640
_QUALITY = 95


class Clip(Protocol):
    """Frames in a row from one camera."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def intrinsics(self) -> Intrinsics: ...

    def read(self, index: int) -> NDArray[np.uint8]:
        """H×W×3 uint8."""
        ...


@dataclass(frozen=True)
class FileClip:
    """A clip whose frames are files.

    Attributes:
        files: in the order of time.
        intrinsics: in pixels of the files.
        prefix: of its frames' names.
    """

    files: tuple[Path, ...]
    intrinsics: Intrinsics
    prefix: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.prefix + file.stem for file in self.files)

    def read(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.files[index])


@dataclass(frozen=True)
class VideoClip:
    """A clip whose frames are in memory, each as a JPEG.

    Attributes:
        frames: encoded.
        intrinsics: in pixels of the frames.
        name: of the video.
    """

    frames: tuple[bytes, ...]
    intrinsics: Intrinsics
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.name}/{index:06d}" for index in range(len(self.frames)))

    def read(self, index: int) -> NDArray[np.uint8]:
        return decode_image(self.frames[index], self.names[index])


@dataclass(frozen=True)
class Triplets:
    """Every frame of some clips with the frame ``step`` before it and the one ``step`` after it.

    Attributes:
        clips: with at least 2·step + 1 frames together somewhere.
        step: frames from the target to either source.
    """

    clips: tuple[Clip, ...]
    step: int = 1

    @cached_property
    def targets(self) -> tuple[tuple[int, int], ...]:
        """Clip and frame of each triplet."""
        return tuple((c, i) for c, clip in enumerate(self.clips) for i in range(self.step, len(clip.names) - self.step))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.clips[clip].names[index] for clip, index in self.targets)

    def splits(self) -> dict[str, tuple[int, ...]]:
        """The last 15 % of every clip's frames are ``val``; no triplet has frames in both."""
        places_of: dict[str, list[int]] = {"train": [], "val": []}
        parts = [{name: set(frames) for name, frames in in_order(len(clip.names)).items()} for clip in self.clips]
        for place, (clip, index) in enumerate(self.targets):
            for name, frames in parts[clip].items():
                if {index - self.step, index + self.step} <= frames:
                    places_of[name].append(place)
        return {name: tuple(places) for name, places in places_of.items()}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> Views:
        """Decode three frames.

        Raises:
            InputError: a damaged frame, or one of another size than its neighbours.
        """
        number, frame = self.targets[index]
        clip = self.clips[number]
        images = tuple(clip.read(place) for place in (frame, frame - self.step, frame + self.step))
        name = clip.names[frame]
        check_equal_sizes(images, name)
        return Views(images, clip.intrinsics, 0.0, name)


def open_frames(
    path: Path, fx: float, fy: float | None = None, cx: float | None = None, cy: float | None = None, step: int = 1
) -> Triplets:
    """Triplets of a folder of pictures, in the order of their names, or of a video.

    Args:
        path: the folder or video.
        fx, fy, cx, cy: in pixels of the frames, with pixel centres at whole numbers. Without fy the pixels are square; without cx
            and cy the principal point is the picture's centre.
        step: frames between neighbours.

    Raises:
        InputError: nothing there, too few frames, or a video without PyAV.
    """

    def intrinsics(height: int, width: int) -> Intrinsics:
        return Intrinsics(fx, fx if fy is None else fy, (width - 1) / 2 if cx is None else cx, (height - 1) / 2 if cy is None else cy)

    if path.is_dir():
        files = sequence(path)
        clip: Clip = FileClip(files, intrinsics(*read_image(files[0]).shape[:2]))
    elif path.is_file() and is_video(path):
        clip = _in_memory(path, intrinsics)
    elif path.is_file():
        raise InputError(f"'{path}' is neither a folder nor a video: give a folder of pictures or a video such as clip.mp4")
    else:
        raise InputError(f"no frames at '{path}': give an existing folder of pictures or a video")
    return checked_triplets((clip,), step, path)


def sequence(folder: Path) -> tuple[Path, ...]:
    """The pictures of a folder in natural order.

    Raises:
        InputError: none, or two of one name, such as ``0001.jpg`` beside ``0001.png``: a frame twice.
    """
    files = {file.name: file for file in expand([folder])}
    return tuple(files[name] for name in collect(files, lambda name: PurePath(name).stem, "picture").values())


def checked_triplets(clips: tuple[Clip, ...], step: int, path: Path) -> Triplets:
    """Triplets of clips.

    Raises:
        InputError: no clip is long enough.
    """
    triplets = Triplets(clips, step)
    if not len(triplets):
        longest = max(len(clip.names) for clip in clips)
        raise InputError(f"'{path}' has {longest} frames in a row, {2 * step + 1} are needed with step={step}: give a longer clip")
    short = [clip.names[0] for clip in clips if len(clip.names) < 2 * step + 1]
    if short:
        tell_left_out(path, [f"{counted(len(short), 'recording')} of fewer than {2 * step + 1} frames ({named(short)})"])
    return triplets


def check_equal_sizes(images: tuple[NDArray[np.uint8], ...], name: str) -> None:
    """Refuse views that differ in size.

    Raises:
        InputError: names them and their sizes.
    """
    sizes = [f"{image.shape[1]}×{image.shape[0]}" for image in images]
    if len(set(sizes)) > 1:
        raise InputError(f"the views of '{name}' are {', '.join(sizes)} pixels: give frames of one size, from one camera")


def _in_memory(path: Path, intrinsics: Callable[[int, int], Intrinsics]) -> VideoClip:
    from fcrn_mobile.data.video import open_video, read_frames

    video = open_video(path)
    size = _kept(video.size)
    frames = tuple(_jpeg(frame.image, size) for frame in read_frames(video))
    return VideoClip(frames, intrinsics(*video.size).resized(video.size, size), path.stem)


def video_frames(path: Path, step: int = 1) -> dict[str, bytes]:
    """The first frame of a video and every ``step``-th from there, by a name with its number: JPEGs no longer than ``_LONGEST_SIDE``.

    Raises:
        InputError: no readable video, or no PyAV.
    """
    from fcrn_mobile.data.video import open_video, read_frames

    video = open_video(path)
    size = _kept(video.size)
    return {f"{path.stem}/{step * number:06d}": _jpeg(frame.image, size) for number, frame in enumerate(read_frames(video, step))}


def _kept(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width in memory of frames of a video."""
    shrink = min(1.0, _LONGEST_SIDE / max(size))
    return round(size[0] * shrink), round(size[1] * shrink)


def _jpeg(image: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    picture = Image.fromarray(image)
    if (picture.height, picture.width) != size:
        picture = picture.resize((size[1], size[0]), Image.Resampling.BOX)
    encoded = BytesIO()
    picture.save(encoded, "JPEG", quality=_QUALITY)
    return encoded.getvalue()
