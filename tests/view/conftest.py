"""A small network, what became of it, and pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network.checkpoints import load_checkpoint
from tests.project.small import save_small


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, a package of it with weights of eight bits, a picture of noise, and what is none; never changed."""
    folder = tmp_path_factory.mktemp("view")
    export(load_checkpoint(str(save_small(folder / "net.safetensors"))), Recipe(precision="int8"), folder / "coarse.mlpackage")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(folder / "noise.png")
    (folder / "broken.png").write_text("hello")
    return folder
