"""What decides how a network is exported, without exporting it: names, arithmetic, sizes, and what a suffix cannot hold."""

import os
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import fcrn_mobile
from fcrn_mobile.conversion import artefact, compressed, coreai, coreml, export, onnx
from fcrn_mobile.conversion.artefact import Conversion
from fcrn_mobile.conversion.capture import trace
from fcrn_mobile.conversion.coreai import quiet_coreai, write_coreai
from fcrn_mobile.conversion.coreml import arithmetic, describe, write_coreml
from fcrn_mobile.conversion.export import artefact_size
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.deploy import taking_pixels
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import key
from fcrn_mobile.package.reading import metadata, read_specification
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct


@pytest.fixture(scope="module")
def network() -> FCRN:
    return FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))


def test_the_size_of_a_package_is_that_of_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "x").write_bytes(b"1234")
    (tmp_path / "a" / "b" / "y").write_bytes(b"123")
    (tmp_path / "a" / "z").write_bytes(b"12")
    assert artefact_size(tmp_path / "x") == 4
    assert artefact_size(tmp_path / "a") == 5
    assert artefact_size(tmp_path) == 9
    assert artefact_size(tmp_path / "none") == 0


@pytest.mark.parametrize("suffix", ["", ".tflite", ".mlmodel", ".ONNX"])
def test_other_suffixes_are_refused(network: FCRN, suffix: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"ends in '{suffix}': use one of .mlpackage, .onnx, .aimodel"):
        export.export(Checkpoint("net", network), Recipe(), tmp_path / f"a{suffix}")


@pytest.mark.parametrize("suffix", [".onnx", ".aimodel"])
@pytest.mark.parametrize(
    ("values", "asked"),
    [
        ({"ops": [{"match": "a", "precision": "fp32"}]}, r"\[\[ops\]\]"),
        ({"precision": "a8"}, "int8 activations"),
        ({"precision": "w8a8", "ops": [{"match": "a", "activations": "fp16"}]}, r"\[\[ops\]\]"),
    ],
)
def test_what_only_a_package_can_have(network: FCRN, suffix: str, values: dict[str, Any], asked: str, tmp_path: Path) -> None:
    message = f"recipe 'mine' asks for {asked}, which only an .mlpackage can have: leave that out for {suffix}"
    with pytest.raises(InputError, match=message):
        export.export(Checkpoint("net", network), make_recipe(values | {"name": "mine"}, "t"), tmp_path / f"a{suffix}")
    quantized = Checkpoint("net", network, quantization=Quantization({"precision": "int4"}, {}, {}))
    with pytest.raises(InputError, match=f"'net' was trained as int4, which only an .mlpackage holds: export the float one to {suffix}"):
        export.export(quantized, Recipe(), tmp_path / f"a{suffix}")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"precision": "fp32"}, ct.precision.FLOAT32),
        ({"precision": "fp16"}, ct.precision.FLOAT16),
        ({"precision": "int8"}, ct.precision.FLOAT16),
        ({"precision": "fp32", "ops": [{"match": "a", "precision": "fp32"}]}, ct.precision.FLOAT32),
        ({"precision": "int4", "otherwise": "fp16"}, ct.precision.FLOAT16),
    ],
)
def test_arithmetic_is_that_of_all_schemes(values: dict[str, Any], expected: Any) -> None:
    assert arithmetic(make_recipe(values, "t")) == expected


def variable(name: str, kind: str = "const") -> Any:
    return SimpleNamespace(name=name, op=SimpleNamespace(op_type=kind))


@pytest.mark.parametrize(
    ("match", "half"),
    [
        ("stem", False),
        ("stem_cast_fp16", False),
        ("stem_weight", False),
        ("stem.weight", True),
        ("body", True),
        ("before", True),
        ("input", True),
        ("listed_weight", False),
        ("*_weight", False),
    ],
)
def test_an_operator_computes_in_float32_that_is_called_so(match: str, half: bool) -> None:
    chosen = arithmetic(make_recipe({"ops": [{"match": match, "precision": "fp32"}]}, "t"))
    inputs = {
        "x": variable("before", "conv"),
        "weight": variable("stem.weight"),
        "values": [variable("listed_weight_to_fp16"), None],
        "none": None,
        "y": SimpleNamespace(name="input", op=None),
    }
    assert chosen.op_selector(SimpleNamespace(name="stem", inputs=inputs)) == half


