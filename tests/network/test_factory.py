"""A network of somebody's own code, by its name on the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.float_network import ContractedNetwork, depth_of
from fcrn_mobile.network.forms import NetworkSpec, form_of, open_network, parse_network, require_network

CODE = """
import torch
from torch import nn

depth_contract = {"depth": "scale", "multiple": 8, "mean": [0.5, 0.4, 0.3], "std": 0.25}


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.head(torch.relu(self.bn(self.conv(x)))).squeeze(1).exp()


def seeded():
    torch.manual_seed(1)
    return Tiny()


def fails():
    raise ValueError("no luck")


def text():
    return "a network"


def quits():
    raise SystemExit(1)


def wordy():
    network = Tiny()
    network.depth_contract = ["depth", "metres"]
    return network


shared = seeded()
"""


@pytest.fixture(scope="module", autouse=True)
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A module in a folder that can be imported from."""
    folder = tmp_path_factory.mktemp("code")
    (folder / "tiny_depth_code.py").write_text(CODE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        open_network("tiny_depth_code:seeded?size=8x8")  # from here on it is imported
        yield "tiny_depth_code"


def test_it_normalises_by_its_contract(module: str) -> None:
    from tiny_depth_code import seeded

    network = open_network(f"{module}:seeded?size=16x24")
    assert (network.name, network.input_size, network.contract.depth) == ("seeded", (16, 24), "scale")
    picture = torch.rand(2, 3, 16, 24)
    mean, std = torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1), 0.25
    with torch.no_grad():
        expected = seeded().eval()((picture - mean) / std)
        torch.testing.assert_close(network.network(picture), expected.unsqueeze(1))
        torch.testing.assert_close(network.deployed()(picture), expected.unsqueeze(1))
    assert not any(parameter.requires_grad for parameter in network.deployed().parameters())
    assert network.sha256 == open_network(f"{module}:shared?size=16x24").sha256 != open_network(f"{module}:Tiny?size=16x24").sha256


@pytest.mark.parametrize("kind", ["safetensors", "state", "wrapped"])
def test_weights_are_read_from_whatever_they_stand_in(module: str, kind: str, tmp_path: Path) -> None:
    from tiny_depth_code import Tiny

    trained = Tiny().eval()
    state = trained.state_dict()
    path = tmp_path / f"net.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(state, path)
    elif kind == "state":
        torch.save(state, path)
    else:
        torch.save({"epoch": 3, "model": {f"module.{key}": value for key, value in state.items()}, "optimizer": {"lr": 1.0}}, path)
    picture = torch.rand(1, 3, 8, 8)
    network = open_network(f"{module}:seeded?weights={path}&size=8x8")
    assert network.path == path
    with torch.no_grad():
        torch.testing.assert_close(network.network.network(picture), trained(picture))  # type: ignore[operator] # the module as it was built


