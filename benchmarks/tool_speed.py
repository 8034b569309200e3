"""Speed of the tool itself: --help, export beside a bare coremltools script, validate over many images.

    python benchmarks/tool_speed.py [--rounds N] [--json benchmarks/results/tool_speed.json]

Everything runs as a user runs it, in processes of its own. Export and the bare script (bare_export.py) take turns on the same
checkpoint. The images of validate are the built-in sample's over and over: what they show matters to neither time nor memory.
Run it alone on the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from side_by_side import in_turn, ratio

from fcrn_mobile.data import open_source
from fcrn_mobile.latency.latency import machine

#: Figure → the most it may be, and for the share of cores in use also the least.
BOUNDS = {
    "--help, s": (0.0, 0.3),
    "export / bare coremltools": (0.0, 1.2),
    "validate: share of cores in use": (0.75, 1.02),
    "validate: peak memory, 100 images / 20": (0.0, 1.05),
}
IMAGES = (20, 100)
PRECISIONS = ("fp32", "fp16", "int8")
FCRN = [sys.executable, "-m", "fcrn_mobile"]
BARE = Path(__file__).with_name("bare_export.py")


@dataclass(frozen=True)
class Run:
    """A process.

    Attributes:
        seconds: from start to end.
        cpu_seconds: of all its threads on a core.
        peak_bytes: its largest resident memory.
        preempted: how often a thread lost its core to another one; many per second say that there are more threads than cores.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    preempted: int


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of export; help is asked for four times as often")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), arguments.rounds)
    print("\n".join(show(result)))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(folder: Path, rounds: int, images: Sequence[int] = IMAGES) -> dict[str, Any]:
    """All figures, with what they come from."""
    helps = [run([*FCRN, "--help"]) for _ in range(4 * rounds)]
    exports = export_times(folder, rounds)
    validations = validate_runs(folder, images)
    few, many = (validations[count]["process"] for count in (min(images), max(images)))
    # Of what more images take: starting is the same in both, and on one core.
    cores_in_use = (many["cpu_seconds"] - few["cpu_seconds"]) / (many["seconds"] - few["seconds"])
    return {
        "figures": {
            "--help, s": statistics.median(one.seconds for one in helps),
            "export / bare coremltools": ratio(exports["fcrn-mobile"], exports["bare"]),
            "validate: share of cores in use": cores_in_use / (os.cpu_count() or 1),
            "validate: peak memory, 100 images / 20": many["peak_bytes"] / few["peak_bytes"],
        },
        "help": [asdict(one) for one in helps],
        "export_s": exports,
        "validate": {str(count): found for count, found in validations.items()},
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
        "machine": vars(machine()),
    }


def run(command: Sequence[str]) -> Run:
    """Run a command to its end; its output is dropped.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        # Not getrusage of all children: that keeps the largest memory of any of them.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)} failed: {errors.read().decode()[-500:]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit, used.ru_nivcsw)


def export_times(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of our export and of the bare script, in turn, from process start to the package on disk."""
    ours, bare = folder / "ours.mlpackage", folder / "bare.mlpackage"
    return in_turn(
        {
            "fcrn-mobile": lambda: run([*FCRN, "export", "builtin", "--precision", "fp16", "--out", str(ours), "--force"]),
            "bare": lambda: run([sys.executable, str(BARE), str(bare)]),
        },
        rounds,
    )


def validate_runs(folder: Path, images: Sequence[int]) -> dict[int, dict[str, Any]]:
    """For each number of images: the whole process, and the seconds of the loop over images as ``validate`` itself writes them."""
    packages = []
    for precision in PRECISIONS:
        packages.append(folder / f"{precision}.mlpackage")
        run([*FCRN, "export", "builtin", "--precision", precision, "--out", str(packages[-1])])
    found = {}
    for count in sorted(images):
        data, out = folder / f"images-{count}", folder / f"{count}.json"
        write_images(data, count)
        process = run([*FCRN, "validate", "builtin", *map(str, packages), "--data", f"folder:{data}", "--json", str(out)])
        seconds = json.loads(out.read_text())["seconds"]
        found[count] = {"process": asdict(process), "loop_seconds": seconds, "images_per_s": count / seconds}
    return found


def write_images(folder: Path, count: int) -> None:
    """The built-in sample over and over as a folder with ``rgb/`` and ``depth/``."""
    source = open_source("sample")
    for name in ("rgb", "depth"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        sample = source[index % len(source)]
        Image.fromarray(sample.image).save(folder / "rgb" / f"{index:03}.jpg", quality=90)
        depth = np.nan_to_num(sample.depth) * 1000
        Image.fromarray(np.round(depth).astype(np.uint16)).save(folder / "depth" / f"{index:03}.png")


def show(result: dict[str, Any]) -> list[str]:
    """The table of README.md in this folder, as lines."""
    lines = ["| figure | measured | bound |", "|---|---|---|"]
    for name, value in result["figures"].items():
        least, most = BOUNDS[name]
        bound = f"{least:g} to {most:g}" if least else f"at most {most:g}"
        lines.append(f"| {name} | {value:.3f} | {bound}{'' if least <= value <= most else ', BROKEN'} |")
    for count, found in result["validate"].items():
        process = found["process"]
        lines.append(
            f"validate, {count} images, reference and {len(PRECISIONS)} candidates: {found['images_per_s']:.2f} images per second, "
            f"peak {process['peak_bytes'] / 1e6:.0f} MB, {process['preempted'] / process['seconds']:.0f} preemptions per second"
        )
    seconds = {name: statistics.median(times) for name, times in result["export_s"].items()}
    lines.append(f"export fp16: {seconds['fcrn-mobile']:.2f} s, bare coremltools {seconds['bare']:.2f} s")
    lines.append(f"--help: at best {min(one['seconds'] for one in result['help']):.3f} s")
    facts = result["machine"]
    lines.append(f"{facts['processor']}, {facts['cores']} cores, load {facts['load_1min']:.1f}")
    return lines


if __name__ == "__main__":
    main()
