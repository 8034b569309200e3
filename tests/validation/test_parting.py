"""Where half precision and the Neural Engine's traits part."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fcrn_mobile.validation.parting import first_parting
from tests.journeys.command import Result, call, refused
from tests.mil.build import convert, ct

__all__ = ["call"]


class Depth(nn.Module):
    """A gray picture, scaled, through softplus or not."""

    def __init__(self, factor: float, soft: bool = True) -> None:
        super().__init__()
        self.factor, self.soft = factor, soft

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.mean(1, keepdim=True) * self.factor
        return nn.functional.softplus(y) + 1 if self.soft else y + 1


def package(folder: Path, factor: float, soft: bool = True) -> Path:
    image = ct.ImageType("image", shape=(1, 3, 16, 24), scale=1 / 255)
    settings = {"inputs": [image], "compute_precision": ct.precision.FLOAT16}
    return convert(Depth(factor, soft), [torch.rand(1, 3, 16, 24)], folder, f"net{factor:g}{soft}", **settings)


def bright(value: int = 255) -> np.ndarray:
    return np.full((16, 24, 3), value, np.uint8)


def test_the_operator_past_a_limit_is_where_they_part(tmp_path: Path) -> None:
    path = package(tmp_path, 12)
    parting = first_parting(path, [bright(20), bright()])
    assert parting is not None
    assert (parting.operator, parting.image, parting.limit) == ("softplus", 1, "softplus is 0 above 10.408")
    assert parting.difference == pytest.approx(1)  # all of it is 0
    assert first_parting(path, [bright(20), bright()], "ane without softplus") is None


def test_a_result_that_is_not_finite_parts(tmp_path: Path) -> None:
    class Summed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, torch.full((1, 3, 1, 1), 12000.0)).relu() * 1e-4

    image = ct.ImageType("image", shape=(1, 3, 16, 24), scale=1 / 255)
    path = convert(Summed(), [torch.rand(1, 3, 16, 24)], tmp_path, inputs=[image], compute_precision=ct.precision.FLOAT16)
    parting = first_parting(path, [bright()])
    assert parting is not None
    assert (parting.operator, parting.difference) == ("conv", np.inf)
    assert first_parting(path, [bright(100)]) is None


def test_validate_says_where_the_two_part(call: Callable[..., Result], tmp_path: Path) -> None:
    path = str(package(tmp_path, 12))
    (tmp_path / "net12True.toml").write_text('depth = "scale"\n')
    (tmp_path / "images").mkdir()
    Image.fromarray(bright()).save(tmp_path / "images/white.png")
    words = ["validate", path, path, "--data", "images:images", "--both"]
    result = call(*words, "--json", "both.json")
    assert "float16 and ane part at " in result.stdout, result.stderr
    assert "(softplus), image 0: softplus is 0 above 10.408" in result.stdout
    facts = json.loads((tmp_path / "both.json").read_text())
    assert [candidate["name"].rsplit(" ", 1)[1] for candidate in facts["candidates"]] == ["(float16)", "(ane)"]
    assert facts["partings"][path]["operator"] == "softplus"
    agreed = call(*words, "--arithmetic", "ane", "--without", "softplus")
    assert "float16 and ane agree at every operator" in agreed.stdout, agreed.stderr
    refused(call(*words[:-1], "--without", "ties"), "arithmetic 'float16' has no traits to leave out: use ane")
    refused(call(*words, "--arithmetic", "ane", "--without", "tie"), "unknown trait 'tie'")
