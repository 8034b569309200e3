"""coremltools' own ``predict`` answered by this runtime: types and values, files and memory, and nothing left behind."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import simulated_core_ml
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct

    from .build import mb


def snapshot() -> dict[str, Any]:
    """All that coremltools' modules hold, and which there are."""
    modules = {name: dict(vars(module)) for name, module in sys.modules.items() if name.split(".")[0] == "coremltools"}
    return {f"{module}.{name}": id(value) for module, values in modules.items() for name, value in values.items()}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()


def converted(network: nn.Module, **options: Any) -> Any:
    with quiet_coremltools():
        traced = torch.jit.trace(network, torch.zeros(1, 3, 8, 8))
        settings = {
            "inputs": [ct.TensorType("x", (1, 3, 8, 8))],
            "outputs": [ct.TensorType("y")],
            "compute_precision": ct.precision.FLOAT32,
            "minimum_deployment_target": ct.target.iOS16,
        }
        return ct.convert(traced, **settings | options)


@pytest.fixture
def simulated() -> Iterator[Any]:
    with simulated_core_ml("float32") as answers:
        yield answers


def pixels(height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


X = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)


def test_a_converted_model_predicts_what_its_network_gives(network: nn.Module, simulated: Any) -> None:
    result = converted(network).predict({"x": X})
    assert set(result) == {"y"} and result["y"].dtype == np.float32
    np.testing.assert_allclose(result["y"], network(torch.from_numpy(X)).detach(), rtol=1e-4, atol=1e-5)
    assert (simulated.models, simulated.predictions, simulated.refusals) == (1, 1, [])


def test_a_package_and_a_compiled_model_are_loaded_by_path(network: nn.Module, simulated: Any, tmp_path: Path) -> None:
    model = converted(network)
    model.save(str(tmp_path / "net.mlpackage"))
    expected = model.predict({"x": X})["y"]
    compiled = Path(ct.models.utils.compile_model(str(tmp_path / "net.mlpackage"), str(tmp_path / "net.mlmodelc")))
    for loaded in (ct.models.MLModel(str(tmp_path / "net.mlpackage")), ct.models.CompiledMLModel(str(compiled))):
        np.testing.assert_array_equal(loaded.predict({"x": X})["y"], expected)
    again = ct.models.CompiledMLModel(model.get_compiled_model_path())
    np.testing.assert_array_equal(again.predict({"x": X})["y"], expected)
    assert [row["y"].tolist() for row in model.predict([{"x": X}, {"x": X}])] == [expected.tolist()] * 2


def test_a_model_in_memory_is_loaded(network: nn.Module, simulated: Any) -> None:
    model = converted(network)
    weights = Path(model.weights_dir, "weight.bin").read_bytes()
    asset = ct.models.model.MLModelAsset.from_memory(model.get_spec().SerializeToString(), {"weights/weight.bin": weights})
    result = ct.models.CompiledMLModel.from_asset(asset).predict({"x": X})
    np.testing.assert_array_equal(result["y"], model.predict({"x": X})["y"])


def test_images_go_in_and_come_out_as_coremltools_has_them(simulated: Any) -> None:
    """Colours come back with an opaque alpha, as from the pixel buffers of Core ML."""
    image = ct.ImageType("x", (1, 3, 8, 6), color_layout=ct.colorlayout.BGR)
    model = converted(nn.ReLU(), inputs=[image], outputs=[ct.ImageType("y", color_layout=ct.colorlayout.RGB)])
    result = model.predict({"x": Image.fromarray(pixels(8, 6))})["y"]
    assert (result.mode, result.size) == ("RGBA", (6, 8))
    # The program's channels are BGR, which an RGB output takes for its own.
    np.testing.assert_array_equal(np.asarray(result), np.dstack([pixels(8, 6)[..., ::-1], np.full((8, 6), 255)]))


@pytest.mark.parametrize("labels", [["cat", "dog", "fox"], [7, 8, 9]])
def test_a_classifier_gives_its_label_and_a_dictionary_of_floats(labels: list[Any], simulated: Any) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(-1))
    result = converted(network, outputs=None, classifier_config=ct.ClassifierConfig(labels)).predict({"x": X})
    expected = network(torch.from_numpy(X))[0]
    scores = next(value for value in result.values() if isinstance(value, dict))
    assert result["classLabel"] == labels[int(expected.argmax())]
    assert list(scores) == labels and all(type(score) is float for score in scores.values())
    np.testing.assert_allclose(list(scores.values()), expected, rtol=1e-5)


