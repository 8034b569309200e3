"""``fcrn-mobile bench``."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcrn_mobile.cli.common import json_option, print_table, progress, write_json
from fcrn_mobile.cli.page import check_page, html_options, write_page
from fcrn_mobile.errors import InputError

if TYPE_CHECKING:
    from fcrn_mobile.benchmark.latency import Latency


@click.command("bench")
@click.argument("models", nargs=-1, required=True)
@click.option("--backend", default="auto", show_default=True)
@click.option("--arithmetic", default="float32", show_default=True, metavar="float32|float16|ane", help="Of the mil backend.")
@click.option("--runs", default=30, show_default=True, help="Timed predictions per model.")
@html_options
@json_option
def command(
    models: tuple[str, ...], backend: str, arithmetic: str, runs: int, html: Path | None, force: bool, json_out: str | None
) -> None:
    """Latency and FPS of MODELS on this machine, one image at a time."""
    if runs < 1:
        raise InputError(f"--runs is {runs}: give at least 1")
    check_page(html, force)
    from fcrn_mobile.benchmark.latency import measure, report
    from fcrn_mobile.runtimes import open_runtime

    results = []
    with progress("bench") as on_model:
        for index, model in enumerate(models):
            results.append(measure(partial(open_runtime, model, backend, arithmetic), runs))  # type: ignore[arg-type] # checked when opened
            on_model(index + 1, len(models))
    if html:
        from fcrn_mobile.report.html import Page

        write_page(Page(latencies=tuple(results)), html, force)
    if json_out:
        write_json(json_out, report(results))
    if json_out != "-":
        print_latency(results)
        if html:
            print(f"written: {html}")


def print_latency(results: "list[Latency]") -> None:
    """The table of latencies and the machine they were measured on."""
    from fcrn_mobile.benchmark.latency import machine

    rows = [
        [r.model, r.backend, f"{r.median_ms:.1f}", f"{r.p95_ms:.1f}", f"{r.fps:.1f}", f"{r.load_ms:.0f}", str(len(r.samples_ms))]
        for r in results
    ]
    print_table("Latency on this machine", ["model", "backend", "median ms", "p95 ms", "FPS", "load ms", "runs"], rows)
    facts = machine()
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, load {facts['load_1min']:.1f}")
    print("measured here, not on a device: the Neural Engine is not involved")
