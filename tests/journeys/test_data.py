"""What ``data`` says of a source."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.command import Result, refused
from tests.project.small import save_small


def test_a_source_is_shown_with_its_sheet(call: Callable[..., Result], tmp_path: Path) -> None:
    save_small(tmp_path / "net.safetensors")
    words = ("data", "sample#val", "--model", "net.safetensors", "--sheet", "sheet.png", "--json", "data.json")
    result = call(*words)
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "data.json").read_text())["survey"]
    assert found["frames"] == found["with_depth"] == 4
    assert sum(found["histogram"]) == pytest.approx(1)
    for word in ("4 frames", "nearest", "2 to 4", "median of net.safetensors / median of the true depth"):
        assert word in result.stdout
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    height = sheet.shape[0] // 2
    assert sheet.shape[1] == 4 * 240
    # Pictures above are not the colours below.
    assert np.abs(sheet[:height].astype(int) - sheet[height:]).mean() > 20
    refused(call(*words), "sheet.png", "exists", "--force")


def test_what_is_left_out_is_said(call: Callable[..., Result], tmp_path: Path) -> None:
    for kind, names in (("rgb", "abc"), ("depth", "ab")):
        (tmp_path / "rooms" / kind).mkdir(parents=True)
        for name in names:
            pixels = np.full((8, 8), 1500, np.uint16) if kind == "depth" else np.zeros((8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"rooms/{kind}/{name}.png")
    result = call("data", "folder:rooms", "--predictions", "0")
    assert result.returncode == 0, result.stderr
    assert "2 frames" in result.stdout
    assert "1 to 2" in result.stdout
    assert "left out are 1 image without a depth map (rgb/c.png)" in result.stdout
    assert result.stderr == ""
    refused(call("data", "folder:nowhere"), "nowhere")
