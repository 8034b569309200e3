"""Architectures that people have, with random weights, from a folder on disk to a validated package; no truth is needed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.depth_families import FAMILIES, save_folder

#: Fidelity that each precision has to hold on random weights, which are harder to compress than trained ones and whose depth hardly
#: varies.
BUDGETS = {"int8": 0.05, "palette6": 0.2, "w8a8": 0.2}
#: Twelve random blocks of width 768 drift by 0.08 as int8 uncorrected, and as W8A8 by 0.3.
OF_DPT = BUDGETS | {"int8": 0.07, "w8a8": 0.35}


@pytest.fixture
def photos(tmp_path: Path) -> str:
    """A spec of smooth random pictures."""
    (tmp_path / "photos").mkdir()
    for number in range(10):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{number:02}.png")
    return "images:photos"


def exported_and_validated(call: Callable[..., Any], model: str, precision: str, photos: str, most: float) -> None:
    calibration = ["--calibration", f"{photos}#train", "--calibration-images", "2"]
    made = call("export", model, "--precision", precision, *calibration, "--out", "net.mlpackage")
    assert made.returncode == 0, made.stderr
    assert "its graph was taken by torch.jit.trace" in made.stdout
    budget = f"fidelity={most}"
    held = call("validate", model, "net.mlpackage", "--data", f"{photos}#val", "--budget", budget, "--json", "-")
    assert held.returncode == 0, held.stdout + held.stderr
    (candidate,) = json.loads(held.stdout)["candidates"]
    assert candidate["verdict"] == "held"
    assert candidate["fidelity"]["abs_rel"] > 1e-6  # something was compressed, and the picture counts


@pytest.mark.parametrize(
    ("name", "precision"),
    [*(("depth_anything", precision) for precision in BUDGETS), ("dpt", "int8"), ("glpn", "int8"), ("zoedepth", "int8")],
)
def test_a_small_one_goes_the_whole_way(call: Callable[..., Any], tmp_path: Path, photos: str, name: str, precision: str) -> None:
    save_folder(name, tmp_path / name)
    height, width = FAMILIES[name].size
    exported_and_validated(call, f"{name}?size={height}x{width}", precision, photos, BUDGETS[precision])


@pytest.mark.true_size
@pytest.mark.parametrize("precision", BUDGETS)
@pytest.mark.parametrize("name", ["depth_anything", "dpt", "glpn"])
def test_one_of_true_size_too(call: Callable[..., Any], tmp_path: Path, photos: str, name: str, precision: str) -> None:
    save_folder(name, tmp_path / name, true_size=True)
    exported_and_validated(call, name, precision, photos, (OF_DPT if name == "dpt" else BUDGETS)[precision])
