"""Fixtures that several folders share."""

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import Source, open_source
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig, preset

pytest_plugins = ["tests.mil.operators_compared", "tests.journeys.command", "tests.wheel"]

# Two threads on two cores fight with whatever else runs there; one is as fast for images this small. Commands run as processes, too.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected, a million objects, stays to the end: collections of garbage, which every ``ct.convert`` asks for, pass it over."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.enable()
    return result


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real images; tests that need it skip without the variable."""
    folder = os.environ.get("FCRN_TEST_DATA")
    if not folder:
        pytest.skip("FCRN_TEST_DATA is not set: no real images")
    return Path(folder)


@pytest.fixture(scope="session")
def real_frames(real_data: Path) -> Source:
    """Held-back part of the NYU training images."""
    return open_source(f"folder:{real_data}/nyu_train795.zip#val")


@pytest.fixture(scope="session")
def builtin() -> Checkpoint:
    return load_checkpoint("builtin")


class Packages(Mapping[str, Path]):
    """A checkpoint as a package of each precision, exported when a test first asks for it, by one of the workers for all of them."""

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        self._checkpoint, self._folder = checkpoint, folder

    def __getitem__(self, precision: str) -> Path:
        path = self._folder / f"{precision}.mlpackage"
        with FileLock(self._folder / f"{precision}.lock"):
            if not path.exists():
                export(self._checkpoint, Recipe(name=precision, precision=precision), path)
        return path

    def __iter__(self) -> Iterator[str]:
        return iter(("fp32", "fp16", "int8"))

    def __len__(self) -> int:
        return 3


@pytest.fixture(scope="session")
def packages(builtin: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The built-in checkpoint as a package of each precision: to be read, never changed."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "builtin-packages"
    folder.mkdir(exist_ok=True)
    return Packages(builtin, folder)


@pytest.fixture
def tiny_config() -> FCRNConfig:
    return preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96))


def settled(network: FCRN, seed: int = 0) -> FCRN:
    """Give a random network batch-norm statistics and affine terms as training would, so that folding them matters."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=generator)
            module.bias.data.normal_(0, 0.2, generator=generator)
            module.reset_running_stats()
            module.momentum = None
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(4, 3, 64, 96, generator=generator))
    return network.eval()


@pytest.fixture
def settle() -> Callable[[FCRN], FCRN]:
    return settled


def psnr(candidate: np.ndarray, reference: np.ndarray) -> float:
    """20·log10(max|r| / √mean (c-r)²), by hand."""
    return float(20 * np.log10(np.abs(reference).max() / np.sqrt(np.mean((candidate - reference).astype(np.float64) ** 2))))
