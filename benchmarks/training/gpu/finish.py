"""Turn the weights of a training from a packed file into a checkpoint that every command takes.

python benchmarks/training/gpu/finish.py runs/gpu/student/best.pt lateral.safetensors
fcrn-mobile evaluate lateral.safetensors --data folder:nyu_train795.zip#val
"""

import argparse
import json
from pathlib import Path

import torch
from loop import load_network

from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.training_record import TrainingRecord


def finish(weights: Path, checkpoint: Path) -> None:
    """Write the checkpoint of a ``best.pt`` or ``last.pt``."""
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    training = TrainingRecord.from_json(json.loads(stored["training"]))
    save_checkpoint(load_network(weights), checkpoint, training, json.loads(stored["metrics"]), dtype=torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("checkpoint", type=Path)
    options = parser.parse_args()
    finish(options.weights, options.checkpoint)


if __name__ == "__main__":
    main()
