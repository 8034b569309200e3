"""A model that is no depth model is refused in one line, with exit code 2, by every backend and every command."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcrn_mobile.depth_contract import RGB_255
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil.depth_interface import DepthInterface, Port, depth_map
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.package.reading import feature_descriptions, read_specification
from fcrn_mobile.runtimes import open_runtime
from tests.coreai import needs_coreai
from tests.journeys.command import Result, call, refused
from tests.runtimes.wrong_models import NOT_OPENVINO, ONNX, PACKAGES, depth_of, save_image_package, save_onnx

__all__ = ["call"]

#: One wrong on opening and one on running, for the commands.
FEW = ("vector", "fails when it runs")


def refusal(path: Path, backend: str) -> str:
    """The one line that refuses a model, on opening or at the first picture."""
    with pytest.raises(InputError) as caught:
        open_runtime(str(path), backend).predict(np.full((8, 12, 3), 7, np.uint8))
    line = str(caught.value)
    assert line.isprintable()
    assert str(path) in line
    return line


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Executor]:
    """A process of its own: one that forks after OpenVINO has failed a few times, as loaders do, ends in a segmentation fault."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        yield executor


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("case", ONNX)
def test_an_onnx_model_that_is_none_of_depth_is_named_by_what_it_takes_or_gives(case: str, backend: str, elsewhere, tmp_path: Path) -> None:
    if backend == "openvino" and case in NOT_OPENVINO:
        pytest.skip("OpenVINO is another engine here")
    path = save_onnx(tmp_path / "wrong.onnx", ONNX[case])
    line = elsewhere.submit(refusal, path, backend).result() if backend == "openvino" else refusal(path, backend)
    assert all(word in line for word in ONNX[case].words), line
    assert ("a depth model" in line) == (case != "fails when it runs")


@pytest.mark.parametrize("case", PACKAGES)
def test_a_package_that_is_none_of_depth_is_named_by_what_it_takes_or_gives(case: str, tmp_path: Path) -> None:
    make, words = PACKAGES[case]
    package = make(tmp_path)
    line = refusal(package, "mil")
    assert all(word in line for word in words), line
    assert "a depth model" in line
    # Core ML's runtime reads the same description.
    described = feature_descriptions(read_specification(package)[0])
    inputs, outputs = ([Port.of(Feature.from_description(each)) for each in features] for features in described)
    if "gave" not in line:
        with pytest.raises(InputError, match="a depth model"):
            DepthInterface.of(f"'{package}'", inputs, outputs)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
@pytest.mark.parametrize("output", ["", "GRAYSCALE_FLOAT16"])
def test_depth_comes_as_array_or_as_half_precision_picture(color: str, output: str, tmp_path: Path) -> None:
    depth = open_runtime(str(save_image_package(tmp_path, depth_of, color, output))).predict(np.full((8, 12, 3), (3, 6, 9), np.uint8))
    np.testing.assert_array_equal(depth, np.full((8, 12), 6, np.float32))


@pytest.mark.parametrize("shape", [(8, 12), (1, 8, 12), (1, 1, 8, 12), (1, 1, 1, 8, 12), (8, 12, 1), (1, 8, 12, 1), (1, 8, 12, 1, 1)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_axes_of_length_one_around_the_map_say_nothing(shape: tuple[int, ...], dtype: str) -> None:
    values = np.arange(96, dtype=dtype)
    depth = depth_map(values.reshape(shape))
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, values.reshape(8, 12))


@pytest.mark.parametrize(
    "shape", [(), (3,), (1, 3), (1, 1), (2, 1), (8, 1), (1, 8, 1), (2, 8, 12), (8, 1, 12), (3, 1, 8, 12), (0, 5), (5, 0)]
)
def test_what_is_left_has_to_be_a_map(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="a depth model gives one map"):
        depth_map(np.ones(shape, np.float32))


@pytest.mark.parametrize("case", FEW)
@pytest.mark.parametrize(
    "words", ["evaluate MODEL --data sample", "validate builtin MODEL --data sample", "predict MODEL photo.png --out out"]
)
def test_commands_end_with_exit_code_2_and_leave_nothing(words: str, case: str, call: Callable[..., Result], tmp_path: Path) -> None:
    save_onnx(tmp_path / "wrong.onnx", ONNX[case])
    Image.new("RGB", (12, 8), (9, 9, 9)).save(tmp_path / "photo.png")
    before = sorted(tmp_path.iterdir())
    refused(call(*words.replace("MODEL", "wrong.onnx").split()), "wrong.onnx", *ONNX[case].words)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("case", ["vector", "8-bit picture"])
@pytest.mark.parametrize("words", ["validate MODEL builtin --data sample", "diagnose MODEL MODEL --data sample"])
def test_commands_on_packages_do_too(words: str, case: str, call: Callable[..., Result], tmp_path: Path) -> None:
    make, _ = PACKAGES[case]
    package = make(tmp_path)
    refused(call(*words.replace("MODEL", str(package)).split()))
    # It is a sound package all the same.
    assert call("inspect", str(package)).returncode == 0


def test_a_process_of_its_own_ends_so_too(call: Callable[..., Result], tmp_path: Path) -> None:
    save_onnx(tmp_path / "wrong.onnx", ONNX["fails when it runs"])
    refused(call("bench", "wrong.onnx", "--runs", "2"), "wrong.onnx' fails when it runs")


@needs_coreai
@pytest.mark.parametrize("channels", [1, 3])
def test_a_core_ai_asset_too(channels: int, tmp_path: Path) -> None:
    from fcrn_mobile.conversion.coreai import quiet_coreai

    class Wrong(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.relu()

    path = tmp_path / "wrong.aimodel"
    with quiet_coreai():
        from coreai.runtime import AIModelAssetMetadata
        from coreai_torch import TorchConverter, get_decomp_table

        exported = torch.export.export(Wrong(), (torch.zeros(1, channels, 8, 12),)).run_decompositions(get_decomp_table())
        converter = TorchConverter(mode=TorchConverter.Mode.RELEASE)
        converter.add_exported_program(exported, input_names=["image"], output_names=["depth"])
        metadata = AIModelAssetMetadata()
        metadata.set_custom("fcrn_mobile.input_values", RGB_255)
        converter.to_coreai().save_asset(path, metadata=metadata)
    line = refusal(path, "coreai")
    assert ("takes 'image', float32 1×1×8×12" if channels == 1 else "gives 'depth', float32 1×3×8×12") in line
