"""``fcrn-mobile bench``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.command import Command
from fcrn_mobile.cli.common import json_option, progress, size_option, write_json
from fcrn_mobile.cli.latency_table import print_latency
from fcrn_mobile.cli.model_config import model_config_option, model_configs
from fcrn_mobile.cli.outputs import PICTURES, OutputFile
from fcrn_mobile.cli.page import html_options, write_page
from fcrn_mobile.cli.traits import arithmetic_options
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes.backends import BACKENDS
from fcrn_mobile.text import enumerated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fcrn_mobile.latency.latency import Latency
    from fcrn_mobile.latency.plan import Subject
    from fcrn_mobile.latency.turns import Comparison
    from fcrn_mobile.mil.arithmetic import Arithmetic

__all__ = ["command"]


@click.command("bench", cls=Command)
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--backend",
    "backends",
    default=("auto",),
    multiple=True,
    metavar="NAME",
    help=f"What runs MODELS: {enumerated(list(BACKENDS), 'or')}; repeat it to measure several.  [default: auto]",
)
@arithmetic_options("float32", "the mil backend")
@model_config_option(several=True)
@click.option("--compute-units", "units", multiple=True, metavar="UNITS", help="Of the coreml backend (macOS); default: each in turn.")
@click.option("--device", metavar="NAME", help="A connected iPhone or iPad (macOS, coreml backend); 'any': the only one.")
@click.option("--team", default="", metavar="ID", help="Developer team that signs what --device runs.")
@size_option
@click.option("--runs", default=30, show_default=True, help="Timed predictions per model.")
@click.option("--threads", type=int, metavar="N", help="Threads of a prediction; default: the backend's choice.")
@click.option("--end-to-end", is_flag=True, help="Also time from a JPEG in memory to a coloured depth map.")
@click.option("--compare", "compared", is_flag=True, help="Take two in turns and say whether one is faster.")
@click.option("--import", "imported", is_flag=True, help="MODELS are reports of the iOS app or of --json: show them side by side.")
@click.option("--figure", type=OutputFile(*PICTURES), metavar="FILE", help="With --import: draw latency over time (.png, .svg, .pdf).")
@html_options
@json_option
def command(
    models: tuple[str, ...],
    backends: tuple[str, ...],
    arithmetic: "Arithmetic",
    model_config: tuple[str, ...],
    units: tuple[str, ...],
    device: str | None,
    team: str,
    size: tuple[int, int] | None,
    runs: int,
    threads: int | None,
    end_to_end: bool,
    compared: bool,
    imported: bool,
    figure: Path | None,
    html: Path | None,
    force: bool,
    json_out: str | None,
) -> None:
    """Latency and FPS of MODELS on this machine, one image at a time, each in a process of its own."""
    if imported:
        from fcrn_mobile.cli.bench_import import show

        show([Path(model) for model in models], figure, html, force, json_out)
        return
    if figure:
        raise InputError(f"--figure '{figure}' draws what --import reads: add --import, or use --html")
    from datetime import UTC, datetime

    from fcrn_mobile.latency.plan import check, subjects
    from fcrn_mobile.latency.reports import report

    plan = subjects(models, backends, arithmetic, threads, units, device, model_configs(models, model_config), size)
    check(plan, runs, threads, compared, device is not None and (compared or end_to_end))
    began = datetime.now(UTC)
    results, comparison = _compare(plan, runs, end_to_end) if compared else (_measure(plan, runs, end_to_end, device, team), None)
    if html:
        from fcrn_mobile.report.html import Page

        write_page(Page(latencies=tuple(results), notes=(comparison.sentence,) if comparison else ()), html, force)
    if json_out:
        write_json(json_out, report(results, began, threads, comparison))
    if json_out != "-":
        print_latency(results, threads)
        if comparison:
            print(comparison.sentence)
        if html:
            print(f"written: {html}")


def _measure(plan: "Sequence[Subject]", runs: int, end_to_end: bool, device: str | None, team: str) -> "list[Latency]":
    from fcrn_mobile.latency.apple import benchmark
    from fcrn_mobile.latency.latency import measure

    packages = [(Path(subject.model), subject.compute_units) for subject in plan if subject.runs_on.on_device]
    results = benchmark(packages, runs, device, team) if packages else []
    jobs = [(subject, whole) for subject in plan for whole in ((False, True) if end_to_end else (False,))]
    with progress("bench") as on_model:
        for index, (subject, whole) in enumerate(jobs):
            if whole or not subject.runs_on.on_device:
                results.append(measure(subject.opener(), runs, whole))
            on_model(index + 1, len(jobs))
    return results


def _compare(plan: "Sequence[Subject]", runs: int, end_to_end: bool) -> "tuple[list[Latency], Comparison]":
    from fcrn_mobile.latency.turns import take_turns

    first, second = (subject.opener() for subject in plan)
    with progress("compare") as on_pair:
        a, b, comparison = take_turns(first, second, runs, end_to_end, on_pair)
    return [a, b], comparison
