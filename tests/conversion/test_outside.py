"""Networks from outside become artefacts that give what they gave in torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from fcrn_mobile.conversion.capture import CAPTURES
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.fixed import Constant, fixed
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.network.float_network import ContractedNetwork, OutsideNetwork, outside_network
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.runtimes import open_runtime

SIZE = (16, 24)
CONTRACT = DepthContract("inverse", mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.5))


class Convolutional(nn.Module):
    """A batch norm that is registered away from its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 1, 1)
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.norm.running_mean = torch.tensor([0.1, -0.2, 0.3, 0.0])
        self.norm.running_var = torch.tensor([0.5, 1.0, 2.0, 0.3])

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(self.head(F.relu(self.norm(self.first(x)))))


class Joined(nn.Module):
    """Called with a list of tensors."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        return torch.cat(maps, 1)


class Table(nn.Module):
    """Called without a tensor, and full of what converters stumble over."""

    def __init__(self) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.linspace(0, 1, 3))

    def forward(self, rows: int) -> Tensor:
        index = torch.zeros(rows, 3, dtype=torch.long)
        index[0, 0:] = 2
        index[1:, 1] = 1
        return self.values[index].sum()


class Positions(nn.Module):
    """Position embeddings fitted to the input by bicubic resize, as vision transformers do, beside a resize that sees the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)))
        self.patches = nn.Conv2d(3, 4, 4, stride=4)
        self.table = Table()
        self.joined = Joined()
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        grid = self.grid
        if torch.jit.is_tracing():  # as DINOv2 does, where nothing is to be resized otherwise
            grid = F.interpolate(grid, size=(3, 3), mode="bicubic")
        x = F.interpolate(self.patches(x), scale_factor=2.0, mode="bilinear")
        grid = F.interpolate(grid, size=x.shape[-2:], mode="bicubic")
        return self.head(self.joined([x + grid, x + self.table(3)]))


class Bicubic(nn.Module):
    """Of the picture itself."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x.mean(1, keepdim=True), scale_factor=0.5, mode="bicubic")


class Branching(nn.Module):
    """Another network for bright pictures."""

    def forward(self, x: Tensor) -> Tensor:
        first = x[:, :1]
        return first * 2 if int(x.sum() * 1000) % 2 else first + 1


def network(module: nn.Module) -> OutsideNetwork:
    torch.manual_seed(0)
    return outside_network("mine", module, CONTRACT, SIZE, Path("mine.pth"), "0" * 64)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)


def expected(module: nn.Module, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """By hand: pixels normalised, channels first."""
    pixels = (picture / 255.0 - np.array(CONTRACT.mean)) / np.array(CONTRACT.std)
    with torch.no_grad():
        output = module.eval()(torch.from_numpy(pixels.transpose(2, 0, 1)[None]).float())
    return np.asarray(output[0, 0])


@pytest.mark.parametrize("build", [Convolutional, Positions])
def test_a_package_gives_what_the_network_gives(build: Callable[[], nn.Module], picture: NDArray[np.uint8], tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = build()
    recipe = make_recipe({"precision": "fp32", "output": "array"}, "test")
    export(network(module), recipe, tmp_path / "net.mlpackage")
    runtime = open_runtime(str(tmp_path / "net.mlpackage"), "mil", "float32")
    np.testing.assert_allclose(runtime.predict(picture), expected(module, picture), rtol=2e-4, atol=2e-5)
    facts = Metadata.from_dict(runtime.metadata)
    assert (facts.graph, facts.output_units, facts.network) == ("torch.jit.trace", "inverse depth, up to scale and shift", build.__name__)
    kinds = {operation.kind for operation in Program.load(tmp_path / "net.mlpackage").operations}
    assert "batch_norm" not in kinds


def test_corrected_integers_and_onnx(picture: NDArray[np.uint8], tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Convolutional()
    recipe = make_recipe({"precision": "int8", "correct": {"scale": True}, "calibration": {"data": "sample#train", "images": 2}}, "test")
    export(network(module), recipe, tmp_path / "net.mlpackage")
    depth = open_runtime(str(tmp_path / "net.mlpackage"), "mil").predict(picture)
    np.testing.assert_allclose(depth, expected(module, picture), rtol=0.02)
    export(network(module), make_recipe({"precision": "fp32", "output": "array"}, "test"), tmp_path / "net.onnx")
    np.testing.assert_allclose(open_runtime(str(tmp_path / "net.onnx")).predict(picture), expected(module, picture), rtol=1e-4)


def test_what_does_not_see_the_picture_is_constant() -> None:
    contracted = ContractedNetwork(Positions(), CONTRACT).eval()
    pictures = torch.rand(2, 1, 3, *SIZE)
    with torch.no_grad():
        before = [contracted(one) for one in pictures]
        constant = fixed(contracted, SIZE)
        for one, depth in zip(pictures, before, strict=True):
            assert torch.equal(constant(one), depth)
    assert isinstance(constant.network.table, Constant)
    assert [name for name, _ in constant.named_buffers() if "resize" in name] == ["resize_1"]


def test_torch_export_takes_the_graph_as_well() -> None:
    contracted = ContractedNetwork(Positions(), CONTRACT).eval()
    graph = CAPTURES["torch.export"](contracted, SIZE)
    pixels = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(graph.module()(pixels), contracted(pixels))


@pytest.mark.parametrize(
    ("module", "remedy"), [(Bicubic(), "write mode='bilinear' there"), (Branching(), "branches on values of the picture")]
)
def test_what_converts_neither_way_says_what_to_do(module: nn.Module, remedy: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"neither way leads to Core ML .*torch.jit.trace: .*torch.export: .*{remedy}") as error:
        export(network(module), make_recipe({"precision": "fp16"}, "test"), tmp_path / "net.mlpackage")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_is_of_fcrn_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="form 'fused' is one of FCRN's"):
        export(network(Convolutional()), make_recipe({"precision": "int8", "form": "fused"}, "test"), tmp_path / "net.mlpackage")


def test_a_recipes_size_is_one_that_the_contract_allows(tmp_path: Path) -> None:
    contract = DepthContract("inverse", multiple=8)
    mine = outside_network("mine", Convolutional(), contract, SIZE, Path("mine.pth"), "0" * 64)
    recipe = make_recipe({"precision": "fp16", "input_size": [40, 44]}, "test")
    with pytest.raises(InputError, match=r"has input_size \[40, 44\], which 'mine' does not take: use multiples of 8"):
        export(mine, recipe, tmp_path / "net.mlpackage")
    assert not list(tmp_path.iterdir())


def test_a_network_that_does_not_run_is_refused() -> None:
    with pytest.raises(InputError, match=r"'mine' does not run on a picture of 16x24 pixels \(RuntimeError: .*give another size"):
        network(nn.Conv2d(4, 1, 1))
    with pytest.raises(InputError, match="'mine': the network gives float32 1×21×16×24"):
        network(nn.Conv2d(3, 21, 1))
