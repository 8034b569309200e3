"""OpenVINO, compiled torch, and the number of threads."""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes import open_runtime, torch_runtime
from fcrn_mobile.runtimes.opening import choose_backend
from tests.conftest import settled


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = settled(FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96))))
    # Depths are positive; random weights give both signs, and relative errors near zero mean nothing.
    network.head.weight.data *= 0.1
    network.head.bias.data += 5
    path = tmp_path_factory.mktemp("backends") / "net.safetensors"
    save_checkpoint(network, path)
    return path


@pytest.fixture(scope="module")
def onnx(checkpoint: Path) -> Path:
    path = checkpoint.with_suffix(".onnx")
    export(load_checkpoint(str(checkpoint)), Recipe(name="float", precision="fp32"), path)
    return path


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


def test_openvino_agrees_with_torch_and_onnxruntime(checkpoint: Path, onnx: Path, image: np.ndarray) -> None:
    depth = open_runtime(str(onnx), "openvino").predict(image)
    np.testing.assert_allclose(depth, open_runtime(str(checkpoint)).predict(image), rtol=1e-4)
    np.testing.assert_allclose(depth, open_runtime(str(onnx)).predict(image), rtol=1e-4)


def test_openvino_gives_each_result_memory_of_its_own(onnx: Path, image: np.ndarray) -> None:
    runtime = open_runtime(str(onnx), "openvino")
    first = runtime.predict(image)
    kept = first.copy()
    assert not np.array_equal(runtime.predict(255 - image), kept)
    np.testing.assert_array_equal(first, kept)


def test_openvino_tells_what_the_model_says_about_itself(onnx: Path) -> None:
    runtime = open_runtime(str(onnx), "openvino", threads=1)
    assert runtime.metadata == open_runtime(str(onnx), "onnxruntime", threads=1).metadata
    assert "fcrn_mobile.checkpoint_sha256" in runtime.metadata
    assert (runtime.name, runtime.backend, runtime.input_size) == ("net", "openvino", (64, 96))


def test_openvino_uses_the_threads_and_the_precision_that_are_asked_for(onnx: Path) -> None:
    compiled = open_runtime(str(onnx), "openvino", threads=1)._model  # type: ignore[attr-defined]
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert "float" in str(compiled.get_property("INFERENCE_PRECISION_HINT"))


def test_onnxruntime_uses_the_threads_that_are_asked_for(onnx: Path) -> None:
    session = open_runtime(str(onnx), "onnxruntime", threads=1)._session  # type: ignore[attr-defined]
    assert session.get_session_options().intra_op_num_threads == 1


def test_what_openvino_cannot_read_and_a_missing_extra_are_one_line(onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_text("hello")
    with pytest.raises(InputError, match=r"broken\.onnx' is not a model that OpenVINO reads") as refusal:
        open_runtime(str(broken), "openvino")
    assert "\n" not in str(refusal.value)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=re.escape("pip install 'fcrn-mobile[openvino]'")):
        open_runtime(str(onnx), "openvino")


def test_the_choice_without_a_word_stays_what_it_was() -> None:
    assert choose_backend("a.onnx").name == "onnxruntime"
    assert choose_backend("builtin").name == choose_backend("a.safetensors").name == "torch"


@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="torch.compile needs a C++ compiler")
def test_compiled_torch_agrees_with_eager(checkpoint: Path, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    # Compiling a whole network takes minutes on a busy machine; a small one is compiled in the same way.
    head = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 3), torch.nn.ReLU())
    monkeypatch.setattr(Checkpoint, "deployed", lambda checkpoint: head)
    expected = open_runtime(str(checkpoint)).predict(image)
    compiled = open_runtime(str(checkpoint), "torch-compiled")
    assert compiled.backend == "torch-compiled"
    np.testing.assert_allclose(compiled.predict(image), expected, rtol=1e-4, atol=1e-6)
    assert head._compiled_call_impl is not None


def test_compiled_torch_without_a_compiler_is_refused(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"):
        open_runtime(str(checkpoint), "torch-compiled")


def test_the_literal_network_is_not_rewritten_and_agrees_with_the_deployed_one(checkpoint: Path, image: np.ndarray) -> None:
    literal = open_runtime(str(checkpoint), "torch-literal")
    assert (literal.backend, literal.input_size) == ("torch-literal", (64, 96))
    network = literal._network  # type: ignore[attr-defined]
    assert {block.form for block in network.modules() if hasattr(block, "form")} == {"literal"}
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.decoder.modules())
    np.testing.assert_allclose(literal.predict(image), open_runtime(str(checkpoint)).predict(image), rtol=1e-4)


def test_threads_are_torchs_or_refused(checkpoint: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        open_runtime(str(checkpoint), threads=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    asset = tmp_path / "a.aimodel"
    asset.mkdir()
    with pytest.raises(InputError, match="leave --threads out"):
        open_runtime(str(asset), threads=2)


def test_a_second_network_is_compiled_for_its_own_size_not_for_any(tmp_path, monkeypatch) -> None:
    """Symbolic sizes take minutes to compile where fixed ones take seconds."""
    symbolic = []

    def capture(graph: torch.fx.GraphModule, inputs: list[object]) -> Callable[..., object]:
        sizes = [size for value in inputs for size in (value.shape if isinstance(value, torch.Tensor) else [value])]
        symbolic.append(any(isinstance(size, torch.SymInt) for size in sizes))
        return graph.forward

    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **settings: compile_module(self, backend=capture, **settings))
    for height in (64, 96, 128):
        network = FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(height, 96)))
        save_checkpoint(network, tmp_path / "tiny.safetensors")
        torch_runtime.CompiledTorchRuntime(str(tmp_path / "tiny.safetensors")).predict(np.zeros((height, 96, 3), np.uint8))
    assert symbolic
    assert not any(symbolic)
