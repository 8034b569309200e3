"""``fcrn-mobile data``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, print_table, progress, write_json
from fcrn_mobile.cli.outputs import OutputFile
from fcrn_mobile.text import counted
from fcrn_mobile.whole_file import written_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from fcrn_mobile.data import Source
    from fcrn_mobile.evaluation.survey import Survey
    from fcrn_mobile.runtimes import Runtime

__all__ = ["command"]


@click.command("data", cls=Command)
@click.argument("spec")
@click.option("--model", default="builtin", show_default=True, help="Whose depth is held beside the true one, to see wrong units.")
@click.option("--frames", default=200, show_default=True, type=click.IntRange(min=1), help="To look at, spread evenly.")
@click.option("--predictions", default=16, show_default=True, type=click.IntRange(min=0), help="Of these, how many MODEL sees.")
@click.option("--sheet", type=OutputFile(".png"), metavar="FILE.png", help="Draw eight frames and their depth.")
@click.option("--force", is_flag=True, help="Overwrite the file of --sheet.")
@json_option
def command(spec: str, model: str, frames: int, predictions: int, sheet: Path | None, force: bool, json_out: str | None) -> None:
    """What SPEC holds: frames, what is left out, sizes, range of depth, and whether its unit is likely."""
    from fcrn_mobile.data.source import evenly
    from fcrn_mobile.data.spec import open_images, without_depth
    from fcrn_mobile.evaluation.survey import survey
    from fcrn_mobile.once import collected
    from fcrn_mobile.runtimes import open_runtime

    with collected() as left_out:
        source = open_images(spec)
    runtime = open_runtime(model, arithmetic="float32") if predictions and not without_depth(spec) else None
    with progress("frames") as on_frame:
        result = survey(source, evenly(len(source), frames), spec, _metres(runtime, source) if runtime else None, predictions, on_frame)
    if sheet:
        from fcrn_mobile.report.contact_sheet import save_contact_sheet

        names = [index for index in evenly(len(source), frames) if source.names[index] not in result.bad]
        with written_whole(sheet, force) as file:
            save_contact_sheet([source[names[place]] for place in evenly(len(names), 8)], file)
    if json_out:
        write_json(json_out, {"data": spec, "model": model if runtime else None, "left_out": left_out, "survey": result})
    if json_out != "-":
        _print(result, spec, model)
        for line in left_out:
            print(f"warning: {line}")
        if sheet:
            print(f"written: {sheet}")


def _metres(runtime: "Runtime", source: "Source") -> "Callable[[NDArray[np.uint8]], NDArray[np.float32]]":
    """Depth in metres for the camera of the source."""
    from fcrn_mobile.errors import InputError
    from fcrn_mobile.evaluation.focus import focus_on

    if not runtime.contract.is_metric:
        remedy = "give another --model, or --predictions 0"
        raise InputError(f"the depth of '{runtime.name}' is not in metres, so it tells nothing of units: {remedy}")
    focus = focus_on(runtime, source)
    return lambda image: focus(runtime.predict(image), image.shape[:2])


def _print(result: "Survey", spec: str, model: str) -> None:
    from fcrn_mobile.evaluation.survey import EDGES

    sizes = ", ".join(f"{size} ({count})" for size, count in result.sizes.items())
    print(f"{spec}: {counted(result.frames, 'frame')}, {result.read} looked at; height × width {sizes}")
    if result.with_depth:
        print(f"depth in {result.with_depth} of them, {result.valid:.1%} of their pixels")
        print(f"nearest {result.nearest:.3g} m, median {result.median:.3g} m, farthest {result.farthest:.3g} m")
        parts = zip(EDGES, EDGES[1:], result.histogram, strict=False)
        print_table("", ["metres", "pixels"], [[f"{low:g} to {high:g}", f"{share:.1%}"] for low, high, share in parts])
    if result.ratio is not None:
        print(f"median of {model} / median of the true depth: {result.ratio:.3g}")
    for name, problem in result.bad.items():
        print(f"not readable: {name}: {problem}")
    for note in result.notes:
        print(f"warning: {note}")
