"""The table of latencies that ``bench``, its ``--import`` and ``demo`` print."""

from typing import TYPE_CHECKING

from fcrn_mobile.cli.common import print_table
from fcrn_mobile.runtimes.backends import is_on_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fcrn_mobile.latency.latency import Latency

__all__ = ["LATENCY_COLUMNS", "latency_row", "print_latency"]

#: Of a table whose lines are ``latency_row``'s.
LATENCY_COLUMNS = ["model", "median ms", "mean", "p90", "p95", "p99", "min", "max", "FPS", "load ms", "first ms", "peak MB", "runs"]


def print_latency(results: "Sequence[Latency]", threads: int | None = None) -> None:
    """The table of latencies, what makes them doubtful, and the machine they were measured on."""
    from fcrn_mobile.latency.latency import machine

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
    print(f"{facts.processor}, {facts.cores} cores, {facts.threads} threads, load {facts.load_1min:.1f}")
    if not any(is_on_device(result.backend) for result in results):
        print("measured here, not on a device: the Neural Engine is not involved")


def latency_row(result: "Latency") -> list[str]:
    """A line of the table."""
    r = result
    times = [f"{ms:.1f}" for ms in (r.median_ms, r.mean_ms, r.p90_ms, r.p95_ms, r.p99_ms, r.min_ms, r.max_ms)]
    first = "" if r.first_predict_ms is None else f"{r.first_predict_ms:.0f}"
    memory = "" if r.peak_memory_bytes is None else f"{r.peak_memory_bytes / 1e6:.0f}"
    return [r.label, *times, f"{r.fps:.1f}", f"{r.load_ms:.0f}", first, memory, str(len(r.samples_ms))]