@pytest.mark.parametrize(
    ("name", "weight", "match", "half"),
    [
        ("12", "x", "op_12", False),
        ("12", "x", "12", True),
        ("12", "x", "op_12_cast_fp16", False),
        ("a/b", "x", "a_b", False),
        ("a", "3.w", "var_3_w", False),
        ("a", "3.w", "op_3_w", True),
        ("a", "w_to_fp16", "w", False),
    ],
)
def test_names_are_those_that_the_package_will_have(name: str, weight: str, match: str, half: bool) -> None:
    chosen = arithmetic(make_recipe({"ops": [{"match": match, "precision": "fp32"}]}, "t"))
    assert chosen.op_selector(SimpleNamespace(name=name, inputs={"weight": variable(weight)})) == half


def test_a_network_that_takes_pixels_has_its_mean_and_deviation_in_pixels(network: FCRN) -> None:
    other = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))
    mean, deviation = other.mean.clone(), other.std.clone()
    assert taking_pixels(other) is other
    assert torch.equal(other.mean, mean * 255) and torch.equal(other.std, deviation * 255)


def test_a_trace_is_of_one_image_of_pixels() -> None:
    seen: list[torch.Tensor] = []

    class Seeing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x * 2

    traced = trace(Seeing(), (4, 6))
    assert len(seen) == 1, "a trace is not run once more to be compared"
    assert seen[0].shape == (1, 3, 4, 6)
    assert 200 < float(seen[0].max()) <= 255 and float(seen[0].min()) >= 0
    assert torch.equal(traced(torch.ones(1, 3, 4, 6)), torch.full((1, 3, 4, 6), 2.0))


@pytest.mark.parametrize("output", ["image", "array"])
@pytest.mark.parametrize(("units", "unit"), [({}, "in metres"), ({"depth": UP_TO_SCALE}, "up to a scale")])
def test_a_package_describes_itself(network: FCRN, output: str, units: dict[str, str], unit: str) -> None:
    specification = ct.proto.Model_pb2.Model()
    result = specification.description.output.add(name="depth").type
    if output == "image":
        result.imageType.height, result.imageType.width = 24, 32
    else:
        result.multiArrayType.shape.extend([1, 1, 24, 32])
    model: Any = SimpleNamespace(
        get_spec=lambda: specification, input_description={}, output_description={}, user_defined_metadata={"kept": "x"}
    )
    checkpoint = Checkpoint("net", network.eval(), TrainingRecord.from_json(units))
    describe(model, Conversion.of(checkpoint, Recipe(precision="int8", output=output, input_size=(48, 64)), coreml=True))
    assert model.short_description == f"Monocular depth {unit} (fcrn-plain, int8)."
    assert model.input_description == {"image": "RGB photo, 48×64 pixels (height × width)."}
    kind = "a one-channel Float16 image" if output == "image" else "a 1×1×h×w array"
    assert model.output_description == {"depth": f"Depth {unit}, 24×32 pixels (height × width), as {kind}."}
    assert model.user_defined_metadata["com.apple.coreml.model.preview.type"] == "depthEstimation"
    assert {"kept", "fcrn_mobile.recipe", "fcrn_mobile.version"} < set(model.user_defined_metadata)
    assert (model.author, model.license, model.version) == (artefact.AUTHOR, artefact.LICENCE, fcrn_mobile.__version__)
    mixed = make_recipe({"precision": "int8", "ops": [{"match": "a", "precision": "fp16"}]}, "t")
    describe(model, Conversion.of(checkpoint, mixed, coreml=True))
    assert model.short_description.endswith("(fcrn-plain, mixed precision).")


