"""Models of a few bytes answered in the place of Core ML: what is counted, timed, copied and refused."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.mil import simulated_core_ml
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.build import write_manifest
from tests.mil.protobuf import constant, operation, tensor_type
from tests.mil.specifications import model, saved, written_program

with quiet_coremltools():
    import coremltools as ct
    from coremltools.proto import MIL_pb2

ROW = ("DOUBLE", [3])
SECOND = 10**9


def scaler(folder: Path, factor: float = 2.0, name: str = "net.mlmodel") -> str:
    made = model("scaler", {"x": ROW}, {"y": ROW})
    made.scaler.scaleValue.append(factor)
    return str(saved(made, folder, name))


@pytest.fixture
def simulated() -> Iterator[Any]:
    with simulated_core_ml("float32") as answers:
        yield answers


def test_models_and_predictions_are_counted_and_timed(simulated: Any, tmp_path: Path) -> None:
    assert (simulated.models, simulated.predictions, simulated.refusals) == (0, 0, [])
    models = [ct.models.MLModel(scaler(tmp_path, factor)) for factor in (2, 3)]
    proxy = models[0].__proxy__
    assert proxy.get_last_predict_duration_in_nano_seconds() is None
    assert [each.predict({"x": np.ones(3)})["y"].tolist() for each in (*models, models[0])] == [[2] * 3, [3] * 3, [2] * 3]
    assert (simulated.models, simulated.predictions, simulated.refusals) == (2, 3, [])
    assert 0 < proxy.get_load_duration_in_nano_seconds() < 60 * SECOND
    assert 0 < proxy.get_last_predict_duration_in_nano_seconds() < 60 * SECOND
    assert proxy.maximum_supported_specification_version() == ct.target.iOS26.value


def test_facts_of_devices_are_refused_by_every_name(simulated: Any, tmp_path: Path) -> None:
    proxy = ct.models.MLModel(scaler(tmp_path)).__proxy__
    for name in ("get_available_compute_devices", "get_all_compute_devices", "get_compute_plan", "get_model_structure"):
        with pytest.raises(RuntimeError, match="facts of a Mac"):
            getattr(proxy, name)("anything")


@pytest.mark.parametrize("linked", [True, False])
def test_a_model_is_kept_as_it_was_loaded_whatever_becomes_of_its_file(
    linked: bool, simulated: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Files are linked where the disk can do it, and copied where it cannot."""

    def no_links(*_: Any) -> None:
        raise OSError

    if not linked:
        monkeypatch.setattr(os, "link", no_links)
    path = Path(scaler(tmp_path))
    loaded = ct.models.MLModel(str(path))
    compiled = Path(ct.models.utils.compile_model(str(path), str(tmp_path / "kept.mlmodelc")))
    inner = Path(loaded.get_compiled_model_path())
    assert (inner.suffix, [file.name for file in inner.iterdir()]) == (".mlmodelc", ["source.mlmodel"])
    assert (next(inner.iterdir()).stat().st_ino == path.stat().st_ino) is linked
    path.unlink()
    for folder in (inner, compiled):
        assert ct.models.CompiledMLModel(str(folder)).predict({"x": np.ones(3)})["y"].tolist() == [2, 2, 2]


def test_a_package_is_copied_whole(simulated: Any, tmp_path: Path) -> None:
    shape = (1, 2)
    made = written_program({"x": ("FLOAT32", shape)}, {"y": ("FLOAT32", [])}, {"x": shape}, operation("add", shape, x="x", y=[1.0]))
    package = tmp_path / "net.mlpackage"
    (package / "Data/com.apple.CoreML/weights").mkdir(parents=True)
    write_manifest(package)
    saved(made, package / "Data/com.apple.CoreML", "model.mlmodel")
    loaded = ct.models.MLModel(str(package))
    shutil.rmtree(package)
    (copy,) = Path(loaded.get_compiled_model_path()).iterdir()
    assert copy.name == "source.mlpackage" and (copy / "Manifest.json").is_file()
    assert ct.models.CompiledMLModel(loaded.get_compiled_model_path()).predict({"x": np.zeros(shape)})["y"].tolist() == [[1, 1]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int8"])
def test_types_that_core_ml_is_handed_are_taken_and_others_refused(dtype: str, simulated: Any, tmp_path: Path) -> None:
    loaded = ct.models.MLModel(scaler(tmp_path))
    assert loaded.predict({"x": np.ones(3, dtype)})["y"].tolist() == [2, 2, 2]
    for other in ("int64", "uint8", "bool"):
        with pytest.raises(RuntimeError, match=f"input 'x' is {other}, coremltools hands over"):
            loaded.predict({"x": np.ones(3, other)})
    assert loaded.predict({"x": [1.0, 2.0, 3.0]})["y"].tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("declared", "dtype"), [("FLOAT16", np.float32), ("FLOAT32", np.float32), ("DOUBLE", np.float64), ("INT32", np.int32)]
)
def test_arrays_come_in_the_type_that_is_declared(declared: str, dtype: type, simulated: Any, tmp_path: Path) -> None:
    kind = (declared, [3])
    made = model("identity", {"x": kind, "n": "double", "s": "string"}, {"x": kind, "n": "double", "s": "string"})
    result = ct.models.MLModel(str(saved(made, tmp_path))).predict({"x": np.arange(3, dtype=np.float32), "n": 0.5, "s": "a"})
    assert (result["x"].dtype, result["x"].tolist()) == (dtype, [0, 1, 2])
    assert (result["n"], result["s"]) == (0.5, "a")


