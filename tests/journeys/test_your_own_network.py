"""docs/your-own-network.md, executed as written: its files are written, its Python and its commands run, in their order."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.depth_contract import read_contract
from tests.journeys.page import blocks, perform, read_page

TEXT = read_page("your-own-network.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader works, with photos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "photos").mkdir()
    for number in range(12):
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(noise).resize((160, 120), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{number:02}.png")
    return tmp_path


def test_the_page_does_what_it_says(folder: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    results = perform(TEXT, folder, call)
    monkeypatch.delitem(sys.modules, "unet")
    assert read_contract(folder / "contract.toml").depth == "inverse"
    whole = "".join(result.stdout for result in results)
    assert "its graph was taken by torch.jit.trace" in whole
    assert whole.count("budget fidelity=0.05 held") == 3
    assert len(list((folder / "depth").glob("*.depth.png"))) == 12


def test_the_unet_takes_30_lines() -> None:
    code = next(text for _, name, text in blocks(TEXT) if name == "unet.py")
    assert sum(1 for line in code.splitlines() if line.strip()) <= 30
