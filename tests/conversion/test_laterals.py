"""Networks with lateral connections on their way to a package: what is joined stays one map."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.conversion.equalise import equalise, links
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.deploy import deploy
from fcrn_mobile.network.encoders import encoder_named
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.quantize.scheme import LEARNED
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.training.quantization import QuantizationAware
from tests.conftest import settled

KINDS = ("add", "concat")
SIZE = (40, 72)  # of no multiples of 16: the decoder's maps are cropped


def network(kind: str, encoder: str = "plain", decoder: str = "upproj-bilinear", full: bool = False) -> FCRN:
    torch.manual_seed(0)
    widths = (16, 16, 16, 8, 8)[: encoder_named(encoder).halvings] + (8,) * full
    # Normalisation that is exact in half precision.
    exact = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    made = settled(FCRN(preset("fcrn-lite0", encoder=encoder, decoder=decoder, widths=widths, laterals=kind, input_size=SIZE, **exact)))
    with torch.no_grad():
        made.head.weight.mul_(0.1)
        made.head.bias.fill_(3)
    return made


def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def depth(network: FCRN) -> NDArray[np.float32]:
    with torch.no_grad():
        result: NDArray[np.float32] = network(torch.from_numpy(image()).permute(2, 0, 1).unsqueeze(0) / 255)[0, 0].numpy()
    return result


def package(checkpoint: Checkpoint, folder: Path, **settings: Any) -> Path:
    path = folder / "depth.mlpackage"
    export(checkpoint, make_recipe(settings | {"output": "array"}, "test"), path)
    return path


def relative(candidate: Tensor, expected: Tensor) -> float:
    return float((candidate - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("encoder", "decoder", "full"),
    [("lite0", d, False) for d in DECODERS]
    + [("resnet18", "upproj", False), ("plain", "upproj-bilinear", False), ("lite0", "upproj-bilinear", True)],
)
def test_equalisation_leaves_the_function_alone(kind: str, encoder: str, decoder: str, full: bool) -> None:
    # In double precision: random networks magnify float rounding.
    deployed = deploy(network(kind, encoder, decoder, full)).double()
    x = torch.rand(1, 3, *SIZE).double()
    with torch.no_grad():
        expected = deployed(x)
        equal = equalise(deployed, make_recipe({"precision": "palette6", "min_elements": 0}, "test"))
        assert relative(equal(x), expected) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_added_shares_factors_and_what_is_side_by_side_does_not(kind: str) -> None:
    deployed = deploy(network(kind))
    lateral, joint = "laterals.0.conv.weight", {"laterals.0.joint_conv.weight"}
    givers = [{side.name for side in link.givers} for link in links(deployed) if {side.name for side in link.readers} == joint]
    assert len(givers) == (1 if kind == "add" else 2)
    assert sum(lateral in names for names in givers) == 1
    together = any({lateral, "decoder.0.conv2.weight"} <= names for names in givers)
    assert together == (kind == "add")


def test_an_encoder_map_has_factors_for_all_that_read_it() -> None:
    """EfficientNet-Lite's map at 1/2 is read by the next block and by the last lateral."""
    deployed = deploy(network("concat", "lite0"))
    readers = [{side.name for side in link.readers} for link in links(deployed)]
    assert {"encoder._blocks.1._expand_conv.weight", "laterals.3.conv.weight"} in readers


def test_equalisation_reaches_the_block_to_full_resolution() -> None:
    deployed = deploy(network("concat", "lite0", full=True))
    given, read = (
        {side.name for link in links(deployed) for side in sides(link)} for sides in (lambda link: link.givers, lambda link: link.readers)
    )
    assert "decoder.4.conv.weight" in given & read
    assert "head.weight" in read


@pytest.mark.parametrize(
    ("kind", "decoder", "full"), [("add", "upproj-bilinear", False), ("concat", "upproj-bilinear", True), ("concat", "upproj-deconv", True)]
)
def test_the_package_computes_the_same_depth(kind: str, decoder: str, full: bool, tmp_path: Path) -> None:
    made = network(kind, decoder=decoder, full=full)
    assert depth(made).shape == (SIZE if full else (SIZE[0] // 2, SIZE[1] // 2))
    path = package(Checkpoint("tiny", made), tmp_path, precision="fp32")
    np.testing.assert_allclose(open_runtime(str(path)).predict(image()), depth(made), rtol=1e-5)


@pytest.mark.parametrize(("decoder", "full"), [("upproj-bilinear", False), ("upproj-bilinear", True), ("upproj-deconv", True)])
def test_onnx_computes_the_same_depth(decoder: str, full: bool, tmp_path: Path) -> None:
    made = network("concat", decoder=decoder, full=full)
    export(Checkpoint("tiny", made), make_recipe({"precision": "fp32"}, "test"), tmp_path / "depth.onnx")
    np.testing.assert_allclose(open_runtime(str(tmp_path / "depth.onnx")).predict(image()), depth(made), rtol=1e-5)


def test_int8_activations_that_are_joined_share_a_scale(tmp_path: Path) -> None:
    made = network("concat", full=True)
    path = package(Checkpoint("tiny", made), tmp_path, precision="w8a8", calibration={"data": "sample#val", "images": 2})
    program = Program.load(path)
    producer = {info.name: operation for operation in program.operations for info in operation.outputs}

    def scale(name: str) -> float:
        operation = producer[name]
        return float(operation.arguments["scale"]) if operation.kind == "dequantize" else scale(*operation.references)

    joined = [{scale(name) for name in operation.references} for operation in program.operations if operation.kind == "concat"]
    assert [len(scales) for scales in joined] == [1] * 3
    assert np.mean(np.abs(open_runtime(str(path)).predict(image()) - depth(made)) / 3) < 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", LEARNED)
def test_a_learned_quantization_reaches_every_weight(kind: str, scheme: str, tmp_path: Path) -> None:
    made = network(kind)
    aware = QuantizationAware(made, scheme).train()
    aware(torch.rand(2, 3, *SIZE)).square().mean().backward()
    assert [name for name, parameter in aware.named_parameters() if parameter.requires_grad and parameter.grad is None] == []
    quantization, finished = aware.eval().quantization(), aware.finished()
    assert {"laterals.0.conv.weight", "laterals.2.joint_conv.weight"} <= set(quantization.weights)
    save_checkpoint(finished, tmp_path / "q.safetensors", quantization=quantization)
    error = np.abs(depth(load_checkpoint(str(tmp_path / "q.safetensors")).network) / depth(finished) - 1)
    # Sums in another order put single activations on the next step of their grid.
    assert error.mean() < 5e-4 if scheme == "w8a8" else error.max() < 1e-4


@pytest.mark.parametrize(("decoder", "full"), [("upproj-bilinear", True), ("upproj-deconv", False)])
def test_a_learned_quantization_is_what_the_package_computes(decoder: str, full: bool, tmp_path: Path) -> None:
    aware = QuantizationAware(network("concat", decoder=decoder, full=full), "palette4").eval()
    save_checkpoint(aware.finished(), tmp_path / "q.safetensors", quantization=aware.quantization())
    path = package(load_checkpoint(str(tmp_path / "q.safetensors")), tmp_path, **LEARNED["palette4"])
    np.testing.assert_allclose(open_runtime(str(path), arithmetic="float32").predict(image()), depth(aware.finished()), rtol=1e-5)
