"""docs/your-own-network.md, executed as written: its files are written, its Python and its commands run, in their order."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.depth_contract import read_contract

TEXT = (Path(__file__).parents[2] / "docs" / "your-own-network.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


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
    outputs: list[str] = []
    for language, name, text in BLOCKS:
        if language == "python" and name:
            (folder / name).write_text(text)
        elif language == "python":
            exec(compile(text, "your-own-network.md", "exec"), {})
        elif language == "toml":
            (folder / "contract.toml").write_text(text)
            assert read_contract(folder / "contract.toml").depth == "inverse"
        elif language == "sh":
            for line in text.splitlines():
                tool, *words = shlex.split(line)
                result = call(*words)
                assert tool == "fcrn-mobile" and result.returncode == 0, (line, result.stderr)
                outputs.append(result.stdout)
    monkeypatch.delitem(sys.modules, "unet")
    whole = "".join(outputs)
    assert "its graph was taken by torch.jit.trace" in whole
    assert whole.count("budget fidelity=0.05 held") == 3
    assert len(list((folder / "depth").glob("*.depth.png"))) == 12


def test_the_unet_takes_30_lines() -> None:
    code = next(text for _, name, text in BLOCKS if name == "unet.py")
    assert sum(1 for line in code.splitlines() if line.strip()) <= 30
