"""Latency of runtimes on this machine: warm-up, then raw samples, each model in a process of its own."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

import fcrn_mobile
from fcrn_mobile.latency.stability import NOISY, WarmUp, spread, warm_up
from fcrn_mobile.latency.stages import STAGES
from fcrn_mobile.latency.worker import Open, Opened, Worker
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes.backends import is_on_device

__all__ = ["Latency", "Machine", "Statistics", "machine", "measure", "processor_name", "statistics", "summarise"]


@dataclass(frozen=True)
class Statistics:
    """Of times in ms; quantiles are linear, FPS = 1000/median."""

    mean_ms: float
    median_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float
    max_ms: float
    fps: float


@dataclass(frozen=True)
class Latency:
    """One model on one backend; times in ms, FPS = 1000/median. The keys are those of ``benchmarks/schema/bench-v2.json``.

    Attributes:
        peak_memory_bytes: of the process that ran the model alone, libraries included.
        first_predict_ms: the first prediction, which may compile or allocate; not in the samples.
        warm_up: predictions before the timed ones.
        settled: whether the times were stable at the end of the warm-up.
        spread: of the medians of consecutive parts of the samples, relative; see ``stability.spread``.
        stages_ms: median of each stage, where a sample spans decode, resize, predict and colour map; None: predict alone.
        arithmetic: that the mil backend simulated.
        preferred_units: compute unit → operators that Core ML plans to run there.
        mode, started_s, spans, preprocess_ms, sample_times_s, load_kind, reload_ms, operators: as the iOS app writes them.
        checkpoint_sha256, recipe: from the model's metadata.
    """

    model: str
    backend: str
    device: str
    compute_units: str
    samples_ms: list[float]
    mean_ms: float
    median_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float
    max_ms: float
    fps: float
    load_ms: float
    peak_memory_bytes: int | None = None
    first_predict_ms: float | None = None
    warm_up: int | None = None
    settled: bool | None = None
    spread: float | None = None
    stages_ms: dict[str, float] | None = None
    arithmetic: str | None = None
    preferred_units: dict[str, int] | None = None
    mode: str | None = None
    started_s: float | None = None
    spans: str | None = None
    preprocess_ms: float | None = None
    sample_times_s: list[float] | None = None
    load_kind: str | None = None
    reload_ms: float | None = None
    operators: list[dict[str, Any]] | None = None
    checkpoint_sha256: str | None = None
    recipe: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        """Name and what ran it, for people."""
        units = f", {self.compute_units}" if is_on_device(self.backend) or self.compute_units != "cpuOnly" else ""
        mode = f", {self.mode}" if self.mode in ("live", "soak") else ", end to end" if self.stages_ms else ""
        return f"{self.model} ({self.backend}{units}{mode})"

    def to_json(self) -> dict[str, Any]:
        """As ``benchmarks/schema/bench-v2.json`` has it; what is not known has no key."""
        return {key: value for key, value in vars(self).items() if value is not None}

    @classmethod
    def from_json(cls, result: Mapping[str, Any]) -> "Latency":
        """What ``to_json`` or the iOS app wrote; keys of later versions are left out."""
        names = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in result.items() if key in names})

    def warnings(self) -> list[str]:
        """What makes its figures doubtful, a sentence each."""
        sentences = []
        if self.settled is False:
            sentences.append(f"{self.label}: the warm-up had not settled after {self.warm_up} predictions")
        if self.spread is not None and self.spread > NOISY:
            sentences.append(
                f"{self.label}: this machine is too noisy (medians of parts of the run differ by {self.spread:.0%}, "
                f"more than {NOISY:.0%}): close other programs and repeat"
            )
        return sentences


@dataclass(frozen=True)
class Machine:
    """What figures were measured on.

    Attributes:
        processor: or device model.
        cores: None where the system does not say.
        system: operating system and its version.
        versions: of each tool.
        threads: that predictions may use.
        load_1min: mean number of running processes over the last minute.
    """

    processor: str
    cores: int | None
    threads: int | None
    load_1min: float | None
    system: str
    versions: dict[str, str]


def measure(open_model: Open, runs: int, end_to_end: bool = False) -> Latency:
    """Open a model in a fresh process, warm it up until it is stable, and time ``runs`` predictions (batch 1).

    Args:
        open_model: a module's function or a ``partial`` of one.
        runs: timed predictions, at least 1.
        end_to_end: time from a JPEG in memory to a coloured depth map, not the prediction alone.

    Raises:
        InputError: the model cannot be opened.
    """
    with Worker(open_model, end_to_end) as worker:
        warm = warm_up(worker.totals)
        times = worker.run(runs)
        return summarise(worker.opened, warm, times, worker.peak_memory())


def summarise(opened: Opened, warm: WarmUp, times: Sequence[tuple[float, ...]], peak_memory: int | None) -> Latency:
    """The figures of timed predictions, given as the ms of each prediction's stages."""
    samples = [sum(stages) for stages in times]
    medians = np.median(np.asarray(times), axis=0)
    written = Metadata.from_dict(opened.metadata)
    return Latency(
        model=opened.name,
        backend=opened.backend,
        device=processor_name(),
        compute_units=opened.compute_units,
        samples_ms=samples,
        **vars(statistics(samples)),
        load_ms=opened.load_ms,
        peak_memory_bytes=peak_memory,
        first_predict_ms=warm.first_ms,
        warm_up=warm.predictions,
        settled=warm.settled,
        spread=spread(samples),
        stages_ms=dict(zip(STAGES, map(float, medians), strict=True)) if len(medians) == len(STAGES) else None,
        arithmetic=opened.arithmetic,
        checkpoint_sha256=written.checkpoint_sha256 or None,
        recipe=written.settings() if written.recipe else None,
    )


def statistics(samples: Sequence[float]) -> Statistics:
    """Of times in ms."""
    median, p90, p95, p99 = (float(q) for q in np.quantile(samples, (0.5, 0.9, 0.95, 0.99)))
    return Statistics(float(np.mean(samples)), median, p90, p95, p99, float(min(samples)), float(max(samples)), 1000 / median)


def machine(threads: int | None = None) -> Machine:
    """The one that this runs on; ``threads`` as given to the runtimes, or what torch takes by itself."""
    import torch

    return Machine(
        processor=processor_name(),
        cores=os.cpu_count(),
        threads=threads or torch.get_num_threads(),
        load_1min=os.getloadavg()[0],
        system=platform.platform(),
        versions={"fcrn-mobile": fcrn_mobile.__version__, "torch": torch.__version__, "python": platform.python_version()},
    )


def processor_name() -> str:
    """The processor as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
