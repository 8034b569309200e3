import sys

import numpy as np
import pytest

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.runtimes import open_runtime


@pytest.fixture(scope="module")
def onnx_path(builtin, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    export(builtin, Recipe(precision="fp32", output="array"), path)
    return path


@pytest.mark.parametrize("size", [(224, 320), (97, 131), (480, 640)])
def test_all_runtimes_agree_on_images_of_any_size(packages, onnx_path, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = open_runtime("builtin").predict(image)
    assert expected.shape == (112, 160)
    assert expected.dtype == np.float32
    for runtime in (open_runtime(str(packages["fp32"]), "mil", "float32"), open_runtime(str(onnx_path))):
        depth = runtime.predict(image)
        assert depth.dtype == np.float32
        assert np.abs(depth - expected).max() / np.abs(expected).max() < 1e-3


def test_a_runtime_says_what_it_runs(packages, onnx_path, builtin) -> None:
    mil = open_runtime(str(packages["int8"]), "mil")
    assert (mil.name, mil.backend, mil.input_size) == ("int8", "mil", (224, 320))
    assert mil.metadata["fcrn_mobile.checkpoint_sha256"] == builtin.sha256
    onnx = open_runtime(str(onnx_path))
    assert (onnx.name, onnx.backend, onnx.input_size) == ("net", "onnxruntime", (224, 320))
    assert onnx.metadata["fcrn_mobile.checkpoint_sha256"] == builtin.sha256
    assert open_runtime("builtin").backend == "torch"


def test_bad_choices_are_named(packages, tmp_path) -> None:
    for model, backend, message in [
        ("builtin", "tpu", "unknown backend 'tpu'"),
        ("builtin", "mil", r"runs \.mlpackage files"),
        ("model.tflite", "auto", "is not a model"),
        (str(tmp_path / "none.mlpackage"), "auto", "no model at"),
    ]:
        with pytest.raises(InputError, match=message):
            open_runtime(model, backend)
    broken = tmp_path / "broken.onnx"
    broken.write_text("hello")
    with pytest.raises(InputError, match="onnxruntime"):
        open_runtime(str(broken))


@pytest.mark.skipif(sys.platform == "darwin", reason="asks what happens away from macOS")
def test_core_ml_away_from_macos_names_the_way_out(packages) -> None:
    with pytest.raises(InputError, match="--backend mil"):
        open_runtime(str(packages["fp16"]), "coreml")


@pytest.mark.skipif(sys.platform != "darwin", reason="Core ML runs on macOS only: not run here")
def test_core_ml_agrees_with_the_float_network(packages) -> None:
    image = np.random.default_rng(0).integers(0, 256, (224, 320, 3), dtype=np.uint8)
    expected = open_runtime("builtin").predict(image)
    depth = open_runtime(str(packages["fp16"]), "coreml").predict(image)
    assert np.abs(depth - expected).mean() / expected.mean() < 0.02
