"""What a prediction leaves in a folder: which files an input gives, and those of a picture."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.data.depth_maps import save_depth_png
from fcrn_mobile.data.images import read_image
from fcrn_mobile.data.inputs import is_video
from fcrn_mobile.data.spec import training_camera
from fcrn_mobile.data.video import Video
from fcrn_mobile.errors import InputError
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.report.extent import Extent
from fcrn_mobile.report.figures import save_side_by_side
from fcrn_mobile.report.pointcloud import Camera, Intrinsics, back_project, save_ply
from fcrn_mobile.report.video import DepthVideo, save_depth_video
from fcrn_mobile.runtimes.runtime import FindsOverflow, Runtime
from fcrn_mobile.whole_file import written_whole

__all__ = ["DepthWriter", "PictureResult", "VideoResult", "check_results", "result_files", "save_picture", "training_lens"]


@dataclass(frozen=True)
class PictureResult:
    """What a picture gave.

    Attributes:
        image: the picture.
        files: as ``result_files`` names them.
        extent: of its depth.
        points: in its point cloud; None without one.
    """

    image: Path
    files: tuple[Path, ...]
    extent: Extent
    points: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        entry = {"image": str(self.image), "picture": str(self.files[0]), "depth_mm": str(self.files[1])} | self.extent.facts()
        return entry if self.points is None else entry | {"pointcloud": str(self.files[2]), "points": self.points}


@dataclass(frozen=True)
class VideoResult:
    """What a video gave: itself, the file beside it, and what was written there."""

    video: Path
    file: Path
    written: DepthVideo

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        entry = {"video": str(self.video), "picture": str(self.file), "frames": self.written.frames} | self.written.extent.facts()
        return entry | {"prediction_fps": self.written.prediction_fps, "fps": self.written.fps}


@dataclass(frozen=True)
class DepthWriter:
    """A model, and how its predictions are written.

    Attributes:
        runtime: the model.
        out: folder of the results.
        lens: what its metres hold for; None where depth is known up to scale only.
        camera: of point clouds; None for none.
        full_size: pictures: write the depth map in the picture's size.
        every, limit, span: videos: frames to take, at most so many, metres that the colours span; see ``save_depth_video``.
    """

    runtime: Runtime
    out: Path
    lens: TrainingCamera | None
    camera: Camera | None = None
    full_size: bool = False
    every: int = 1
    limit: int | None = None
    span: tuple[float, float] | None = None

    @property
    def unit(self) -> str:
        """What stands behind a depth."""
        return " m" if self.lens else ""

    def picture(self, path: Path) -> PictureResult:
        """Predict a picture and write its files.

        Raises:
            UnusableInputError: it has no depth.
        """
        image = read_image(path)
        depth = self.runtime.predict(image)
        extent = Extent()
        extent.update(depth)
        extent.check(str(path), self._overflow(image) if not extent.finite else "")
        files = result_files(path, self.out, self.camera is not None)
        intrinsics = self.camera.intrinsics(image.shape[:2]) if self.camera else None
        points = save_picture(image, depth, files, intrinsics, self.lens is not None, self.full_size)
        return PictureResult(path, tuple(files), extent, points if self.camera else None)

    def video(self, video: Video, on_frame: Callable[[int], None]) -> VideoResult:
        """Predict a video and write its file.

        Raises:
            UnusableInputError: it is damaged, or no frame has depth.
        """
        (path,) = result_files(video.path, self.out)
        written = save_depth_video(video, self.runtime.predict, path, self.span, self.unit, self.every, self.limit, on_frame)
        return VideoResult(video.path, path, written)

    def _overflow(self, image: NDArray[np.uint8]) -> str:
        """Where values ran over, in words, from a runtime that can tell."""
        first = self.runtime.first_overflow(image) if isinstance(self.runtime, FindsOverflow) else None
        return f", the first tensor to overflow is {first}" if first else ""


def training_lens(runtime: Runtime) -> TrainingCamera | None:
    """What a model's metres hold for; None where depth is known up to scale only."""
    written = Metadata.from_dict(runtime.metadata)
    return training_camera(written.training_data or "") if written.is_metric else None


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
) -> int:
    """Write the files of one picture, all of them whole or none.

    Args:
        image: H×W×3 uint8.
        depth: h×w metres.
        files: as ``result_files`` names them; overwritten.
        camera: of the point cloud, in pixels of the image.
        metric: whether depth is in metres, not up to scale.
        full_size: write the depth map in the image's size.

    Returns:
        Points in the cloud; 0 without one.
    """
    points = None if camera is None else back_project(depth, image, camera)
    with ExitStack() as stack:
        coloured, millimetres, *clouds = (stack.enter_context(written_whole(file, force=True)) for file in files)
        save_side_by_side(image, depth, coloured)
        save_depth_png(_enlarged(depth, image.shape[:2]) if full_size else depth, millimetres)
        if points is None:
            return 0
        save_ply(points, clouds[0], metric)
        return len(points)


def _enlarged(depth: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """To height × width, bilinearly, as the metrics do."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(depth)).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