def test_scores_come_as_floats_by_label(simulated: Any, tmp_path: Path) -> None:
    made = model("dictVectorizer", {"x": "dictionary of string"}, {"y": "dictionary of int64"})
    made.dictVectorizer.stringToIndex.vector.extend("ab")
    result = ct.models.MLModel(str(saved(made, tmp_path))).predict({"x": {"b": 3}})["y"]
    assert result == {1: 3.0} and type(result[1]) is float


@pytest.mark.parametrize(("colour", "mode"), [("RGB", "RGBA"), ("BGR", "RGBA"), ("GRAYSCALE", "L"), ("GRAYSCALE_FLOAT16", "F")])
def test_pictures_come_as_pil_has_them_and_their_alpha_is_left_out(colour: str, mode: str, simulated: Any, tmp_path: Path) -> None:
    made = model("identity", {"x": (colour, (2, 3))}, {"x": (colour, (2, 3))})
    # Models that are compiled look at no picture themselves.
    loaded = ct.models.CompiledMLModel(ct.models.utils.compile_model(str(saved(made, tmp_path)), str(tmp_path / "net.mlmodelc")))
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = Image.fromarray(np.stack([pixels, pixels + 10, pixels + 20, pixels * 0], 2) if mode == "RGBA" else pixels)
    result = loaded.predict({"x": picture.convert("F") if mode == "F" else picture})["x"]
    assert (result.mode, result.size) == (mode, (3, 2))
    expected = np.stack([pixels, pixels + 10, pixels + 20, np.full((2, 3), 255)], 2) if mode == "RGBA" else pixels
    np.testing.assert_array_equal(np.asarray(result), expected)


def test_an_image_of_another_mode_is_refused_and_noted(simulated: Any, tmp_path: Path) -> None:
    loaded = ct.models.MLModel(str(saved(model("identity", {"x": ("RGB", (2, 3))}, {"x": ("RGB", (2, 3))}), tmp_path)))
    with pytest.raises(RuntimeError, match="is a 'L' image"):
        ct.models.CompiledMLModel(loaded.get_compiled_model_path()).predict({"x": Image.new("L", (3, 2))})
    assert len(simulated.refusals) == 1 and simulated.predictions == 0


@pytest.mark.parametrize("units", [ct.ComputeUnit.CPU_ONLY, ct.ComputeUnit.ALL])
@pytest.mark.parametrize("kind", ["neuralNetwork", "mlProgram"])
def test_a_network_whose_tensors_have_no_types_is_computed_in_float32_on_the_cpu_alone(
    kind: str, units: ct.ComputeUnit, tmp_path: Path
) -> None:
    if kind == "neuralNetwork":
        made = model(kind, {"x": ROW}, {"y": ("DOUBLE", [])})
        layer = made.neuralNetwork.layers.add(name="l", input=["x"], output=["y"])
        layer.activation.linear.alpha, layer.activation.linear.beta = 1 / 3, 0
    else:
        half = operation("mul", (3,), x="x", y=constant([1 / 3]))
        half.outputs[0].type.CopyFrom(tensor_type((3,), "FLOAT16"))
        made = written_program({"x": ROW}, {"y": ("DOUBLE", [])}, {"x": (3,)}, half)
    with simulated_core_ml():
        result = ct.models.MLModel(str(saved(made, tmp_path)), compute_units=units).predict({"x": np.ones(3)})["y"]
    exact = kind == "neuralNetwork" and units == ct.ComputeUnit.CPU_ONLY
    assert result[0] == (np.float32(1 / 3) if exact else np.float16(1 / 3))


def test_a_state_is_read_written_and_each_sequences_own(simulated: Any, tmp_path: Path) -> None:
    """The state grows by x, and is what comes out."""
    kept = MIL_pb2.ValueType()
    kept.stateType.wrappedType.CopyFrom(tensor_type((1,), "FLOAT16"))
    steps = [
        operation("read_state", (1,), ("before",), input="s"),
        operation("add", (1,), ("y",), x="before", y="x"),
        operation("write_state", outputs=(), input="s", data="y"),
    ]
    steps[0].outputs[0].type.CopyFrom(tensor_type((1,), "FLOAT16"))
    made = written_program({"x": ("FLOAT32", [1])}, {"y": ("FLOAT32", [1])}, {"x": (1,), "s": kept}, *steps)
    described = made.description.state.add(name="s").type.stateType.arrayType
    described.shape.append(1)
    described.dataType = 65552
    loaded = ct.models.MLModel(str(saved(made, tmp_path)))
    first, second = loaded.make_state(), loaded.make_state()
    x = {"x": np.float32([2])}
    assert [float(loaded.predict(x, state)["y"][0]) for state in (first, first, second)] == [2, 4, 2]
    second.write_state("s", np.float32([10]))
    assert (first.read_state("s").tolist(), second.read_state("s").tolist()) == ([4], [10])
    assert float(loaded.predict(x, second)["y"][0]) == 12
    with pytest.raises(RuntimeError, match="keeps the state 's'"):
        loaded.predict(x)


def test_a_model_in_memory_is_one_of_its_files(simulated: Any) -> None:
    made = written_program({"x": ("FLOAT32", [1])}, {"y": ("FLOAT32", [1])}, {"x": (1,)}, operation("add", x="x", y=[1.0]))
    asset = ct.models.model.MLModelAsset.from_memory(made.SerializeToString(), {"weights/unread.bin": b"anything"})
    assert ct.models.CompiledMLModel.from_asset(asset).predict({"x": np.float32([2])})["y"].tolist() == [3]
    with pytest.raises(RuntimeError, match="outside"):
        ct.models.model.MLModelAsset.from_memory(made.SerializeToString(), {"../outside.bin": b"anything"})
