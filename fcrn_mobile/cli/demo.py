"""``fcrn-mobile demo``."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, write_json
from fcrn_mobile.cli.latency_table import print_latency
from fcrn_mobile.cli.outputs import OutputFolder
from fcrn_mobile.cli.page import write_page
from fcrn_mobile.cli.validate import print_drift
from fcrn_mobile.whole_file import make_folder

if TYPE_CHECKING:
    from fcrn_mobile.data import Source
    from fcrn_mobile.latency.latency import Latency
    from fcrn_mobile.runtimes import Runtime

__all__ = ["BUDGETS", "NEXT", "SHOWN_FRAMES", "command"]

#: Frames of the sample that the picture shows.
SHOWN_FRAMES = (2, 9, 17)
#: Precision → fidelity that it is held to.
BUDGETS = {"fp16": "0.01", "int8": "0.05"}
#: What to do with one's own data.
NEXT = (
    "fcrn-mobile train --resume builtin --data folder:YOUR_RGBD --out runs/mine",
    "fcrn-mobile export runs/mine/best.safetensors --precision int8 --out mine.mlpackage",
    "fcrn-mobile validate runs/mine/best.safetensors mine.mlpackage --data folder:YOUR_RGBD#val --budget fidelity=0.05",
)
_FILES = (_PICTURE, _PAGE) = ("depth.png", "report.html")


@click.command("demo", cls=Command)
@click.option("--out", default="demo", show_default=True, type=OutputFolder(*_FILES), help="Folder for packages, picture and report.")
@click.option("--runs", default=20, show_default=True, help="Timed predictions per model.")
@json_option
def command(out: Path, runs: int, json_out: str | None) -> None:
    """Export the built-in network as fp16 and int8, run both packages, and show drift, FPS, a picture and a report."""
    from fcrn_mobile.data import open_source
    from fcrn_mobile.evaluation import metrics
    from fcrn_mobile.latency.reports import report
    from fcrn_mobile.network.forms import BUILTIN
    from fcrn_mobile.report.html import Page
    from fcrn_mobile.report.operators import operators
    from fcrn_mobile.report.scenes import show
    from fcrn_mobile.runtimes import open_runtime
    from fcrn_mobile.validation.drift import validate

    make_folder(out)
    packages = _export(out)
    source = open_source("sample")
    reference = open_runtime(BUILTIN)
    candidates = [open_runtime(str(package), "mil") for package in packages]
    with progress("validate") as on_frame:
        drift = validate(reference, candidates, source, metrics.protocol("eigen"), data="sample", on_frame=on_frame)
    latencies = _measure([(BUILTIN, "torch"), *((str(package), "mil") for package in packages)], runs)
    picture, page = out / _PICTURE, out / _PAGE
    _draw(source, reference, candidates, picture)
    with progress("operators") as on_image:
        ops = operators(source, BUILTIN, drift, on_image=on_image)
    write_page(Page(drift, show(source, reference, candidates, drift), tuple(latencies), ops=ops), page, force=True)
    if json_out:
        write_json(json_out, {"validation": drift, "benchmark": report(latencies), "picture": str(picture), "report": str(page)})
    if json_out != "-":
        print_drift(drift)
        print()
        print_latency(latencies)
        # Corrected on the sample, it could not be measured on the sample.
        print("\nfcrn-int8 is not corrected here: fcrn-mobile export --precision int8 does that, and drifts less")
        print(f"picture: {picture}\nreport:  {page}\nnext:")
        for words in NEXT:
            print(f"  {shlex.join(words.split())}")


def _export(out: Path) -> list[Path]:
    """The built-in network as fp16 and int8."""
    from fcrn_mobile.conversion.export import export
    from fcrn_mobile.conversion.recipe import Recipe
    from fcrn_mobile.network.checkpoints import load_checkpoint
    from fcrn_mobile.network.forms import BUILTIN

    checkpoint = load_checkpoint(BUILTIN)
    packages = []
    with progress("export") as step:
        for precision, fidelity in BUDGETS.items():
            recipe = Recipe(name=f"fcrn-{precision}", precision=precision, budget={"fidelity": fidelity})
            packages.append(out / f"{recipe.name}.mlpackage")
            export(checkpoint, recipe, packages[-1], force=True)
            step(len(packages), len(BUDGETS))
    return packages


def _measure(models: list[tuple[str, str]], runs: int) -> "list[Latency]":
    """Latency of models, each on a backend."""
    from fcrn_mobile.latency.latency import measure
    from fcrn_mobile.runtimes import open_runtime

    latencies = []
    with progress("bench") as step:
        for model, backend in models:
            latencies.append(measure(partial(open_runtime, model, backend, "float32"), runs))
            step(len(latencies), len(models))
    return latencies


def _draw(source: "Source", reference: "Runtime", candidates: "list[Runtime]", path: Path) -> None:
    import numpy as np

    from fcrn_mobile.report.figures import Row, save_comparison

    rows = []
    for index in SHOWN_FRAMES:
        sample = source[index]
        expected = reference.predict(sample.image)
        predictions = {candidate.name: candidate.predict(sample.image) for candidate in candidates}
        depths = {"true": sample.depth, "float": expected, **predictions}
        rows.append(Row(sample.image, depths, np.abs(predictions[candidates[-1].name] - expected)))
    save_comparison(rows, f"|{candidates[-1].name} − float|", path)
