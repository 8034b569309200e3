"""Depth without depth labels: what the video and the stereo objective reach on frames held out, beside a constant depth.

    python benchmarks/training/selfsupervised.py video  --clip FOLDER --out DIR [--epochs N] [--json FILE]
    python benchmarks/training/selfsupervised.py stereo --out DIR [--pairs N] [--epochs N] [--json FILE]

FOLDER holds rgb/NNN.png and depth/NNN.png of a clip in the order of time, such as 60 frames of MSR 7-Scenes: millimetres, registered to
colour (as 7-Scenes does not publish it), used for measuring only. The last 15 % of the frames are held out. Stereo pairs are rendered
(rooms.py), rooms held out have other seeds. Both start from ImageNet weights; the network is what the last epoch leaves, so nothing is
chosen on the frames held out. Run it alone on the machine: twenty minutes on two cores is what the video objective may take.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rooms import BASELINE, FOCAL, write_pairs

from fcrn_mobile.data import open_source
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.latency.latency import machine
from fcrn_mobile.network.fcrn import preset
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video
from fcrn_mobile.training.train import train

#: abs_rel on KITTI as published, another data set: context, not a comparison.
PUBLISHED = {"SfMLearner (Zhou et al. 2017), KITTI": 0.183, "monodepth (Godard et al. 2017), KITTI": 0.148}
HELD_OUT = 0.15
#: Input size for the clip: half the pixels of the preset's own, twice the epochs.
VIDEO_SIZE = (160, 224)
#: Nominal focal length and principal point of the sensor behind 7-Scenes, in pixels at 640×480.
CLIP_CAMERA = "fx=525&cx=320&cy=240"


class Constant:
    """The same depth for every pixel: what a network must beat."""

    def __init__(self, metres: float = 1.0) -> None:
        self.metres = metres

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """h×w metres of an image."""
        return np.full(image.shape[:2], self.metres, np.float32)


def main() -> None:
    """Train, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objective", choices=("video", "stereo"))
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="a new folder for data and run")
    parser.add_argument("--pairs", type=int, default=160)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    if arguments.objective == "video":
        if arguments.clip is None:
            parser.error("video needs --clip FOLDER")
        result = video(arguments.clip, arguments.out, arguments.epochs or 160)
    else:
        result = stereo(arguments.out, arguments.pairs, arguments.epochs or 20)
    result |= {"published": PUBLISHED, "machine": vars(machine())}
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def video(clip: Path, out: Path, epochs: int) -> dict[str, Any]:
    """The video objective on a clip: trained on its beginning, measured on its end."""
    pictures = sorted((clip / "rgb").iterdir())
    first_held_out = round(len(pictures) * (1 - HELD_OUT))
    for name in ("train", "val/rgb", "val/depth"):
        (out / name).mkdir(parents=True)
    for number, picture in enumerate(pictures):
        held_out = number >= first_held_out
        (out / ("val/rgb" if held_out else "train") / picture.name).symlink_to(picture.resolve())
        if held_out:
            (out / "val/depth" / f"{picture.stem}.png").symlink_to((clip / "depth" / f"{picture.stem}.png").resolve())
    settings = {"batch_size": 4, "lr": 5e-4, "jitter": 0.2, "clip_norm": 5.0, "ema": 0.99, "cache_mb": 500}
    hyper = Hyperparameters(objective=Video(), epochs=epochs, protocol="full", **settings)  # type: ignore[arg-type]
    run = Run(preset("fcrn-lite0", input_size=VIDEO_SIZE), hyper, f"frames:{out}/train?{CLIP_CAMERA}&step=3", f"folder:{out}/val")
    return measured(run, out, first_held_out)


def stereo(out: Path, pairs: int, epochs: int) -> dict[str, Any]:
    """The stereo objective on rendered pairs, measured on rooms of other seeds."""
    write_pairs(out / "train", pairs, seed=0)
    write_pairs(out / "val", max(round(pairs * HELD_OUT), 8), seed=1)
    hyper = Hyperparameters(objective=Stereo(), epochs=epochs, batch_size=4, lr=3e-4, jitter=0.2, clip_norm=5.0, protocol="full")
    run = Run(preset("fcrn-lite0"), hyper, f"stereo:{out}/train?fx={FOCAL}&baseline={BASELINE}", f"folder:{out}/val")
    return measured(run, out, pairs)


def measured(run: Run, out: Path, scenes: int) -> dict[str, Any]:
    """Train, then measure the last epoch's network and a constant depth on the frames held out."""
    start, processor = time.perf_counter(), time.process_time()
    train(run, out / "run")
    minutes, processor_minutes = (time.perf_counter() - start) / 60, (time.process_time() - processor) / 60
    assert run.val_data is not None
    held_out, rule, scaled = open_source(run.val_data), protocol(run.hyper.protocol, "none"), protocol(run.hyper.protocol, "median")
    network = open_runtime(str(out / "run" / "last.safetensors"))
    medians = [float(np.median(sample.depth[sample.depth > 0])) for sample in (held_out[index] for index in range(len(held_out)))]
    rows = {
        "network, median-scaled": evaluate(network, held_out, scaled).compute(),
        "constant depth, median-scaled": evaluate(Constant(), held_out, scaled).compute(),
    }
    if run.hyper.objective == "stereo":
        # The best constant there is: the median of the very frames that are measured.
        rows["network, metres"] = evaluate(network, held_out, rule).compute()
        rows["constant depth, metres"] = evaluate(Constant(float(np.median(medians))), held_out, rule).compute()
    return {
        "objective": run.hyper.objective,
        "scenes": scenes,
        "held_out": len(held_out),
        "epochs": run.hyper.epochs,
        "minutes": minutes,
        "processor_minutes": processor_minutes,
        "rows": rows,
        "beats_constant": rows["network, median-scaled"]["abs_rel"] < rows["constant depth, median-scaled"]["abs_rel"],
    }


def show(result: dict[str, Any]) -> None:
    """The table of README.md in this folder."""
    print(f"{result['objective']}: {result['scenes']} scenes, {result['epochs']} epochs, {result['minutes']:.1f} minutes, ", end="")
    print(f"{result['processor_minutes']:.1f} of one core; ", end="")
    print(f"{result['held_out']} frames held out")
    print("| | abs_rel | rmse | delta1 |\n|---|---|---|---|")
    for name, row in result["rows"].items():
        print(f"| {name} | {row['abs_rel']:.3f} | {row['rmse']:.3f} | {row['delta1']:.3f} |")
    for name, value in result["published"].items():
        print(f"| {name}: another data set | {value:.3f} | | |")
    print("the network beats the constant depth" if result["beats_constant"] else "the network does NOT beat the constant depth")
    facts = result["machine"]
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, load {facts['load_1min']:.1f}")


if __name__ == "__main__":
    main()
