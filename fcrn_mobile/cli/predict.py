"""``fcrn-mobile predict``."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import backend_option, json_option, progress, write_json
from fcrn_mobile.cli.model_config import model_config_option
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.depth_contract import IN_UNITS
from fcrn_mobile.errors import InputError, UnusableInputError
from fcrn_mobile.text import counted
from fcrn_mobile.whole_file import make_folder

if TYPE_CHECKING:
    from fcrn_mobile.data.cameras import TrainingCamera
    from fcrn_mobile.evaluation.tape import Mark
    from fcrn_mobile.report.extent import Extent
    from fcrn_mobile.report.pointcloud import Camera
    from fcrn_mobile.report.predictions import DepthWriter, PictureResult, VideoResult
    from fcrn_mobile.report.readable import Readable
    from fcrn_mobile.runtimes import Runtime

__all__ = ["command"]


@click.command("predict", cls=Command)
@click.argument("model")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=OutputFolder(), help="Folder for the results.")
@backend_option("MODEL")
@model_config_option()
@click.option("--full-size", is_flag=True, help="Pictures: NAME.depth.png in the picture's size instead of the network's, bilinearly.")
@click.option("--every", type=int, metavar="N", help="Videos: every Nth frame only.")
@click.option("--max-frames", type=int, metavar="N", help="Videos: at most N frames.")
@click.option("--range", "span", metavar="NEAR,FAR", help="Videos: metres that the colours span, instead of following the scene smoothly.")
@click.option("--pointcloud", is_flag=True, help="Pictures: NAME.ply too; needs --fx --fy --cx --cy or --fov.")
@click.option("--fx", type=float, help="Focal length in pixels of the original: metres become its camera's. Without it, EXIF's counts.")
@click.option("--fy", type=float, help="The same downwards, for --pointcloud.")
@click.option("--cx", type=float, help="Principal point in pixels of the original picture; --cy too.")
@click.option("--cy", type=float, help="The same downwards.")
@click.option(
    "--scale-from",
    "tape",
    multiple=True,
    metavar="X,Y=DISTANCE",
    help="Distance at a pixel of the first picture, such as 320,240=2.35m: scale, with several scale and shift, of all depth.",
)
@click.option("--fov", type=float, metavar="DEGREES", help="Horizontal field of view, instead of --fx --fy --cx --cy.")
@click.option("--skip-bad", is_flag=True, help="Pass over inputs that cannot be read or have no depth; they are counted and named.")
@click.option("--force", is_flag=True, help="Overwrite results.")
@json_option
def command(
    model: str,
    inputs: tuple[Path, ...],
    out: Path,
    backend: str,
    model_config: Path | None,
    full_size: bool,
    every: int | None,
    max_frames: int | None,
    span: str | None,
    pointcloud: bool,
    tape: tuple[str, ...],
    skip_bad: bool,
    force: bool,
    json_out: str | None,
    **camera_options: float | None,
) -> None:
    """Depth of INPUTS, which are pictures, folders of pictures, and videos.

    A picture gives NAME.png, itself beside its depth in colours, and NAME.depth.png: 16-bit millimetres, of inverse depth 1 to 65535 from
    its smallest value to its largest; with --pointcloud NAME.ply too (metres; x right, y down, z forward). A video gives NAME.mp4, itself
    beside its depth in colours, without sound; that needs the extra `video`.
    """
    from fcrn_mobile.data.inputs import expand, is_video
    from fcrn_mobile.report.predictions import DepthWriter, check_results
    from fcrn_mobile.report.readable import look_at

    depth_range = _check_video_options(every, max_frames, span)
    files, fx = expand(inputs), camera_options["fx"]
    _check_use({is_video(path) for path in files}, {every, max_frames, span} != {None}, pointcloud, full_size, camera_options)
    marks = _marks(tape, files[0], fx is not None and not pointcloud)
    camera = _camera(camera_options) if pointcloud else None
    check_results(files, out, pointcloud, force)
    with progress("check") as on_file:
        readable = look_at(files, skip_bad, on_file)
    _check_sizes(readable, fx is not None)
    depth_only = {} if marks else {"--pointcloud": pointcloud, "--range": span is not None}
    runtime = _open(model, backend, model_config, depth_only)
    lens = _lens(runtime, fx is not None and not pointcloud and not marks)
    writer = _marked(DepthWriter(runtime, out, lens, camera, fx, full_size, None, every or 1, max_frames, depth_range), files, marks)
    with _folder(out):
        results = _predict_all(writer, readable, skip_bad)
    if json_out:
        skipped = [{"input": str(path), "reason": reason} for path, reason in readable.skipped.items()]
        write_json(json_out, _about(writer) | {"results": results} | ({"skipped": skipped} if skip_bad else {}))
    if json_out != "-":
        _print(writer, readable, results)
        print(_metres_in_a_package(writer, model, model_config), end="")
    if readable.skipped:
        print(f"passed over {len(readable.skipped)} of {len(files)} inputs:", *readable.skipped.values(), sep="\n  ", file=sys.stderr)


def _about(writer: "DepthWriter") -> dict[str, object]:
    """The model, as JSON has it."""
    runtime, lens = writer.runtime, writer.lens
    about = {"model": runtime.name, "backend": runtime.backend, "metric": writer.is_metric, "camera": None if writer.scale else lens}
    return about | ({"scale": writer.scale} if writer.scale else {})


def _predict_all(writer: "DepthWriter", readable: "Readable", skip_bad: bool) -> "list[PictureResult | VideoResult]":
    """Results in order; an input that turns out to have no depth is passed over with ``skip_bad``."""
    videos = readable.videos
    frames = {path: videos[path].expected(writer.every, writer.limit) if path in videos else 1 for path in readable.files}
    results: list[PictureResult | VideoResult] = []
    before, total = 0, sum(frames.values())
    with progress("predict") as on_unit:
        for path in tuple(readable.files):

            def on_frame(done: int, before: int = before) -> None:
                on_unit(before + done, max(before + done, total))

            try:
                results.append(writer.video(videos[path], on_frame) if path in videos else writer.picture(path))
            except UnusableInputError as error:
                if not skip_bad:
                    raise
                readable.skip(path, str(error))
            else:
                on_frame(frames[path])
            before += frames[path]
    readable.check_any()
    return results


def _print(writer: "DepthWriter", readable: "Readable", results: "list[PictureResult | VideoResult]") -> None:
    from fcrn_mobile.report.predictions import PictureResult

    for path, result in zip(readable.files, results, strict=True):
        if isinstance(result, PictureResult):
            cloud = f"  {result.files[2]} ({result.points} points)" if result.points is not None else ""
            print(f"{path}: {_reach(result.extent, writer.unit)}  {result.files[0]}  {result.files[1]}{cloud}")
        else:
            written, backend = result.written, writer.runtime.backend
            print(f"{path}: {counted(written.frames, 'frame')}, {_reach(written.extent, writer.unit)}  {result.file}")
            print(f"  prediction {written.prediction_fps:.1f} FPS, end to end {written.fps:.1f} FPS ({backend}, measured on this machine)")
        if note := str(result.focus):
            print(indent(note, "  "))
    scaled = [result.focus.to_json() != {} for result in results]
    if writer.scale:
        print(f"{writer.scale}, by the distances of --scale-from")
    elif writer.inverse:
        print(f"'{writer.runtime.name}' gives {writer.runtime.contract.units}: bright is near, numbers have no unit")
        print("NAME.depth.png holds it from its smallest value (1) to its largest (65535), 0 where there is none")
    elif writer.lens is None:
        print(f"depth of '{writer.runtime.name}' is known {IN_UNITS['scale']} only: what is written as metres here has no unit")
    elif all(scaled):
        print("metres hold for the camera of each input, by its focal length")
    else:
        where = "where no focal length is known, " if any(scaled) else ""
        print(f"{where}metres hold for {writer.lens}; with another camera they are off by the ratio of the focal lengths")


def _metres_in_a_package(writer: "DepthWriter", model: str, model_config: Path | None) -> str:
    """The command that exports a float network so that it gives metres; of an artefact, whose network is elsewhere, what to give it.

    Empty where no scale was measured, or none that a package can hold.
    """
    from fcrn_mobile.cli.networks import named_network
    from fcrn_mobile.network.forms import form_of

    if not writer.scale or writer.scale.inverse or writer.scale.shift:
        return ""
    scale = f"{writer.scale.scale:.6g}"
    if form_of(model) is None:
        return f"for metres in a package, export the network that '{model}' was made of with --scale {scale}\n"
    network = named_network(model, None, model_config, None)
    words = ["fcrn-mobile", "export", network, "--scale", scale, "--out", f"{writer.runtime.name}-metres.mlpackage"]
    return f"for metres in a package:\nnext: {shlex.join(words)}\n"


def _reach(extent: "Extent", unit: str) -> str:
    lost = f", {100 * extent.not_finite:.2g} % of pixels not finite" if extent.finite < extent.pixels else ""
    return f"{extent.near:.2f} to {extent.far:.2f}{unit}{lost}"


def _check_video_options(every: int | None, max_frames: int | None, span: str | None) -> tuple[float, float] | None:
    """The metres that ``--range`` names."""
    for name, value in (("--every", every), ("--max-frames", max_frames)):
        if value is not None and value < 1:
            raise InputError(f"{name} is {value}: give at least 1")
    return None if span is None else _parse_range(span)


def _parse_range(span: str) -> tuple[float, float]:
    try:
        near, far = (float(part) for part in span.split(","))
    except ValueError:
        near = far = 0.0
    if not 0 <= near < far < float("inf"):
        raise InputError(f"--range is '{span}': give NEAR,FAR in metres, such as 0.5,8")
    return near, far


def _marks(tape: tuple[str, ...], first: Path, rescales: bool) -> "list[Mark]":
    """What ``--scale-from`` says; distances are of a picture, and say all there is to say of its camera."""
    from fcrn_mobile.data.inputs import is_video
    from fcrn_mobile.evaluation.tape import parse_mark

    marks = [parse_mark(text) for text in tape]
    if marks and is_video(first):
        raise InputError(f"--scale-from is of pixels of the first input, and '{first}' is a video: name a picture first")
    if marks and rescales:
        raise InputError("--scale-from gives metres whatever the camera, so that --fx has nothing to do: leave one of them out")
    return marks


def _marked(writer: "DepthWriter", files: "list[Path]", marks: "list[Mark]") -> "DepthWriter":
    """With the scale of distances, where there are any; of inverse depth it holds for one picture."""
    if marks and len(files) > 1 and writer.inverse:
        raise InputError(
            f"inverse depth of '{writer.runtime.name}' has another scale in each picture, and --scale-from is of '{files[0]}' alone: "
            "predict each picture with distances of its own"
        )
    return writer.marked(files[0], marks) if marks else writer


def _camera(options: dict[str, float | None]) -> "Camera":
    from fcrn_mobile.report.pointcloud import Camera

    return Camera(**options)


def _lens(runtime: "Runtime", rescales: bool) -> "TrainingCamera | None":
    """What the metres hold for; with ``rescales``, it has to be known."""
    from fcrn_mobile.evaluation.focus import model_camera

    lens = model_camera(runtime)
    if rescales and not (lens and lens.relative_focal):
        raise InputError(f"--fx has nothing to do: '{runtime.name}' does not say the focal length that its metres hold for; leave --fx out")
    return lens


def _open(model: str, backend: str, model_config: Path | None, options: dict[str, bool]) -> "Runtime":
    """The model; those of the options that are used need depth, which inverse depth up to scale and shift is not."""
    from fcrn_mobile.runtimes import open_runtime

    runtime = open_runtime(model, backend, model_config=model_config)
    for option, is_used in options.items():
        if is_used and runtime.contract.depth == "inverse":
            raise InputError(f"{option} needs depth, '{runtime.name}' gives {runtime.contract.units}: leave {option} out")
    return runtime


def _check_use(kinds: set[bool], video_options: bool, pointcloud: bool, full_size: bool, camera: dict[str, float | None]) -> None:
    """No option may be ignored silently; ``kinds`` says whether videos, and whether pictures, are among the inputs."""
    if video_options and True not in kinds:
        raise InputError("--every, --max-frames and --range are for videos, and none is among the inputs: leave them out")
    if pointcloud and True in kinds:
        raise InputError("--pointcloud is for pictures, and a video is among the inputs: leave one of them out")
    if full_size and False not in kinds:
        raise InputError("--full-size is for pictures, and none is among the inputs: leave it out")
    if any(value is not None for name, value in camera.items() if name != "fx") and not pointcloud:
        raise InputError("--fy, --cx, --cy and --fov describe the camera of a point cloud: add --pointcloud")
    fx = camera["fx"]
    if fx is not None and not 0 < fx < float("inf"):
        raise InputError(f"--fx is {fx:g}: give pixels of the original image, a positive focal length")


def _check_sizes(readable: "Readable", of_one_size: bool) -> None:
    """Intrinsics in pixels hold for inputs of one size."""
    sizes = readable.sizes | {path: video.size for path, video in readable.videos.items()}
    by_size = {size: path for path, size in reversed(sizes.items())}
    if of_one_size and len(by_size) > 1:
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
