"""``fcrn-mobile bench``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.common import json_option, print_table, progress, write_json
from fcrn_mobile.cli.page import check_page, html_options, write_page
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fcrn_mobile.benchmark.compare import Comparison
    from fcrn_mobile.benchmark.latency import Latency
    from fcrn_mobile.benchmark.plan import Subject


#: Of a table whose lines are ``latency_row``'s.
LATENCY_COLUMNS = ["model", "median ms", "mean", "p90", "p95", "p99", "min", "max", "FPS", "load ms", "first ms", "peak MB", "runs"]


@click.command("bench")
@click.argument("models", nargs=-1, required=True)
@click.option(
    "--backend",
    "backends",
    default=("auto",),
    show_default="auto",
    multiple=True,
    help="torch, torch-compiled, torch-literal, onnxruntime, openvino, mil, coreml or coreai; repeat it to measure several.",
)
@click.option("--arithmetic", default="float32", show_default=True, metavar="float32|float16|ane", help="Of the mil backend.")
@click.option("--compute-units", "units", multiple=True, metavar="UNITS", help="Of the coreml backend (macOS); default: each in turn.")
@click.option("--device", metavar="NAME", help="A connected iPhone or iPad (macOS, coreml backend); 'any': the only one.")
@click.option("--team", default="", metavar="ID", help="Developer team that signs what --device runs.")
@click.option("--runs", default=30, show_default=True, help="Timed predictions per model.")
@click.option("--threads", type=int, metavar="N", help="Threads of a prediction; default: the backend's choice.")
@click.option("--end-to-end", is_flag=True, help="Also time from a JPEG in memory to a coloured depth map.")
@click.option("--compare", "compared", is_flag=True, help="Take two in turns and say whether one is faster.")
@click.option("--import", "imported", is_flag=True, help="MODELS are reports of the iOS app or of --json: show them side by side.")
@click.option("--figure", type=click.Path(path_type=Path), metavar="FILE", help="With --import: draw latency over time (.png, .svg, .pdf).")
@html_options
@json_option
def command(
    models: tuple[str, ...],
    backends: tuple[str, ...],
    arithmetic: str,
    units: tuple[str, ...],
    device: str | None,
    team: str,
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
    check_page(html, force)
    if imported:
        from fcrn_mobile.cli.bench_import import show

        show([Path(model) for model in models], figure, html, force, json_out)
        return
    if figure:
        raise InputError(f"--figure '{figure}' draws what --import reads: add --import, or use --html")
    from datetime import UTC, datetime

    from fcrn_mobile.benchmark.latency import report
    from fcrn_mobile.benchmark.plan import check, subjects

    chosen = subjects(models, backends, arithmetic, threads, units, device)
    check(chosen, runs, threads, compared, device is not None and (compared or end_to_end))
    began = datetime.now(UTC)
    comparison = None
    if compared:
        results, comparison = _compare(chosen, runs, end_to_end)
    else:
        results = _measure(chosen, runs, end_to_end, device, team)
    if html:
        from fcrn_mobile.report.html import Page

        notes = [*([comparison.sentence] if comparison else []), *(note for result in results for note in result.warnings())]
        write_page(Page(latencies=tuple(results), notes=tuple(notes)), html, force)
    if json_out:
        write_json(json_out, report(results, began, threads, comparison.to_json() if comparison else None))
    if json_out != "-":
        print_latency(results, threads)
        if comparison:
            print(comparison.sentence)
        if html:
            print(f"written: {html}")


def print_latency(results: "Sequence[Latency]", threads: int | None = None) -> None:
    """The table of latencies, what makes them doubtful, and the machine they were measured on."""
    from fcrn_mobile.benchmark.latency import machine

    print_table("Latency on this machine", LATENCY_COLUMNS, [latency_row(result) for result in results])
    for result in results:
        if result.stages_ms:
            print(f"{result.label}: " + ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.stages_ms.items()))
        if result.preferred_units:
            planned = ", ".join(f"{unit} {count}" for unit, count in result.preferred_units.items())
            print(f"{result.label}: operators by Core ML's plan: {planned}")
    for warning in (warning for result in results for warning in result.warnings()):
        print(f"warning: {warning}")
    facts = machine(threads)
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, load {facts['load_1min']:.1f}")
    if not any(result.backend == "coreml" for result in results):
        print("measured here, not on a device: the Neural Engine is not involved")


def latency_row(result: "Latency") -> list[str]:
    """A line of the table."""
    r = result
    times = [f"{ms:.1f}" for ms in (r.median_ms, r.mean_ms, r.p90_ms, r.p95_ms, r.p99_ms, r.min_ms, r.max_ms)]
    first = "" if r.first_predict_ms is None else f"{r.first_predict_ms:.0f}"
    memory = "" if r.peak_memory_bytes is None else f"{r.peak_memory_bytes / 1e6:.0f}"
    return [r.label, *times, f"{r.fps:.1f}", f"{r.load_ms:.0f}", first, memory, str(len(r.samples_ms))]


def _measure(chosen: "Sequence[Subject]", runs: int, end_to_end: bool, device: str | None, team: str) -> "list[Latency]":
    from fcrn_mobile.benchmark.apple import benchmark
    from fcrn_mobile.benchmark.latency import measure

    packages = [(Path(subject.model), subject.compute_units) for subject in chosen if subject.backend == "coreml"]
    results = benchmark(packages, runs, device, team) if packages else []
    jobs = [(subject, whole) for subject in chosen for whole in ((False, True) if end_to_end else (False,))]
    with progress("bench") as on_model:
        for index, (subject, whole) in enumerate(jobs):
            if whole or subject.backend != "coreml":
                results.append(measure(subject.opener(), runs, whole))
            on_model(index + 1, len(jobs))
    return results


def _compare(chosen: "Sequence[Subject]", runs: int, end_to_end: bool) -> "tuple[list[Latency], Comparison]":
    from fcrn_mobile.benchmark.compare import compare

    first, second = (subject.opener() for subject in chosen)
    with progress("compare") as on_pair:
        a, b, comparison = compare(first, second, runs, end_to_end, on_pair)
    return [a, b], comparison
