"""Programs of torch.export as files."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.forms import open_network
from fcrn_mobile.runtimes import open_runtime


class Network(nn.Module):
    """With an operator whose graph leaves out arguments, and dropout that is for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(torch.relu(nn.functional.max_pool2d(self.conv(x), 2)))).exp()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``fixed.pt2`` of 16×24, and ``open.pt2`` of multiples of 8, each with its contract beside it."""
    path = tmp_path_factory.mktemp("programs")
    torch.manual_seed(0)
    network, picture = Network().eval(), torch.rand(1, 3, 16, 24)
    torch.export.save(torch.export.export(network, (picture,)), path / "fixed.pt2")
    sides = {2: 8 * Dim("h", min=1, max=64), 3: 8 * Dim("w", min=1, max=64)}
    torch.export.save(torch.export.export(network, (picture,), dynamic_shapes=(sides,)), path / "open.pt2")
    for name in ("fixed", "open"):
        (path / f"{name}.toml").write_text('depth = "metres"\nmean = 0.5\nstd = 0.25\n')
    return path


@pytest.mark.parametrize(("name", "size"), [("fixed.pt2", (16, 24)), ("open.pt2?size=8x40", (8, 40))])
def test_a_program_is_a_network(name: str, size: tuple[int, int], folder: Path, tmp_path: Path) -> None:
    network = open_network(f"{folder}/{name}")
    assert (network.input_size, network.name, network.contract.depth) == (size, name.partition(".")[0], "metres")
    torch.manual_seed(0)
    original, picture = Network().eval(), torch.rand(1, 3, *size)
    with torch.no_grad():
        expected = original((picture - 0.5) / 0.25)
        torch.testing.assert_close(network.deployed()(picture), expected)
    export(network, make_recipe({"precision": "fp32", "output": "array"}, "test"), tmp_path / "net.mlpackage")
    pixels = (picture[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    depth = open_runtime(str(tmp_path / "net.mlpackage"), "mil", "float32").predict(pixels)
    reference = open_runtime(f"{folder}/{name}").predict(pixels)
    torch.testing.assert_close(torch.from_numpy(depth), torch.from_numpy(reference), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(reference), expected[0, 0], rtol=0.1, atol=0.1)  # of pixels rounded to 8 bits


def test_what_does_not_fit_is_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.pt2").write_bytes((folder / "fixed.pt2").read_bytes()[:2000])
    (tmp_path / "bare.pt2").write_bytes((folder / "fixed.pt2").read_bytes())
    for model, reason in (
        (f"{folder}/open.pt2", "takes pictures of many sizes: say which"),
        (f"{folder}/fixed.pt2?size=32x32", "does not run on a picture of 32x32 pixels"),
        (f"{tmp_path}/torn.pt2", "is not a program that torch"),
        (f"{tmp_path}/bare.pt2", "does not say what it takes .*--model-config"),
    ):
        with pytest.raises(InputError, match=reason) as error:
            open_network(model)
        assert "\n" not in str(error.value)
