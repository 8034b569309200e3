"""What a prediction leaves in a folder: which files an input gives, and those of a picture."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.cameras import UNKNOWN, TrainingCamera
from fcrn_mobile.data.depth_maps import save_depth_png, save_inverse_png
from fcrn_mobile.data.exif_focal import exif_focal_px
from fcrn_mobile.data.images import decode_image, read_file
from fcrn_mobile.data.inputs import is_video
from fcrn_mobile.data.video import Video
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.focus import Focus, focus_of
from fcrn_mobile.evaluation.tape import Mark, Scale, fit_scale
from fcrn_mobile.report.extent import Extent
from fcrn_mobile.report.figures import save_side_by_side
from fcrn_mobile.report.pointcloud import Camera, Intrinsics, back_project, save_ply
from fcrn_mobile.report.video import DepthVideo, save_depth_video
from fcrn_mobile.runtimes.runtime import FindsOverflow, Runtime
from fcrn_mobile.whole_file import written_whole

__all__ = ["DepthWriter", "PictureResult", "VideoResult", "check_results", "result_files", "save_picture"]


@dataclass(frozen=True)
class PictureResult:
    """What a picture gave.

    Attributes:
        image: the picture.
        files: as ``result_files`` names them.
        extent: of its depth.
        points: in its point cloud; None without one.
        focus: what was done to its depth for its camera.
    """

    image: Path
    files: tuple[Path, ...]
    extent: Extent
    points: int | None = None
    focus: Focus = field(default_factory=Focus)

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        map_key = "inverse_16bit" if self.extent.inverse else "depth_mm"
        entry = {"image": str(self.image), "picture": str(self.files[0]), map_key: str(self.files[1])} | self.extent.facts()
        entry |= self.focus.to_json()
        return entry if self.points is None else entry | {"pointcloud": str(self.files[2]), "points": self.points}


@dataclass(frozen=True)
class VideoResult:
    """What a video gave: itself, the file beside it, what was written there, and what was done to depth for its camera."""

    video: Path
    file: Path
    written: DepthVideo
    focus: Focus = field(default_factory=Focus)

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        entry = {"video": str(self.video), "picture": str(self.file), "frames": self.written.frames} | self.written.extent.facts()
        return entry | self.focus.to_json() | {"prediction_fps": self.written.prediction_fps, "fps": self.written.fps}


@dataclass(frozen=True)
class DepthWriter:
    """A model, and how its predictions are written.

    Attributes:
        runtime: the model.
        out: folder of the results.
        lens: what its metres hold for; None where depth is known up to scale only.
        camera: of point clouds; None for none.
        fx: focal length of all pictures and videos in their pixels; None leaves it to ``camera``, and without one to the pictures' EXIF.
        full_size: pictures: write the depth map in the picture's size.
        scale: what makes metres of the model's depth, in the place of anything known of cameras; None for none.
        every, limit, span: videos: frames to take, at most so many, metres that the colours span; see ``save_depth_video``.
    """

    runtime: Runtime
    out: Path
    lens: TrainingCamera | None
    camera: Camera | None = None
    fx: float | None = None
    full_size: bool = False
    scale: Scale | None = None
    every: int = 1
    limit: int | None = None
    span: tuple[float, float] | None = None

    @property
    def inverse(self) -> bool:
        """Whether what is written is inverse depth: what the model gives, and nothing makes metres of it."""
        return self.runtime.contract.depth == "inverse" and self.scale is None

    @property
    def unit(self) -> str:
        """What stands behind a depth."""
        return " m" if self.is_metric else ""

    @property
    def is_metric(self) -> bool:
        """Whether depth is in metres."""
        return self.lens is not None or self.scale is not None

    def marked(self, path: Path, marks: Sequence[Mark]) -> "DepthWriter":
        """The same with the scale that distances at pixels of a picture give.

        Raises:
            InputError: marks that cannot be used, see ``fit_scale``.
        """
        image = decode_image(read_file(path), str(path))
        return replace(self, scale=fit_scale(self.runtime.predict(image), marks, image.shape[:2], str(path), self.inverse))

    def picture(self, path: Path) -> PictureResult:
        """Predict a picture and write its files.

        Raises:
            UnusableInputError: it has no depth.
        """
        data = read_file(path)
        image = decode_image(data, str(path))
        intrinsics = self.camera.intrinsics(image.shape[:2]) if self.camera else None
        focus = self._focus(path, image.shape[:2], intrinsics.fx if intrinsics else self.fx, exif_focal_px(data))
        depth = self._metres(image, focus)
        extent = Extent(inverse=self.inverse)
        extent.update(depth)
        extent.check(str(path), self._overflow(image) if not extent.finite else "")
        files = result_files(path, self.out, self.camera is not None)
        points = save_picture(image, depth, files, intrinsics, self.is_metric, self.full_size, self.inverse)
        return PictureResult(path, tuple(files), extent, points if self.camera else None, focus)

    def video(self, video: Video, on_frame: Callable[[int], None]) -> VideoResult:
        """Predict a video and write its file.

        Raises:
            UnusableInputError: it is damaged, or no frame has depth.
        """
        (path,) = result_files(video.path, self.out)
        focus = self._focus(video.path, video.size, self.fx)

        def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
            return self._metres(image, focus)

        written = save_depth_video(video, predict, path, self.span, self.unit, self.every, self.limit, on_frame, self.inverse)
        return VideoResult(video.path, path, written, focus)

    def _metres(self, image: NDArray[np.uint8], focus: Focus) -> NDArray[np.float32]:
        """Depth h×w: in metres by the scale where there is one, else for the camera, as far as both are known."""
        output = self.runtime.predict(image)
        return self.scale(output) if self.scale else focus(output, image.shape[:2])

    def _focus(self, path: Path, size: tuple[int, int], focal: float | None, exif: float | None = None) -> Focus:
        """From the network's camera to that of an input, by what the user says of its focal length in pixels, else by its EXIF.

        Nothing is known of cameras where distances set the scale.
        """
        if self.scale:
            return Focus()
        origin = "EXIF FocalLengthIn35mmFilm" if focal is None else "the camera's options"
        camera = TrainingCamera(f"{path.name}, by {origin}", exif if focal is None else focal, size[1])
        return focus_of(self.runtime, self.lens or UNKNOWN, camera).at(size)

    def _overflow(self, image: NDArray[np.uint8]) -> str:
        """Where values ran over, in words, from a runtime that can tell."""
        first = self.runtime.first_overflow(image) if isinstance(self.runtime, FindsOverflow) else None
        return f", the first tensor to overflow is {first}" if first else ""


def result_files(path: Path, out: Path, cloud: bool = False) -> list[Path]:
    """NAME.mp4 of a video; NAME.png, NAME.depth.png and, for a point cloud, NAME.ply of a picture."""
    suffixes = [".mp4"] if is_video(path) else [".png", ".depth.png", *([".ply"] if cloud else [])]
    return [out / f"{path.stem}{suffix}" for suffix in suffixes]


def check_results(files: Iterable[Path], out: Path, cloud: bool = False, force: bool = False) -> None:
    """No result may overwrite another's, an input, or a folder, nor, unless ``force``, any file. Case is ignored, as macOS does.

    Raises:
        InputError: one would.
    """
    files = list(files)
    sources = {_key(path): path for path in files}
    owners: dict[str, Path] = {}
    for path in files:
        for result in result_files(path, out, cloud):
            key = _key(result)
            if key in owners:
                raise InputError(f"'{owners[key]}' and '{path}' have the same name: predict them into two folders")
            if key in sources:
                raise InputError(f"'{result}' would overwrite the input '{sources[key]}': choose another --out")
            if result.is_dir():
                raise InputError(f"'{result}' is a folder: choose another --out")
            if not force and result.exists():
                raise InputError(f"'{result}' exists: choose another --out or overwrite it with --force")
            owners[key] = path


def save_picture(
    image: NDArray[np.uint8],
    depth: NDArray[np.float32],
    files: list[Path],
    camera: Intrinsics | None = None,
    metric: bool = True,
    full_size: bool = False,
    inverse: bool = False,
) -> int:
    """Write the files of one picture, all of them whole or none.

    Args:
        image: H×W×3 uint8.
        depth: h×w metres, or inverse depth.
        files: as ``result_files`` names them; overwritten.
        camera: of the point cloud, in pixels of the image.
        metric: whether depth is in metres, not up to scale.
        full_size: write the depth map in the image's size.
        inverse: whether ``depth`` is inverse depth; without a point cloud.

    Returns:
        Points in the cloud; 0 without one.
    """
    points = None if camera is None else back_project(depth, image, camera)
    with ExitStack() as stack:
        coloured, numbers, *clouds = (stack.enter_context(written_whole(file, force=True)) for file in files)
        save_side_by_side(image, depth, coloured, inverse)
        save = save_inverse_png if inverse else save_depth_png
        save(_enlarged(depth, image.shape[:2]) if full_size else depth, numbers)
        if points is None:
            return 0
        save_ply(points, clouds[0], metric)
        return len(points)


def _enlarged(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """To height × width, bilinearly, as the metrics do."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(depth)).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
