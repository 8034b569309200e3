"""Latency of runtimes on this machine: warm-up, then raw samples."""

import os
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fcrn_mobile
from fcrn_mobile.runtimes import Runtime

WARM_UP = 3


@dataclass(frozen=True)
class Latency:
    """One model on one backend; times in ms, FPS = 1000/median."""

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
    peak_memory_bytes: int


def measure(open_model: Callable[[], Runtime], runs: int) -> Latency:
    """Load a model, warm it up, and time ``runs`` predictions of one image of its input size (batch 1).

    The memory peak is that of the whole process so far.
    """
    start = time.perf_counter()
    runtime = open_model()
    load_ms = (time.perf_counter() - start) * 1e3
    image = np.random.default_rng(0).integers(0, 256, (*runtime.input_size, 3), dtype=np.uint8)
    for _ in range(WARM_UP):
        runtime.predict(image)
    samples = []
    for _ in range(runs):
        start = time.perf_counter()
        runtime.predict(image)
        samples.append((time.perf_counter() - start) * 1e3)
    quantiles = np.quantile(samples, (0.5, 0.9, 0.95, 0.99))
    median, p90, p95, p99 = (float(q) for q in quantiles)
    return Latency(
        model=runtime.name,
        backend=runtime.backend,
        device=processor_name(),
        compute_units="all" if runtime.backend == "coreml" else "cpuOnly",
        samples_ms=samples,
        mean_ms=float(np.mean(samples)),
        median_ms=median,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        min_ms=min(samples),
        max_ms=max(samples),
        fps=1000 / median,
        load_ms=load_ms,
        peak_memory_bytes=_peak_memory(),
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_1min": os.getloadavg()[0],
        "system": platform.platform(),
        "versions": {"fcrn-mobile": fcrn_mobile.__version__, "torch": torch.__version__, "python": platform.python_version()},
    }


def report(results: list[Latency]) -> dict[str, Any]:
    """The results as the command line and the iOS app write them."""
    return {"schema_version": 1, "machine": machine(), "results": [asdict(result) for result in results]}


def processor_name() -> str:
    """The processor as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # kilobytes on Linux
