"""From a video or a rig without any depth to a package that is validated and predicts."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.command import Result, refused
from tests.training.selfsupervised.rendering import camera_at, render

TRAIN = ["--encoder-weights", "random", "--input-size", "64x96", "--epochs", "1", "--batch-size", "4", "--out", "run"]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "clip").mkdir()
    for number in range(20):
        view = render((60, 80), (70.0, 70.0, 39.5, 29.5), camera_at(0.05 * number - 0.5, 0, 0))
        Image.fromarray(np.rint(view.image * 255).astype(np.uint8)).save(tmp_path / "clip" / f"{number:02d}.png")
    return tmp_path / "clip"


def test_a_video_becomes_a_package_whose_depth_is_never_called_metres(call: Callable[..., Result], clip: Path) -> None:
    trained = call("train", "--objective", "video", "--data", "frames:clip?fx=70", *TRAIN)
    assert trained.returncode == 0, trained.stderr
    assert "loss" in trained.stdout
    exported = call("export", "run/best.safetensors", "--precision", "fp16", "--out", "depth.mlpackage")
    assert exported.returncode == 0, exported.stderr
    assert "depth up to a scale" in exported.stdout
    assert "metre" not in exported.stdout
    seen = json.loads(call("inspect", "depth.mlpackage", "--json", "-").stdout)
    assert seen["metadata"]["fcrn_mobile.output_units"] == "up to scale"
    for model in ("run/best.safetensors", "depth.mlpackage"):
        words = ("evaluate", model, "--data", "sample#val", "--align")
        refused(call(*words, "none"), "known up to a scale only", "--align median")
    scaled = call("evaluate", "depth.mlpackage", "--data", "sample#val", "--flip", "--json", "-")
    assert json.loads(scaled.stdout)["metrics"]["alignment"] == "median", scaled.stderr
    checked = call("validate", "run/best.safetensors", "depth.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.05")
    assert checked.returncode == 0, checked.stderr + checked.stdout
    assert "metrics are of predictions brought to the truth (median)" in checked.stdout
    predicted = call("predict", "depth.mlpackage", "clip/03.png", "--out", "pictures")
    assert predicted.returncode == 0
    assert "up to a scale only" in predicted.stdout
    assert re.search(r"03\.png: \d+\.\d\d to \d+\.\d\d  ", predicted.stdout)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--objective video --data frames:clip", "add ?fx=PIXELS"),
        ("--objective video --data frames:clip?fx=70&step=10", "20 frames in a row"),
        ("--objective video --data sample", "use one of frames:PATH"),
        ("--objective stereo --data frames:clip?fx=70", "use one of stereo:PATH"),
        ("--objective magic --data sample", "supervised, video, stereo"),
        ("--data frames:clip?fx=70", "train --objective video"),
        ("--objective video --data frames:clip?fx=70 --explainability 0.2", "--mean"),
    ],
)
def test_unusable_data_is_one_line(call: Callable[..., Result], clip: Path, words: str, message: str) -> None:
    refused(call("train", *words.split(), *TRAIN), message)
    assert not (clip.parent / "run").exists()
