"""Speed and memory of the MIL runtime on the paper's network, side by side with torch eager and Core AI's CPU runtime.

    python benchmarks/mil_runtime.py [--rounds N] [--json benchmarks/results/mil_runtime.json]

All of it runs in one process on one machine with the same threads, in turn, round by round; a ratio is the median of the rounds'
ratios. Run it alone on the machine. Weights are random: none of these figures depends on them.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import in_turn, ratio

from fcrn_mobile.conversion.export import artefact_size, export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.transforms import image_tensor
from fcrn_mobile.latency.latency import machine
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes import open_runtime

#: Claim → what must hold: at most, or at least.
BOUNDS = {
    "float32 / torch eager": ("at most", 1.1),
    "float16 / float32": ("at most", 1.6),
    "Core AI / float32": ("at least", 15.0),
    "load s": ("at most", 2.0),
    "memory above float32 weights MB": ("at most", 300.0),
}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(memory(arguments.memory)))
        return
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), arguments.rounds)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(folder: Path, rounds: int) -> dict[str, Any]:
    """All figures, with the samples they come from."""
    torch.manual_seed(0)
    network = FCRN(preset("fcrn-resnet50")).eval()
    checkpoint = Checkpoint("resnet50", network)
    package, asset = folder / "net.mlpackage", folder / "net.aimodel"
    export(checkpoint, Recipe(precision="fp16", output="array"), package)
    export(checkpoint, Recipe(precision="fp32"), asset)
    image = np.random.default_rng(0).integers(0, 256, (228, 304, 3), dtype=np.uint8)
    deployed = deploy(network)

    def eager() -> None:
        with torch.inference_mode():
            deployed(image_tensor(image).unsqueeze(0))

    float32, float16 = (Program.load(package, arithmetic) for arithmetic in ("float32", "float16"))
    samples = in_turn(
        {
            "torch eager": eager,
            "float32": lambda: float32.predict({"image": image}),
            "float16": lambda: float16.predict({"image": image}),
        },
        rounds,
    )
    core_ai = open_runtime(str(asset))
    slow = in_turn({"Core AI": lambda: core_ai.predict(image), "float32": lambda: float32.predict({"image": image})}, 2)
    loads = in_turn({"load": lambda: Program.load(package)}, 5)["load"]
    used = json.loads(
        subprocess.run([sys.executable, __file__, "--memory", str(package)], check=True, capture_output=True, text=True).stdout
    )
    return {
        "network": "fcrn-resnet50, 228×304, deployed, fp16 package",
        "package_bytes": artefact_size(package),
        "figures": {
            "float32 / torch eager": ratio(samples["float32"], samples["torch eager"]),
            "float16 / float32": ratio(samples["float16"], samples["float32"]),
            "Core AI / float32": ratio(slow["Core AI"], slow["float32"]),
            "load s": statistics.median(loads),
            "memory above float32 weights MB": (used["peak_bytes"] - used["weights_as_float32_bytes"]) / 1e6,
        },
        "median_ms": {name: 1e3 * statistics.median(times) for name, times in {**samples, "Core AI": slow["Core AI"]}.items()},
        "memory": used,
        "samples_s": samples | {"Core AI": slow["Core AI"], "load": loads},
        "machine": vars(machine()),
    }


def memory(package: Path) -> dict[str, int]:
    """What loading and one predict add to a process that has imported everything, at the peak."""
    from fcrn_mobile.quiet import quiet_coremltools

    image = np.zeros((228, 304, 3), np.uint8)
    with quiet_coremltools():
        before = peak_bytes()
    program = Program.load(package)
    loaded = peak_bytes()
    program.predict({"image": image})
    peak = peak_bytes()
    constants = {id(a): a for o in program.operations for a in o.arguments.values() if isinstance(a, torch.Tensor)}
    weights = sum(value.numel() * 4 for value in constants.values() if value.is_floating_point())
    return {"peak_bytes": peak - before, "load_bytes": loaded - before, "weights_as_float32_bytes": weights}


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count what the parent held when it started this process
        return next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def show(result: dict[str, Any]) -> None:
    """The table of README.md in this folder."""
    print(f"{result['network']}, {result['package_bytes'] / 1e6:.0f} MB")
    print("| figure | measured | bound |\n|---|---|---|")
    for name, value in result["figures"].items():
        side, bound = BOUNDS[name]
        held = value <= bound if side == "at most" else value >= bound
        print(f"| {name} | {value:.2f} | {side} {bound:g}{'' if held else ', BROKEN'} |")
    print(", ".join(f"{name} {value:.0f} ms" for name, value in result["median_ms"].items()))
    facts = result["machine"]
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, load {facts['load_1min']:.1f}")


if __name__ == "__main__":
    main()
