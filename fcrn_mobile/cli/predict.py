"""``fcrn-mobile predict``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, make_folder, progress, write_json
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.errors import InputError, UnusableInputError

if TYPE_CHECKING:
    from fcrn_mobile.data.cameras import TrainingCamera
    from fcrn_mobile.data.video import Video
    from fcrn_mobile.report.pointcloud import Camera
    from fcrn_mobile.report.readable import Readable
    from fcrn_mobile.runtimes import Runtime


@click.command("predict", cls=Command)
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=OutputFolder(), help="Folder for the results.")
@click.option("--backend", default="auto", show_default=True)
@click.option("--full-size", is_flag=True, help="Pictures: NAME.depth.png in the picture's size instead of the network's, bilinearly.")
@click.option("--every", type=int, metavar="N", help="Videos: every Nth frame only.")
@click.option("--max-frames", type=int, metavar="N", help="Videos: at most N frames.")
@click.option("--range", "span", metavar="NEAR,FAR", help="Videos: metres that the colours span, instead of following the scene smoothly.")
@click.option("--pointcloud", is_flag=True, help="Pictures: NAME.ply too; needs --fx --fy --cx --cy or --fov.")
@click.option("--fx", type=float, help="Focal length in pixels of the original picture; --fy too.")
@click.option("--fy", type=float)
@click.option("--cx", type=float, help="Principal point in pixels of the original picture; --cy too.")
@click.option("--cy", type=float)
@click.option("--fov", type=float, metavar="DEGREES", help="Horizontal field of view, instead of --fx --fy --cx --cy.")
@click.option("--skip-bad", is_flag=True, help="Pass over inputs that cannot be read or have no depth; they are counted and named.")
@click.option("--force", is_flag=True, help="Overwrite results.")
@json_option
def command(
    model: str,
    inputs: tuple[Path, ...],
    out: Path,
    backend: str,
    full_size: bool,
    every: int | None,
    max_frames: int | None,
    span: str | None,
    pointcloud: bool,
    skip_bad: bool,
    force: bool,
    json_out: str | None,
    **camera_options: float | None,
) -> None:
    """Depth of INPUTS, which are pictures, folders of pictures, and videos.

    A picture gives NAME.png, itself beside its depth in colours, and NAME.depth.png in 16-bit millimetres; with --pointcloud NAME.ply too
    (metres; x right, y down, z forward). A video gives NAME.mp4, itself beside its depth in colours, without sound; that needs the
    extra `video`.
    """
    from fcrn_mobile.data.inputs import expand, is_video
    from fcrn_mobile.report.predictions import check_results
    from fcrn_mobile.report.readable import look_at

    video_options = _video_options(every, max_frames, span)
    files = expand(inputs)
    kinds = {is_video(path) for path in files}
    _check_use(kinds, bool(video_options), pointcloud, full_size, any(value is not None for value in camera_options.values()))
    camera = _camera(camera_options) if pointcloud else None
    check_results(files, out, pointcloud, force)
    with progress("check") as on_file:
        readable = look_at(files, skip_bad, on_file)
    _check_sizes(readable, camera)
    from fcrn_mobile.runtimes import open_runtime

    runtime = open_runtime(model, backend)
    lens = _camera_of_training(runtime)
    video_options |= {"unit": _unit(lens)}
    picture_options: dict[str, Any] = {"camera": camera, "metric": lens is not None, "full_size": full_size}

    def predict(path: Path, on_frame: Callable[[int], None]) -> dict[str, Any]:
        if path in readable.videos:
            return _predict_video(runtime, readable.videos[path], out, video_options, on_frame)
        entry = _predict_image(runtime, path, out, **picture_options)
        on_frame(1)
        return entry

    frames = {path: readable.videos[path].expected(every or 1, max_frames) if path in readable.videos else 1 for path in readable.files}
    with _folder(out):
        written = _predict_all(readable, frames, predict, skip_bad)
    if json_out:
        about = {"model": runtime.name, "backend": runtime.backend, "metric": lens is not None, "camera": lens and vars(lens)}
        skipped = [{"input": str(path), "reason": reason} for path, reason in readable.skipped.items()]
        write_json(json_out, about | {"results": written} | ({"skipped": skipped} if skip_bad else {}))
    if json_out != "-":
        for path, entry in zip(readable.files, written, strict=True):
            _print(path, entry, runtime.backend, _unit(lens))
        if lens is None:
            print(f"depth of '{runtime.name}' is known up to a scale only: what is written as metres here has no unit")
        else:
            print(f"metres hold for {lens}; with another camera they are off by the ratio of the focal lengths")
    if readable.skipped:
        print(f"passed over {len(readable.skipped)} of {len(files)} inputs:", *readable.skipped.values(), sep="\n  ", file=sys.stderr)


def _predict_all(
    readable: "Readable", frames: dict[Path, int], predict: Callable[[Path, Callable[[int], None]], dict[str, Any]], skip_bad: bool
) -> list[dict[str, Any]]:
    """Entries of the results, in order; an input that turns out to have no depth is passed over with ``skip_bad``."""
    written, before, total = [], 0, sum(frames.values())
    with progress("predict") as on_unit:
        for path in tuple(readable.files):

            def on_frame(done: int, before: int = before) -> None:
                on_unit(before + done, max(before + done, total))

            try:
                written.append(predict(path, on_frame))
            except UnusableInputError as error:
                if not skip_bad:
                    raise
                readable.skip(path, str(error))
            before += frames[path]
    readable.check_any()
    return written


def _predict_image(runtime: "Runtime", path: Path, out: Path, camera: "Camera | None", metric: bool, full_size: bool) -> dict[str, Any]:
    from fcrn_mobile.data.images import read_image
    from fcrn_mobile.report.extent import Extent
    from fcrn_mobile.report.predictions import result_files, save_picture

    image = read_image(path)
    depth = runtime.predict(image)
    extent = Extent()
    extent.update(depth)
    extent.check(str(path), _overflow(runtime, image) if not extent.finite else "")
    files = result_files(path, out, camera is not None)
    points = save_picture(image, depth, files, camera.intrinsics(image.shape[:2]) if camera else None, metric, full_size)
    entry: dict[str, Any] = {"image": str(path), "picture": str(files[0]), "depth_mm": str(files[1])} | extent.facts()
    return entry | ({"pointcloud": str(files[2]), "points": points} if camera else {})


def _predict_video(
    runtime: "Runtime", video: "Video", out: Path, options: dict[str, Any], on_frame: Callable[[int], None]
) -> dict[str, Any]:
    from fcrn_mobile.report.predictions import result_files
    from fcrn_mobile.report.video import save_depth_video

    (path,) = result_files(video.path, out)
    result = save_depth_video(video, runtime.predict, path, **options, on_frame=on_frame)
    entry: dict[str, Any] = {"video": str(video.path), "picture": str(path), "frames": result.frames} | result.extent.facts()
    return entry | {"prediction_fps": result.prediction_fps, "fps": result.fps}


def _overflow(runtime: "Runtime", image: Any) -> str:
    """Where values ran over, in words, from a runtime that can tell."""
    from fcrn_mobile.runtimes.runtime import FindsOverflow

    first = runtime.first_overflow(image) if isinstance(runtime, FindsOverflow) else None
    return f", the first tensor to overflow is {first}" if first else ""


def _camera_of_training(runtime: "Runtime") -> "TrainingCamera | None":
    """What the metres hold for; None where depth is known up to scale only."""
    from fcrn_mobile.data.spec import training_camera
    from fcrn_mobile.package.metadata import Metadata

    written = Metadata.from_dict(runtime.metadata)
    return training_camera(written.training_data or "") if written.is_metric else None


def _unit(lens: "TrainingCamera | None") -> str:
    """What stands behind a depth."""
    return " m" if lens else ""


def _print(path: Path, entry: dict[str, Any], backend: str, unit: str) -> None:
    near, far = entry["metres"]
    reach = f"{near:.2f} to {far:.2f}{unit}"
    if "not_finite" in entry:
        reach += f", {100 * entry['not_finite']:.2g} % of pixels not finite"
    if "video" in entry:
        print(f"{path}: {entry['frames']} frames, {reach}  {entry['picture']}")
        print(f"  prediction {entry['prediction_fps']:.1f} FPS, end to end {entry['fps']:.1f} FPS ({backend}, measured on this machine)")
        return
    cloud = f"  {entry['pointcloud']} ({entry['points']} points)" if "pointcloud" in entry else ""
    print(f"{path}: {reach}  {entry['picture']}  {entry['depth_mm']}{cloud}")


def _video_options(every: int | None, max_frames: int | None, span: str | None) -> dict[str, Any]:
    """What the user gave, as ``save_depth_video`` takes it."""
    for name, value in (("--every", every), ("--max-frames", max_frames)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give at least 1")
    options = {"every": every, "limit": max_frames, "depth_range": None if span is None else _parse_range(span)}
    return {name: value for name, value in options.items() if value is not None}


def _parse_range(span: str) -> tuple[float, float]:
    try:
        near, far = (float(part) for part in span.split(","))
    except ValueError:
        near = far = 0.0
    if not 0 <= near < far < float("inf"):
        raise InputError(f"--range is '{span}': give NEAR,FAR in metres, such as 0.5,8")
    return near, far


def _camera(options: dict[str, float | None]) -> "Camera":
    from fcrn_mobile.report.pointcloud import Camera

    return Camera(**options)


def _check_use(kinds: set[bool], video_options: bool, pointcloud: bool, full_size: bool, camera_options: bool) -> None:
    """No option may be ignored silently; ``kinds`` says whether videos, and whether pictures, are among the inputs."""
    if video_options and True not in kinds:
        raise InputError("--every, --max-frames and --range are for videos, and none is among the inputs: leave them out")
    if pointcloud and True in kinds:
        raise InputError("--pointcloud is for pictures, and a video is among the inputs: leave one of them out")
    if full_size and False not in kinds:
        raise InputError("--full-size is for pictures, and none is among the inputs: leave it out")
    if camera_options and not pointcloud:
        raise InputError("--fx, --fy, --cx, --cy and --fov describe the camera of a point cloud: add --pointcloud")


def _check_sizes(readable: "Readable", camera: "Camera | None") -> None:
    """Intrinsics in pixels hold for pictures of one size."""
    by_size = {size: path for path, size in reversed(readable.sizes.items())}
    if camera is not None and camera.of_one_size and len(by_size) > 1:
        first, second = sorted(by_size.values(), key=readable.files.index)[:2]
        raise InputError(f"'{first}' and '{second}' differ in size, so --fx --fy --cx --cy cannot hold for both: predict them apart")


@contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The folder of ``--out``; where it is new and nothing came into it, a failure removes it."""
    new = not out.exists()
    make_folder(out)
    try:
        yield
    except BaseException:
        if new:
            with suppress(OSError):
                out.rmdir()
        raise
