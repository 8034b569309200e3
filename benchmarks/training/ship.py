"""A trained checkpoint as the built-in one: kernels in float16, metrics of what is stored, the terms of its data beside them.

    python benchmarks/training/ship.py CHECKPOINT --data SPEC [--out fcrn_mobile/network/builtin.safetensors]

SPEC is the part held back from training. Refused is what was trained on data without known terms, or is larger than a phone should carry.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from fcrn_mobile.data import open_source
from fcrn_mobile.data.grammar import portable
from fcrn_mobile.data.mixture import parse_mixture
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import Checkpoint, checkpoint_path, load_checkpoint, save_checkpoint
from fcrn_mobile.network.forms import BUILTIN
from fcrn_mobile.network.macs import count_macs
from fcrn_mobile.runtimes import open_runtime

#: Data that the built-in network may learn from → terms of its frames.
TERMS = {
    "nyu_train795": "NYU Depth V2, official training images (Silberman et al. 2012): research use",
    "nyu_raw_cafe": "NYU Depth V2, raw frames (Silberman et al. 2012): research use",
    "nyu_raw_dining": "NYU Depth V2, raw frames (Silberman et al. 2012): research use",
    "rooms_train": "rendered rooms, made for this project: furniture CC0 or CC BY 3.0, wall textures GPL-2+",
    "tum_fr1_rpy": "TUM RGB-D benchmark: CC BY 4.0",
    "aims_lab": "AIMS lab: MIT",
}
MOST_BYTES, MOST_MACS = 14_000_000, 1_300_000_000


def main() -> None:
    """Check, write, measure, write again with the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--out", type=Path, default=checkpoint_path(BUILTIN))
    options = parser.parse_args()
    metrics = ship(options.checkpoint, options.data, options.out)
    macs = count_macs(load_checkpoint(str(options.out)).deployed(), *load_checkpoint(str(options.out)).input_size)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, {macs / 1e9:.3f} GMACs")
    print(", ".join(f"{key} {metrics[key]:.4f}" for key in ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3")))


def ship(model: str, data: str, out: Path) -> dict[str, float | int | str]:
    """Write the checkpoint as it is shipped.

    Args:
        model: what was trained.
        data: spec that its metrics are measured on, protocol ``eigen``.
        out: destination, replaced.

    Returns:
        Its metrics in float16.

    Raises:
        InputError: data of unknown terms, too many bytes or multiplications.
    """
    trained = load_checkpoint(model)
    training = replace(trained.training, terms=terms(trained))
    macs = count_macs(trained.deployed(), *trained.input_size)
    if macs > MOST_MACS:
        raise InputError(f"'{model}' has {macs / 1e9:.3f} GMACs, at most {MOST_MACS / 1e9:g} are shipped")
    half = out.with_name(f"{out.stem}.half{out.suffix}")
    try:
        save_checkpoint(trained.network, half, training, dtype=torch.float16)
        if half.stat().st_size > MOST_BYTES:
            raise InputError(f"'{model}' takes {half.stat().st_size / 1e6:.1f} MB in float16, at most {MOST_BYTES / 1e6:g} are shipped")
        result = evaluate(open_runtime(str(half)), open_source(data), protocol("eigen"))
        metrics = result.compute() | {"protocol": "eigen"}
    finally:
        half.unlink(missing_ok=True)
    save_checkpoint(trained.network, out, training, metrics, torch.float16)
    return metrics


def terms(trained: Checkpoint) -> list[str]:
    """Terms of the data that a network learned from, in its order.

    Raises:
        InputError: data that has none here.
    """
    listed = []
    for part in parse_mixture(trained.training.data):
        name = portable(part.spec).partition(":")[2].partition("#")[0].partition("?")[0].removesuffix(".zip").rpartition("/")[2]
        if name not in TERMS:
            raise InputError(f"'{trained.name}' learned from '{part.spec}', whose terms are not known here: say them in TERMS first")
        listed.append(TERMS[name])
    return listed


if __name__ == "__main__":
    main()