def test_a_trace_does_not_warn_of_what_is_fixed_on_purpose() -> None:
    class Sized(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if int(x.sum()) < 0 else x * 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trace(Sized(), (4, 6))


@pytest.fixture
def tiny() -> Checkpoint:
    return Checkpoint("tiny", FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8), input_size=(32, 32))).eval())


def test_a_package_that_is_written_says_what_it_is(tiny: Checkpoint, tmp_path: Path) -> None:
    conversion = Conversion.of(tiny, Recipe(precision="fp16"), coreml=True)
    write_coreml(conversion, tmp_path / "a.mlpackage")
    told = metadata(read_specification(tmp_path / "a.mlpackage")[0])
    assert told["author"] == artefact.AUTHOR
    assert conversion.metadata.items() <= told.items()


def test_weights_are_corrected_on_the_images_if_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "compress", lambda model, recipe: f"small {model}")
    monkeypatch.setattr(compressed, "correct", lambda *told: told)
    recipe = make_recipe({"precision": "int8", "correct": {"bias": True}}, "test")
    images: Any = SimpleNamespace(images=["an image"])
    model: Any = "model"
    for given, expected in ((images, ["an image"]), (None, ())):
        assert compressed.compressed(model, recipe, given) == ("model", "small model", recipe.correct, expected, None)
    assert compressed.compressed(model, Recipe(precision="int8"), images) == "small model"


def test_what_exists_is_refused_before_any_work(tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "completed", lambda *_: pytest.fail("it went to work"))
    (tmp_path / "a.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"a\.onnx' exists"):
        export.export(tiny, Recipe(), tmp_path / "a.onnx")


@pytest.mark.parametrize(("suffix", "writer", "told"), [(".mlpackage", coreml, True), (".onnx", onnx, False), (".aimodel", coreai, False)])
def test_settings_of_core_ml_are_told_of_a_package_alone(
    suffix: str, writer: Any, told: bool, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Conversion] = []

    def write(conversion: Conversion, path: Path, *_: Any) -> None:
        seen.append(conversion)
        path.write_bytes(b"")

    monkeypatch.setattr(writer, f"write_{writer.__name__.rpartition('.')[2]}", write)
    export.export(tiny, Recipe(precision="fp32"), tmp_path / f"a{suffix}")
    assert ("target" in seen[0].metadata[key("recipe")]) == told


def test_what_native_code_writes_is_discarded_and_heard_again_afterwards(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coreai, "find_spec", lambda name: name)
    before = len(list(Path("/dev/fd").iterdir()))
    with quiet_coreai():
        for descriptor in (1, 2):
            os.write(descriptor, b"nothing")
    assert len(list(Path("/dev/fd").iterdir())) == before, "no descriptor stays open"
    os.write(1, b"to output")
    os.write(2, b"to error")
    assert capfd.readouterr() == ("to output", "to error")


@pytest.mark.parametrize("missing", ["coreai", "coreai_torch"])
def test_both_parts_of_core_ai_are_needed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coreai, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(InputError, match=r"pip install 'fcrn-mobile\[coreai\]'"), quiet_coreai():
        pass


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", torch.float16), ("fp32", torch.float32)])
def test_an_asset_computes_in_its_precision_and_takes_pixels(
    precision: str, dtype: torch.dtype, tiny: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    program = SimpleNamespace(save_asset=lambda path, metadata: seen.update(path=path, metadata=metadata))
    monkeypatch.setattr(coreai, "find_spec", lambda name: name)
    monkeypatch.setattr(coreai, "convert", lambda network, size: seen.update(network=network, size=size) or program)
    monkeypatch.setattr(coreai, "describe", lambda conversion: conversion)
    mean = tiny.network.mean.clone()
    conversion = Conversion.of(tiny, Recipe(precision=precision), coreml=False)
    write_coreai(conversion, tmp_path / "a.aimodel")
    assert (seen["size"], seen["path"], seen["metadata"]) == ((32, 32), tmp_path / "a.aimodel", conversion)
    assert {each.dtype for each in seen["network"].parameters()} == {dtype}
    torch.testing.assert_close(seen["network"].mean, (mean * 255).to(dtype))
