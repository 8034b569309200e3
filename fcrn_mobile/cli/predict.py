"""``fcrn-mobile predict``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, make_folder, progress, write_json
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.data.video import Video
    from fcrn_mobile.report.pointcloud import Camera
    from fcrn_mobile.runtimes import Runtime


@click.command("predict", cls=Command)
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=OutputFolder(), help="Folder for the results.")
@click.option("--backend", default="auto", show_default=True)
@click.option("--every", type=int, metavar="N", help="Videos: every Nth frame only.")
@click.option("--max-frames", type=int, metavar="N", help="Videos: at most N frames.")
@click.option("--range", "span", metavar="NEAR,FAR", help="Videos: metres that the colours span, instead of following the scene smoothly.")
@click.option("--pointcloud", is_flag=True, help="Pictures: NAME.ply too; needs --fx --fy --cx --cy or --fov.")
@click.option("--fx", type=float, help="Focal length in pixels of the original picture; --fy too.")
@click.option("--fy", type=float)
@click.option("--cx", type=float, help="Principal point in pixels of the original picture; --cy too.")
@click.option("--cy", type=float)
@click.option("--fov", type=float, metavar="DEGREES", help="Horizontal field of view, instead of --fx --fy --cx --cy.")
@json_option
def command(
    model: str,
    inputs: tuple[Path, ...],
    out: Path,
    backend: str,
    every: int | None,
    max_frames: int | None,
    span: str | None,
    pointcloud: bool,
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

    video_options = _video_options(every, max_frames, span)
    files = expand(inputs)
    _check_use(any(map(is_video, files)), bool(video_options), pointcloud, any(value is not None for value in camera_options.values()))
    camera = _camera(camera_options) if pointcloud else None
    check_results(files, out, pointcloud)
    videos = _check_files(files, camera)
    from fcrn_mobile.runtimes import open_runtime
    from fcrn_mobile.runtimes.runtime import is_metric

    runtime = open_runtime(model, backend)
    metric = is_metric(runtime)
    units = {path: videos[path].expected(every or 1, max_frames) if path in videos else 1 for path in files}
    written, before = [], 0
    with _folder(out), progress("predict") as on_unit:
        for path in files:

            def on_frame(done: int, before: int = before) -> None:
                on_unit(before + done, max(before + done, sum(units.values())))

            if path in videos:
                written.append(_predict_video(runtime, videos[path], out, video_options | {"unit": " m" if metric else ""}, on_frame))
            else:
                written.append(_predict_image(runtime, path, out, camera, metric))
                on_frame(1)
            before += units[path]
    if json_out:
        write_json(json_out, {"model": runtime.name, "backend": runtime.backend, "metric": metric, "results": written})
    if json_out != "-":
        for path, entry in zip(files, written, strict=True):
            _print(path, entry, runtime.backend, " m" if metric else "")
        if not metric:
            print(f"depth of '{runtime.name}' is known up to a scale only: what is written as metres here has no unit")


def _predict_image(runtime: "Runtime", path: Path, out: Path, camera: "Camera | None", metric: bool) -> dict[str, Any]:
    from fcrn_mobile.data.images import read_image
    from fcrn_mobile.report.predictions import result_files, save_picture

    image = read_image(path)
    depth = runtime.predict(image)
    files = result_files(path, out, camera is not None)
    points = save_picture(image, depth, files, camera.intrinsics(image.shape[:2]) if camera else None, metric)
    entry = {
        "image": str(path),
        "picture": str(files[0]),
        "depth_mm": str(files[1]),
        "metres": [float(depth.min()), float(depth.max())],
    }
    return entry | ({"pointcloud": str(files[2]), "points": points} if camera else {})


def _predict_video(
    runtime: "Runtime", video: "Video", out: Path, options: dict[str, Any], on_frame: Callable[[int], None]
) -> dict[str, Any]:
    from fcrn_mobile.report.predictions import result_files
    from fcrn_mobile.report.video import save_depth_video

    (path,) = result_files(video.path, out)
    result = save_depth_video(video, runtime.predict, path, **options, on_frame=on_frame)
    return {
        "video": str(video.path),
        "picture": str(path),
        "frames": result.frames,
        "metres": list(result.metres),
        "prediction_fps": result.prediction_fps,
        "fps": result.fps,
    }


def _print(path: Path, entry: dict[str, Any], backend: str, unit: str) -> None:
    near, far = entry["metres"]
    if "video" in entry:
        print(f"{path}: {entry['frames']} frames, {near:.2f} to {far:.2f}{unit}  {entry['picture']}")
        print(f"  prediction {entry['prediction_fps']:.1f} FPS, end to end {entry['fps']:.1f} FPS ({backend}, measured on this machine)")
        return
    cloud = f"  {entry['pointcloud']} ({entry['points']} points)" if "pointcloud" in entry else ""
    print(f"{path}: {near:.2f} to {far:.2f}{unit}  {entry['picture']}  {entry['depth_mm']}{cloud}")


def _video_options(every: int | None, max_frames: int | None, span: str | None) -> dict[str, Any]:
    """What the user gave, as ``save_depth_video`` takes it."""
    for name, value in (("--every", every), ("--max-frames", max_frames)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give at least 1")
    given = {"every": every, "limit": max_frames, "depth_range": None if span is None else _parse_range(span)}
    return {name: value for name, value in given.items() if value is not None}


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


def _check_use(with_video: bool, video_options: bool, pointcloud: bool, camera_options: bool) -> None:
    """No option may be ignored silently."""
    if video_options and not with_video:
        raise InputError("--every, --max-frames and --range are for videos, and none is among the inputs: leave them out")
    if pointcloud and with_video:
        raise InputError("--pointcloud is for pictures, and a video is among the inputs: leave one of them out")
    if camera_options and not pointcloud:
        raise InputError("--fx, --fy, --cx, --cy and --fov describe the camera of a point cloud: add --pointcloud")


def _check_files(files: list[Path], camera: "Camera | None") -> dict[Path, "Video"]:
    """Decode every picture, and the first frame of every video, before anything is written; pictures are not kept.

    Returns:
        The videos among them.
    """
    from fcrn_mobile.data.images import read_image
    from fcrn_mobile.data.inputs import is_video
    from fcrn_mobile.data.video import open_video

    videos: dict[Path, Video] = {}
    sizes: dict[tuple[int, ...], Path] = {}
    with progress("check") as on_file:
        for index, path in enumerate(files):
            if is_video(path):
                videos[path] = open_video(path)
            else:
                sizes.setdefault(read_image(path).shape, path)
            on_file(index + 1, len(files))
    if camera is not None and camera.of_one_size and len(sizes) > 1:
        first, second = list(sizes.values())[:2]
        raise InputError(f"'{first}' and '{second}' differ in size, so --fx --fy --cx --cy cannot hold for both: predict them apart")
    return videos


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
