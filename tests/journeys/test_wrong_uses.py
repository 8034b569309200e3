"""Models and model configs that cannot be used: one line that says what there is and what to do, exit code 2, and nothing written.

``validate`` ends with 1 for a budget that was measured and broke, and for nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.command import Result, call, refused
from tests.mil.build import mb, save_program
from tests.mil.damage import specification
from tests.runtimes.wrong_models import ONNX, PACKAGES, TensorProto, depth_of, save_image_package, save_onnx

__all__ = ["call"]

SIZE = (8, 12)
INPUT = "depth = 'inverse'\nmean = 0\nstd = 1\n"


@dataclass(frozen=True)
class Use:
    """What makes a model in a folder, the model config beside it, more options, and words of the refusal."""

    make: Callable[[Path], Path]
    config: str
    words: tuple[str, ...]
    options: tuple[str, ...] = ()


def onnx(case: str, **changes: object) -> Callable[[Path], Path]:
    return lambda folder: save_onnx(folder / "m.onnx", replace(ONNX[case], **changes))  # type: ignore[arg-type]


def package(case: str) -> Callable[[Path], Path]:
    return PACKAGES[case][0]


def array(folder: Path) -> Path:
    return save_program(folder, depth_of, [np.zeros((1, 3, *SIZE), np.float32)])


def picture(folder: Path) -> Path:
    return save_image_package(folder, depth_of)


def two_maps(folder: Path) -> Path:
    return save_image_package(folder, lambda x0: (depth_of(x0), mb.relu(x=x0, name="colours")))


def with_metadata(key: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        model = picture(folder)

        def write(proto: object) -> None:
            proto.description.metadata.userDefined[f"fcrn_mobile.{key}"] = text  # type: ignore[attr-defined]

        specification(write)(model)
        return model

    return make


def written(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return make


HALF_GRAY = {"dtype": TensorProto.FLOAT16, "shape": (1, *SIZE, 1), "output": TensorProto.FLOAT16, "output_shape": (1, *SIZE, 1)}
USES: dict[str, Use] = {
    "a float16, one-channel, channels-last .onnx": Use(onnx("one channel", **HALF_GRAY), "", ("takes 'x', float16 1×8×12×1",)),
    "and with a contract": Use(onnx("one channel", **HALF_GRAY), INPUT, ("takes 'x', float16 1×8×12×1", "1×3×height×width")),
    "uint8 pixels": Use(onnx("uint8 input"), INPUT, ("takes 'x', uint8",)),
    "a network of 21 channels": Use(onnx("21 channels out"), "", ("gives 'y', float32 1×21×8×12", "one map")),
    "a vector": Use(onnx("vector"), "", ("gives 'y', float32 1×3", "one map")),
    "whole numbers": Use(onnx("whole numbers out"), INPUT, ("gives 'y', int32 1×1×8×12",)),
    "two inputs": Use(onnx("two inputs"), INPUT, ("takes 2 tensors ('x', float32 1×3×8×12; 'z'",)),
    "two outputs": Use(onnx("two outputs"), "", ("gives 2 tensors ('y'", 'output = "NAME"', "--model-config FILE")),
    "two outputs of a package": Use(two_maps, "", ("gives 2 tensors ('depth'", 'output = "NAME"')),
    "no such output": Use(
        two_maps, "depth = 'metres'\noutput = 'dept'", ("gives 2 tensors ('depth'", "no output 'dept'", "correct output")
    ),
    "an output that is no map": Use(two_maps, "depth = 'metres'\noutput = 'colours'", ("gives 'colours', FLOAT32 array 1×3×8×12",)),
    "an open size": Use(onnx("open size"), INPUT, ("1×3×?×?", "sizes = [[height, width]]")),
    "an open size without a contract": Use(onnx("open size"), "", ("1×3×?×?", "sizes = [[height, width]]")),
    "sizes that contradict": Use(picture, "depth = 'metres'\nsizes = [[16, 16]]", ("RGB image 8×12", "sizes in its contract")),
    "a multiple that contradicts": Use(picture, "depth = 'metres'\nmultiple = 32", ("RGB image 8×12", "multiple in its contract")),
    "an array that nobody describes": Use(array, "", ("takes 'x0', FLOAT32 array 1×3×8×12", "mean = 0, std = 1", "--model-config FILE")),
    "an array without its values": Use(array, "depth = 'metres'", ("takes 'x0'", "does not say which values", "mean, std")),
    "a layout that contradicts": Use(array, INPUT + "layout = 'channels-last'", ("array 1×3×8×12", "channels-last as its contract says")),
    "channels last that nobody says": Use(onnx("channels last"), INPUT, ("its channels last", 'layout = "channels-last"')),
    "a mean for a picture": Use(picture, INPUT, ("RGB image 8×12", "needs no mean and std")),
    "a gray picture": Use(package("gray input"), "depth = 'metres'", ("GRAYSCALE image", "one RGB image")),
    "a wrong key": Use(picture, "depth = 'metres'\nchanels = 'BGR'", ("unknown key 'chanels'", "did you mean 'channels'?")),
    "no meaning of depth": Use(picture, "output = 'depth'", ("depth is missing", '"inverse"')),
    "another meaning of depth": Use(picture, "depth = 'disparity'", ("depth is 'disparity'", "metres, scale, inverse")),
    "half a normalisation": Use(array, "depth = 'metres'\nmean = 0.5", ("mean is given without std",)),
    "no TOML": Use(picture, "depth: metres", ("not valid TOML",)),
    "no such model config": Use(picture, "", ("no model config at 'none.toml'",), ("--model-config", "none.toml")),
    "two model configs": Use(picture, "", ("is a second one for all models",), ("--model-config", "a.toml", "--model-config", "b.toml")),
    "metadata of another meaning": Use(with_metadata("output_units", "feet"), "", ("metadata of '", "depth is 'feet'")),
    "metadata that cannot be read": Use(with_metadata("contract", "{"), "", ("metadata of '", "contract is '{'")),
    "no model at all": Use(written("m.onnx", "hello"), "", ("is not a model that onnxruntime reads",)),
    "no package at all": Use(written("m.mlpackage", "hello"), "", ("m.mlpackage",)),
}


@pytest.mark.parametrize("case", USES)
def test_a_wrong_use_is_one_line_and_exit_code_2(case: str, call: Callable[..., Result], tmp_path: Path) -> None:
    use = USES[case]
    model = use.make(tmp_path)
    if use.config:
        model.with_suffix(".toml").write_text(use.config)
    Image.new("RGB", (12, 8)).save(tmp_path / "photo.png")
    before = sorted(tmp_path.rglob("*"))
    commands = [("validate", str(model), str(model), "--data", "images:photo.png", "--budget", "fidelity=0.1")]
    if len(use.options) < 3:  # a second model config is one for several models
        commands.append(("predict", str(model), "photo.png", "--out", "out"))
    for typed in commands:
        refused(call(*typed, *use.options), *use.words)
    assert sorted(tmp_path.rglob("*")) == before