def test_a_config_beside_the_weights_or_given_says_otherwise(module: str, tmp_path: Path) -> None:
    from tiny_depth_code import seeded

    save_file(seeded().state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "net.toml").write_text('depth = "inverse"\nsizes = [[24, 32]]\n')
    (tmp_path / "other.toml").write_text("mean = 0\n")
    beside = open_network(f"{module}:seeded?weights={tmp_path}/net.safetensors")
    assert (beside.contract.depth, beside.contract.mean, beside.input_size) == ("inverse", (0.5, 0.4, 0.3), (24, 32))
    given_one = open_network(f"{module}:seeded?weights={tmp_path}/net.safetensors&config={tmp_path}/other.toml&size=8x8")
    assert (given_one.contract.depth, given_one.contract.mean) == ("scale", (0, 0, 0))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("tiny_depth_code:seeded", "takes pictures of many sizes: say which with --input-size HxW of export"),
        ("tiny_depth_code:seeded?size=12x16", "does not take 12x16 pixels .*multiples of 8"),
        ("tiny_depth_code:nothing", "has no 'nothing'"),
        ("tiny_depth_code:fails", r"fails when it is called without arguments \(ValueError: no luck\)"),
        ("tiny_depth_code:quits", r"fails when it is called without arguments \(SystemExit: 1\)"),
        (
            "tiny_depth_code:wordy?size=8x8",
            r"contract of 'tiny_depth_code:wordy' is \['depth', 'metres'\]: give a DepthContract, or a dict",
        ),
        ("sys:nothing", r"module 'sys' \('no file'\) has no 'nothing'"),
        ("tiny_depth_code:text", "gives str, not a torch.nn.Module"),
        ("no_such_module:net", r"cannot be imported \(ModuleNotFoundError"),
        ("tiny_depth_code:seeded?wieghts=a", "has no option 'wieghts' .*weights, config or size are allowed"),
        ("tiny_depth_code:seeded?size=8", "size is '8'"),
        ("builtin?size=8x8", "no option 'size' .*none is allowed"),
        ("nothing.xyz", "is no float network"),
    ],
)
def test_what_does_not_fit_is_one_line(model: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as error:
        open_network(model)
    assert "\n" not in str(error.value)


def test_a_module_that_is_a_program_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the command with an exit code of its own."""
    (tmp_path / "tiny_depth_program.py").write_text("import sys\nsys.exit(1)\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"'tiny_depth_program' of .* cannot be imported \(SystemExit: 1\)"):
        open_network("tiny_depth_program:net")


def test_weights_that_do_not_fit_are_named(module: str, tmp_path: Path) -> None:
    save_file({"conv.weight": torch.zeros(4, 3, 5, 5)}, tmp_path / "net.safetensors")
    with pytest.raises(InputError, match=r"does not fit 'Tiny': missing bn.weight.*wrong shape conv.weight \(4, 3, 5, 5\)"):
        open_network(f"{module}:seeded?weights={tmp_path}/net.safetensors&size=8x8")
    with pytest.raises(InputError, match="no weights at"):
        require_network(f"{module}:seeded?weights={tmp_path}/none.pth")


def test_names_that_are_no_factory(tmp_path: Path) -> None:
    (tmp_path / "a.mlpackage").mkdir()
    for name in ("model.onnx", str(tmp_path / "a.mlpackage"), "a:b:c", "1a:b", "folder:some/path"):
        assert form_of(name) is None


@given(
    st.sampled_from(["a.b:c", "net:make"]),
    st.none() | st.text("ab /&?%ü=+.", min_size=1).map(Path),
    st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
)
def test_a_name_with_options_reads_back(model: str, weights: Path | None, size: tuple[int, int] | None) -> None:
    spec = NetworkSpec(model, weights, size=size)
    assert parse_network(str(spec)) == spec


@pytest.mark.parametrize("shape", [(1, 1, 4, 6), (1, 4, 6), (4, 6), (1, 4, 6, 1)])
def test_every_layout_of_a_map_becomes_one(shape: tuple[int, ...]) -> None:
    values = torch.rand(shape)
    assert torch.equal(depth_of(values), values.reshape(1, 1, 4, 6))
    assert torch.equal(depth_of({"other": torch.zeros(3), "depth": values}, "depth"), values.reshape(1, 1, 4, 6))
    assert torch.equal(depth_of((torch.zeros(3), values), "1"), values.reshape(1, 1, 4, 6))


@pytest.mark.parametrize(
    ("output", "name", "reason"),
    [
        (torch.zeros(1, 21, 4, 6), None, "gives float32 1×21×4×6"),
        (torch.zeros(7), None, "gives float32 7:"),
        (torch.zeros(1, 1, 4, 6, dtype=torch.int64), None, "gives int64 1×1×4×6"),
        ({"a": torch.zeros(1), "b": torch.zeros(2)}, None, r"2 tensors: 'a' \(float32 1\), 'b' \(float32 2\): say with output"),
        ({"a": torch.zeros(1)}, "depth", "gives no 'depth' but 1 tensors"),
        ("text", None, "gives no tensor"),
    ],
)
def test_what_is_no_map_is_refused(output: object, name: str | None, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        depth_of(output, name)


def test_channels_and_layout_follow_the_contract() -> None:
    class First(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., 0]

    contract = DepthContract(channels="BGR", layout="channels-last", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 2.0))
    picture = torch.rand(1, 3, 4, 6)
    torch.testing.assert_close(ContractedNetwork(First(), contract)(picture), picture[:, 2:] - 0.1)
