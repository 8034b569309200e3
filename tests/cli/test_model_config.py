"""``--model-config``: whose file is whose."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.cli.model_config import model_configs
from fcrn_mobile.errors import InputError
from tests.journeys.command import Result, call, refused
from tests.mil.build import mb, save_program

__all__ = ["call"]

IMAGENET = 'depth = "scale"\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n'


@pytest.mark.parametrize(
    ("texts", "files"),
    [
        ([], {}),
        (["m.toml"], {"a.onnx": "m.toml", "b.mlpackage": "m.toml"}),
        (["a.onnx=own.toml", "m.toml"], {"a.onnx": "own.toml", "b.mlpackage": "m.toml"}),
        (["builtin=own.toml"], {"builtin": "own.toml"}),
        (["./b.mlpackage=x=y.toml"], {"b.mlpackage": "x=y.toml"}),
        (["x=y.toml"], {"a.onnx": "x=y.toml", "b.mlpackage": "x=y.toml"}),
    ],
)
def test_a_file_is_of_its_model_or_of_all_but_checkpoints(texts: list[str], files: dict[str, str]) -> None:
    models = ["builtin", "a.onnx", "./b.mlpackage", "run/best.safetensors"]
    assert model_configs(models, texts).files == {Path(model): Path(file) for model, file in files.items()}


@pytest.mark.parametrize("texts", [["m.toml", "n.toml"], ["a.onnx=m.toml", "a.onnx=n.toml"]])
def test_two_files_for_one_model_are_refused(texts: list[str]) -> None:
    with pytest.raises(InputError, match="--model-config '"):
        model_configs(["a.onnx"], texts)


def _bright(x0: Any) -> Any:
    """The mean of the normalised channels, above 0."""
    return mb.add(x=mb.reduce_mean(x=x0, axes=[1], keep_dims=True), y=np.float32(3), name="depth")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A package with an array input, and its model config elsewhere."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "m.toml").write_text(IMAGENET)
    return save_program(tmp_path, _bright, [np.zeros((1, 3, 8, 12), np.float32)])


@pytest.mark.parametrize(
    "words",
    [
        "evaluate MODEL --data sample#val --median-scaling",
        "validate MODEL MODEL --data sample#val",
        "predict MODEL photo.png --out out",
        "diagnose MODEL MODEL --data sample --images 1",
    ],
)
def test_commands_open_a_foreign_package_by_it(words: str, foreign: Path, call: Callable[..., Result], tmp_path: Path) -> None:
    Image.new("RGB", (24, 16), (90, 120, 150)).save(tmp_path / "photo.png")
    typed = words.replace("MODEL", str(foreign)).split()
    refused(call(*typed), "takes 'x0'", "--model-config FILE")
    refused(call(*typed, "--model-config", "configs/none.toml"), "no model config at 'configs/none.toml'")
    result = call(*typed, "--model-config", "configs/m.toml")
    assert result.returncode == 0, result.stderr


def test_inspect_shows_the_contract(foreign: Path, call: Callable[..., Result]) -> None:
    assert "contract" not in json.loads(call("inspect", str(foreign), "--json", "-").stdout)
    facts = json.loads(call("inspect", str(foreign), "--model-config", "configs/m.toml", "--json", "-").stdout)
    assert facts["contract"] == {"depth": "scale", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    text = call("inspect", "builtin").stdout
    assert "contract\n  depth                                metres\n" in text


def test_what_a_crop_leaves_out_has_no_depth_and_is_not_measured(foreign: Path, call: Callable[..., Result], tmp_path: Path) -> None:
    """A picture twice as wide as the model's: the middle half has depth. Metrics of NaN would be a broken budget."""
    (tmp_path / "configs" / "m.toml").write_text(IMAGENET + 'framing = "crop"\n')
    Image.new("RGB", (96, 32), (90, 120, 150)).save(tmp_path / "photo.png")
    config = ("--model-config", "configs/m.toml")
    result = call("predict", str(foreign), "photo.png", "--out", "out", *config)
    assert result.returncode == 0, result.stderr
    assert "50 % of pixels not finite" in result.stdout
    depth = np.asarray(Image.open(tmp_path / "out" / "photo.depth.png"))
    assert depth.shape == (8, 24)
    assert (depth[:, 6:18] > 0).all()
    assert not depth[:, :6].any() and not depth[:, 18:].any()
    for typed in (("evaluate", str(foreign)), ("validate", str(foreign), str(foreign))):
        refused(call(*typed, "--data", "sample#val", *config), "sees the middle of pictures alone")
