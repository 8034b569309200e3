import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from fcrn_mobile.conversion.export import artefact_size, export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.decoders import DECODERS
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.whole_file import written_whole
from tests.conversion.overwriting import check_kept_without_force


def specification(path):
    with quiet_coremltools():
        import coremltools as ct

        return ct.models.utils.load_spec(str(path))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_package_says_what_it_is(packages, builtin, precision: str) -> None:
    description = specification(packages[precision]).description
    (image,), (depth,) = description.input, description.output
    assert (image.name, image.type.imageType.height, image.type.imageType.width) == ("image", 224, 320)
    assert "RGB" in image.shortDescription
    assert (depth.name, depth.type.imageType.height, depth.type.imageType.width) == ("depth", 112, 160)
    assert "metres" in depth.shortDescription
    metadata = description.metadata
    assert metadata.author
    assert metadata.license
    assert metadata.versionString
    user = metadata.userDefined
    assert user["com.apple.coreml.model.preview.type"] == "depthEstimation"
    assert json.loads(user["fcrn_mobile.recipe"])["precision"] == precision
    assert user["fcrn_mobile.checkpoint_sha256"] == builtin.sha256


def test_int8_is_half_of_fp16_and_a_quarter_of_fp32(packages) -> None:
    sizes = {precision: artefact_size(path) for precision, path in packages.items()}
    assert sizes["fp16"] / sizes["fp32"] == pytest.approx(0.5, abs=0.03)
    assert sizes["int8"] / sizes["fp16"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_array_output_is_declared_as_one(builtin, precision: str, tmp_path) -> None:
    out = tmp_path / "a.mlpackage"
    export(builtin, Recipe(precision=precision, output="array", input_size=(64, 96)), out)
    (depth,) = specification(out).description.output
    assert tuple(depth.type.multiArrayType.shape) == (1, 1, 32, 48)


@pytest.mark.parametrize("output", ["image", "array"])
def test_the_size_of_the_output_is_said_where_it_is_not_half_the_input_s_too(output: str, settle, tmp_path) -> None:
    network = settle(FCRN(preset("fcrn-lite0", widths=(8, 8, 8, 8, 8), input_size=(68, 100))))
    export(Checkpoint("tiny", network), Recipe(precision="fp32", output=output), tmp_path / "m.mlpackage")
    with torch.no_grad():
        height, width = network(torch.zeros(1, 3, 68, 100)).shape[-2:]
    assert (height, width) != (34, 50)
    (described,) = specification(tmp_path / "m.mlpackage").description.output
    assert f"{height}×{width} pixels" in described.shortDescription


def test_conversion_says_nothing(builtin, tmp_path, capfd) -> None:
    export(builtin, Recipe(precision="int8", input_size=(64, 96)), tmp_path / "a.mlpackage")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("decoder", DECODERS)
def test_onnx_equals_the_network(decoder: str, settle, tmp_path) -> None:
    torch.manual_seed(0)
    network = settle(FCRN(preset("fcrn-lite0", decoder=decoder, widths=(16, 8, 8, 8, 8), input_size=(61, 75))))
    out = tmp_path / "net.onnx"
    export(Checkpoint("tiny", network), Recipe(precision="fp32", output="array"), out)
    onnx.checker.check_model(str(out))
    image = torch.rand(1, 3, 61, 75)
    (depth,) = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"]).run(None, {"image": image.numpy()})
    with torch.no_grad():
        expected = network(image).numpy()
    assert np.abs(depth - expected).max() / np.abs(expected).max() < 1e-4


def test_onnx_takes_float32_only(builtin, tmp_path) -> None:
    with pytest.raises(InputError, match="fp32"):
        export(builtin, Recipe(precision="fp16"), tmp_path / "a.onnx")
    assert not any(tmp_path.iterdir())


def test_an_existing_artefact_is_kept_without_force(builtin, tmp_path) -> None:
    check_kept_without_force(builtin, Recipe(input_size=(64, 96)), tmp_path / "a.mlpackage")
    assert (tmp_path / "a.mlpackage/Manifest.json").is_file()


def test_a_failed_conversion_leaves_nothing(builtin, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fcrn_mobile.conversion.coreml.describe", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(builtin, Recipe(input_size=(64, 96)), tmp_path / "a.mlpackage")
    assert not any(tmp_path.iterdir())


def test_a_failed_overwrite_keeps_the_old_file(tmp_path) -> None:
    path = tmp_path / "a.onnx"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), written_whole(path, force=True) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


def test_bad_destinations_are_named(builtin, tmp_path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.tflite'"):
        export(builtin, Recipe(), tmp_path / "a.tflite")
    with pytest.raises(InputError, match="no folder"):
        export(builtin, Recipe(), tmp_path / "no" / "a.mlpackage")