def test_float16_declarations_are_rounded_by_default_alone(network: nn.Module) -> None:
    results = []
    for arithmetic in (None, "float16", "float32"):
        with simulated_core_ml(*([arithmetic] if arithmetic else [])):
            results.append(converted(network, compute_precision=ct.precision.FLOAT16).predict({"x": X})["y"])
    assert np.array_equal(results[0], results[1]) and not np.array_equal(results[1], results[2])


def test_what_core_ml_would_refuse_is_a_runtime_error_and_noted(network: nn.Module, simulated: Any) -> None:
    model = converted(network)
    for value, words in ((X[..., :7], "1×3×8×7"), (X.astype(np.int64), "int64")):
        with pytest.raises(RuntimeError, match=words):
            model.predict({"x": value})
    with pytest.raises(RuntimeError, match=r"Unable to compute the prediction using ML Program: .*missing"):
        model.predict({})
    assert simulated.predictions == 0 and len(simulated.refusals) == 3


def test_a_model_that_cannot_be_loaded_says_so_when_it_predicts(network: nn.Module, simulated: Any, tmp_path: Path) -> None:
    model = converted(network)
    model.save(str(tmp_path / "net.mlpackage"))
    next(tmp_path.rglob("weight.bin")).write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match="You will not be able to run predict"):
        damaged = ct.models.MLModel(str(tmp_path / "net.mlpackage"))
    with pytest.raises(RuntimeError, match=r"weight\.bin"):
        damaged.predict({"x": X})


def test_a_model_compiled_for_devices_is_refused(simulated: Any, tmp_path: Path) -> None:
    (tmp_path / "net.mlmodelc").mkdir()
    with pytest.raises(RuntimeError, match="compiled for devices"):
        ct.models.CompiledMLModel(str(tmp_path / "net.mlmodelc"))


def test_devices_are_not_made_up(simulated: Any) -> None:
    with pytest.raises(RuntimeError, match="Core ML is only simulated"):
        ct.models.MLModel.get_available_compute_devices()


def scaled(factor: float) -> Callable[[Any], Any]:
    return lambda x: mb.mul(x=x, y=factor, name="y")


def test_functions_are_chosen_by_name(simulated: Any, tmp_path: Path) -> None:
    description = ct.utils.MultiFunctionDescriptor()
    for name, factor in (("twice", 2.0), ("thrice", 3.0)):
        with quiet_coremltools():
            program = mb.program(input_specs=[mb.TensorSpec((2,))], opset_version=ct.target.iOS18)(scaled(factor))
            ct.convert(program, minimum_deployment_target=ct.target.iOS18).save(str(tmp_path / f"{name}.mlpackage"))
        description.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    description.default_function_name = "twice"
    with quiet_coremltools():
        ct.utils.save_multifunction(description, str(tmp_path / "both.mlpackage"))
    x = np.array([1, 2], np.float32)
    for name, factor in (("twice", 2), ("thrice", 3), (None, 2)):
        model = ct.models.MLModel(str(tmp_path / "both.mlpackage"), function_name=name)
        np.testing.assert_array_equal(model.predict({"x": x})["y"], factor * x)


def test_nothing_is_left_behind() -> None:
    """Not even in modules that were imported meanwhile, and after an exception."""
    sys.modules.pop("coremltools.converters.mil.testing_utils", None)
    before = snapshot()
    with pytest.raises(ZeroDivisionError), simulated_core_ml():
        from coremltools.converters.mil import testing_utils

        assert testing_utils._IS_MACOS and ct.models.utils._macos_version() >= (15, 0)
        assert snapshot() != before
        raise ZeroDivisionError
    after = snapshot()
    assert {name for name in before if after.get(name) != before[name]} == set()
    assert not testing_utils._IS_MACOS and "coremltools.libcoremlpython" not in sys.modules


def test_without_it_coremltools_predicts_on_a_mac_only(network: nn.Module) -> None:
    with pytest.raises(Exception, match="only supported on macOS"):
        converted(network).predict({"x": X})


def test_an_unknown_arithmetic_is_refused() -> None:
    with pytest.raises(InputError, match="float8"), simulated_core_ml("float8"):  # type: ignore[arg-type]
        pass
