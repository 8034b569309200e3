"""Training images per second: this project's loop against the literal network in a plain loop, same batch, machine and threads.

    python benchmarks/training_speed.py [--data SPEC] [--rounds N] [--json benchmarks/results/training_speed.json]

The plain loop is what one writes first: every up-block unpools and convolves 5×5 as the paper describes it, tensors are NCHW and
float32, and the loop itself decodes and augments. Ours is what `fcrn-mobile train` does with the same settings. Steps run in turn; a
ratio is the median of the rounds' ratios. Run it alone on the machine.
"""

import argparse
import itertools
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import in_turn, ratio

from fcrn_mobile.data import Sample, Source, open_source
from fcrn_mobile.data.batches import TrainingBatch
from fcrn_mobile.data.loading import Loading
from fcrn_mobile.data.module import DataModule, depth_data
from fcrn_mobile.data.transforms import Augmentation, depth_tensor, image_tensor
from fcrn_mobile.latency.latency import machine
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.training.losses import depth_loss
from fcrn_mobile.training.train import uses_bf16

#: Preset → frames per batch, and how many times the plain loop's images per second ours must reach.
NETWORKS: dict[str, tuple[int, float | None]] = {"fcrn-resnet50": (4, 2.2), "fcrn-lite0": (8, None)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="sample")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    source = open_source(arguments.data)
    result = {"networks": [measure(name, source, arguments.rounds) for name in NETWORKS], "machine": vars(machine())}
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


def measure(name: str, source: Source, rounds: int) -> dict[str, Any]:
    """Both loops on one network, a step of each in turn."""
    batch_size, _ = NETWORKS[name]
    samples = in_turn({"plain": plain_loop(name, source, batch_size), "ours": our_loop(name, source, batch_size)}, rounds)
    return {
        "network": name,
        "batch_size": batch_size,
        "images_per_s": {loop: batch_size / statistics.median(times) for loop, times in samples.items()},
        "speedup": ratio(samples["plain"], samples["ours"]),
        "samples_s": samples,
    }


def plain_loop(name: str, source: Source, batch_size: int) -> Callable[[], None]:
    """One step of the literal network per call."""
    config = preset(name)
    network = FCRN(config, form="literal").train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    augment, rng = Augmentation(config.input_size), np.random.default_rng(0)
    indices = itertools.cycle(range(len(source)))

    def step() -> None:
        samples = [augment(source[next(indices)], rng) for _ in range(batch_size)]
        images, depths = torch.stack([image_tensor(s.image) for s in samples]), torch.stack([depth_tensor(s.depth) for s in samples])
        loss = depth_loss("berhu", network(images), depths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def our_loop(name: str, source: Source, batch_size: int) -> Callable[[], None]:
    """One step as ``train`` takes it per call: its data module, channels_last, its form of the up-blocks and its precision."""
    config = preset(name)
    network = FCRN(config).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    data = depth_data(source, source, config.input_size, Augmentation(config.input_size), Loading(batch_size, 0, 0))
    batches = endless(data)

    def step() -> None:
        batch: Any = data.transfer_batch_to_device(next(batches), torch.device("cpu"), 0)
        with torch.autocast("cpu", torch.bfloat16, enabled=uses_bf16("auto", config.encoder)):
            loss = depth_loss("berhu", network(batch.images), batch.depths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def endless(data: DataModule[Sample]) -> Iterator[TrainingBatch]:
    """Batches of one epoch after another."""
    while True:
        yield from data.train_dataloader()


def show(result: dict[str, Any]) -> None:
    """The table of README.md in this folder."""
    print("| network | batch | plain images/s | ours images/s | ratio | bound |\n|---|---|---|---|---|---|")
    for item in result["networks"]:
        bound = NETWORKS[item["network"]][1]
        verdict = "" if bound is None else f"at least {bound}{'' if item['speedup'] >= bound else ', BROKEN'}"
        speeds = item["images_per_s"]
        line = [item["network"], item["batch_size"], f"{speeds['plain']:.2f}", f"{speeds['ours']:.2f}", f"{item['speedup']:.2f}", verdict]
        print("| " + " | ".join(map(str, line)) + " |")
    facts = result["machine"]
    print(f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads, load {facts['load_1min']:.1f}")


if __name__ == "__main__":
    main()
