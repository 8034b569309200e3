"""A checkpoint that exports in a second."""

from pathlib import Path

import torch

from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from tests.conftest import settled


def save_small(path: Path, seed: int = 0) -> Path:
    """A network that gives depth around 3 m, in a folder that is made for it."""
    torch.manual_seed(seed)
    network = settled(FCRN(preset("fcrn-plain", widths=(16, 8, 8, 8), input_size=(64, 96))), seed)
    with torch.no_grad():
        network.head.bias += 3
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(network, path)
    return path
