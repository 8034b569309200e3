"""``inspect`` and ``run`` on a package that is not ours: three inputs, two outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from tests.journeys.command import fcrn, refused
from tests.mil.build import convert, ct, mb, save_program
from tests.mil.ops.arrays import values


class Segmenter(nn.Module):
    """Masks and scores of an image, with a gain per channel and two classes to pick."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, image: torch.Tensor, gain: torch.Tensor, picks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.sigmoid(self.conv(image / 255) * gain)
        return torch.index_select(features, 1, picks), features.mean((2, 3))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> tuple[Segmenter, Path]:
    torch.manual_seed(0)
    network = Segmenter().eval()
    examples = [torch.rand(1, 3, 16, 24), torch.rand(1, 4, 1, 1), torch.tensor([0, 2])]
    inputs = [
        ct.ImageType("image", shape=(1, 3, 16, 24), color_layout=ct.colorlayout.RGB),
        ct.TensorType("gain", shape=(1, 4, 1, 1)),
        ct.TensorType("picks", shape=(2,), dtype=np.int32),
    ]
    outputs = [ct.TensorType("masks"), ct.TensorType("scores")]
    return network, convert(network, examples, tmp_path_factory.mktemp("foreign"), "segmenter", inputs=inputs, outputs=outputs)


def test_a_foreign_package_is_inspected_and_run(foreign, call, tmp_path) -> None:
    network, path = foreign
    inspected = call("inspect", str(path), "--json", "-")
    assert inspected.returncode == 0, inspected.stderr
    facts = json.loads(inspected.stdout)
    assert [text.split(":")[0] for text in facts["inputs"]] == ["image", "gain", "picks"]
    assert facts["unsupported"] == []
    assert facts["operators"]["conv"] == 1
    assert facts["macs"] == 16 * 24 * 4 * 3 * 9

    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    gain, picks = values(0, 1, 4, 1, 1), np.array([3, 1], np.int32)
    np.save(tmp_path / "gain.npy", gain)
    np.save(tmp_path / "picks.npy", picks)
    words = ["--input", "image=photo.png", "--input", "gain=gain.npy", "--input", "picks=picks.npy", "--arithmetic", "float32"]
    result = fcrn("run", str(path), *words, "--out", "out", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    for word in ("masks", "1×2×16×24", "scores", "1×4"):
        assert word in result.stdout
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        expected = network(image, torch.from_numpy(gain), torch.from_numpy(picks))
    for name, wanted in zip(("masks", "scores"), expected, strict=True):
        np.testing.assert_allclose(np.load(tmp_path / "out" / f"{name}.npy"), wanted.numpy(), rtol=1e-4, atol=1e-5)

    refused(call("run", str(path), *words, "--out", "out"), "masks.npy", "exists", "--force")
    again = call("run", str(path), *words, "--out", "out", "--force", "--json", "-")
    assert {entry["name"] for entry in json.loads(again.stdout)["outputs"]} == {"masks", "scores"}


def test_what_does_not_fit_the_package_is_one_line(foreign, call, tmp_path) -> None:
    path = str(foreign[1])
    Image.new("RGB", (24, 16)).save(tmp_path / "photo.png")
    np.save(tmp_path / "gain.npy", np.ones((1, 3, 1, 1), np.float32))
    np.save(tmp_path / "picks.npy", np.array([0.5, 1.5]))
    (tmp_path / "text.npy").write_text("hello")
    before = sorted(tmp_path.rglob("*"))
    image, gain, picks = "--input image=photo.png", "--input gain=gain.npy", "--input picks=picks.npy"
    for line, words in [
        (f"{image} {gain}", ["'picks' is missing", "--input picks=FILE"]),
        (f"{image} {gain} --input depth=gain.npy", ["depth=gain.npy", "image, gain, picks"]),
        (f"{image} {image}", ["given twice"]),
        ("--input image", ["NAME=FILE"]),
        (f"{image} {gain} {picks}", ["1×3×1×1", "1×4×1×1"]),
        (f"{image} --input gain=photo.png {picks}", ["gain", ".npy"]),
        (f"{image} --input gain=text.npy {picks}", ["text.npy"]),
        (f"--input image=none.png {gain} {picks}", ["none.png"]),
        (f"{image} {gain} {picks} --function half", ["half", "main"]),
        (f"{image} {gain} {picks} --arithmetic fp8", ["fp8", "float16"]),
    ]:
        refused(call("run", path, *line.split(), "--out", "out"), *words)
        assert sorted(tmp_path.rglob("*")) == before, line


@pytest.mark.parametrize("layout", ["GRAYSCALE", "GRAYSCALE_FLOAT16"])
def test_pictures_of_any_size_are_stretched_and_image_outputs_are_drawn(layout, call, tmp_path) -> None:
    class Brighter(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2.0

    color = getattr(ct.colorlayout, layout)
    inputs = [ct.ImageType("x", shape=(1, 1, 8, 12), color_layout=color)]
    outputs = [ct.ImageType("y", color_layout=color)]
    half = {"minimum_deployment_target": ct.target.iOS16, "compute_precision": ct.precision.FLOAT16}
    path = convert(Brighter(), [torch.rand(1, 1, 8, 12)], tmp_path, inputs=inputs, outputs=outputs, **half)
    Image.new("L", (40, 30), 50).save(tmp_path / "gray.png")
    result = call("run", str(path), "--input", "x=gray.png", "--out", "out")
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out/y.npy"), np.full((8, 12), 100))
    drawn = tmp_path / "out/y.png"
    assert drawn.exists() == (layout == "GRAYSCALE")
    if drawn.exists():
        np.testing.assert_array_equal(np.asarray(Image.open(drawn)), np.full((8, 12), 100))


@pytest.mark.parametrize(("ending", "outputs"), [("relu6", 6.0), ("inverse", 0.0), ("identity", np.inf)])
def test_an_overflow_inside_is_named_whatever_becomes_of_it(ending: str, outputs: float, call, tmp_path) -> None:
    """It may be clamped, or end in zeros: the outputs alone tell nothing."""

    def body(x0):
        large = mb.mul(x=mb.mul(x=x0, y=np.float16(300), name="first"), y=np.float16(300), name="second")
        last = {"relu6": lambda: mb.relu6(x=large), "inverse": lambda: mb.real_div(x=np.float16(1), y=large)}
        return mb.identity(x=last[ending]() if ending in last else large, name="y")

    path = str(save_program(tmp_path, body, [np.zeros(3, np.float16)]))
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    result = call("run", path, "--input", "x0=x.npy", "--out", "out", "--json", "facts.json")
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "out/y.npy"), np.full(3, outputs))
    (line,) = result.stderr.splitlines()
    assert ("the outputs are finite" in line) == np.isfinite(outputs)
    assert "the first tensor to overflow is 'second' (mul of values up to 300)" in line
    assert json.loads((tmp_path / "facts.json").read_text())["overflow"] == "'second' (mul of values up to 300)"
    # A tenth of it stays within half precision.
    np.save(tmp_path / "x.npy", np.full(3, 0.1, np.float32))
    assert call("run", path, "--input", "x0=x.npy", "--out", "out", "--force").stderr == ""


def test_a_constant_that_is_not_finite_is_told_from_an_overflow(call, tmp_path) -> None:
    path = str(save_program(tmp_path, lambda x0: mb.add(x=x0, y=np.float32(np.inf), name="y"), [np.zeros(3, np.float32)]))
    np.save(tmp_path / "x.npy", np.ones(3, np.float32))
    result = call("run", path, "--input", "x0=x.npy", "--out", "out", "--json", "-")
    assert json.loads(result.stdout)["overflow"] is None
    assert "a constant of the package is not finite" in result.stderr
