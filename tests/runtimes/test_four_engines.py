"""torch, the MIL runtime, ONNX Runtime and Core AI run the built-in network: four engines, none of which knows another."""

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.runtimes import open_runtime
from tests.conftest import psnr
from tests.coreai import needs_coreai

pytestmark = needs_coreai

FILES = {"mil": "net.mlpackage", "onnxruntime": "net.onnx", "coreai": "net.aimodel"}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return open_source("sample")[0].image


def test_four_engines_agree_on_the_built_in_network(builtin: Checkpoint, image: np.ndarray, tmp_path: Path) -> None:
    depths = {"torch": open_runtime("builtin").predict(image)}
    for backend, name in FILES.items():
        export(builtin, Recipe(precision="fp32", output="array"), tmp_path / name)
        depths[backend] = open_runtime(str(tmp_path / name), backend, "float32").predict(image)
    for one, other in itertools.combinations(depths, 2):
        difference = np.abs(depths[one] - depths[other]).max() / np.abs(depths["torch"]).max()
        print(f"{one} and {other} differ by {difference:.1e} of the largest depth")
        assert difference < 1e-5


def test_half_precision_in_core_ai_stays_close_to_the_float_network(builtin: Checkpoint, image: np.ndarray, tmp_path: Path) -> None:
    export(builtin, Recipe(precision="fp16"), tmp_path / "net.aimodel")
    runtime = open_runtime(str(tmp_path / "net.aimodel"))
    start = time.perf_counter()
    decibels = psnr(runtime.predict(image), open_runtime("builtin").predict(image))
    print(f"fp16 asset: {decibels:.1f} dB to the float network, {1e3 * (time.perf_counter() - start):.0f} ms for a frame of both")
    assert decibels > 55
