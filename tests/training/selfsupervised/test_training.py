"""Runs of the objectives that need no depth, on rendered clips and rigs."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from fcrn_mobile.conversion.artefact import provenance
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.depth_maps import save_depth_png
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.runs.monitor import Monitor
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run, load_run
from fcrn_mobile.training.selfsupervised.stereo import Stereo
from fcrn_mobile.training.selfsupervised.video import Video
from fcrn_mobile.training.train import resume, train
from tests.training.selfsupervised.rendering import camera_at, render

SIZE, CAMERA = (60, 80), (70.0, 70.0, 39.5, 29.5)


def save(x: float, file: Path, depth_file: Path | None = None, number: int = 0) -> None:
    view = render(SIZE, CAMERA, camera_at(x, 0.01 * number, 0.02 * number))
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(view.image * 255).astype(np.uint8)).save(file)
    if depth_file:
        depth_file.parent.mkdir(parents=True, exist_ok=True)
        save_depth_png(view.depth, depth_file)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip/ of 20 frames, rig/ of 8 pairs, rgbd/ of 3 frames with depth, still/ of 8 equal frames."""
    folder = tmp_path_factory.mktemp("scenes")
    for number in range(20):
        save(0.06 * number - 0.6, folder / "clip" / f"{number:02d}.png", number=number)
    for number in range(8):
        for side, x in (("left", 0.0), ("right", 0.15)):
            save(x + 0.1 * number - 0.5, folder / "rig" / side / f"{number}.png")
        save(0.0, folder / "still" / f"{number}.png")
    for number in range(3):
        save(0.1 * number, folder / "rgbd" / "rgb" / f"{number}.png", folder / "rgbd" / "depth" / f"{number}.png")
    return folder


@pytest.fixture
def video(scenes: Path, tiny_config) -> Run:
    hyper = Hyperparameters(objective=Video(), epochs=2, batch_size=4, jitter=0.1)
    return Run(tiny_config, hyper, f"frames:{scenes}/clip?fx=70", encoder_weights="random")


@pytest.fixture
def stereo(scenes: Path, tiny_config) -> Run:
    hyper = Hyperparameters(objective=Stereo(), epochs=2, batch_size=4, jitter=0.1)
    return Run(tiny_config, hyper, f"stereo:{scenes}/rig?fx=70&baseline=0.15", encoder_weights="random")


def logged(folder: Path, key: str) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row[key]) for row in csv.DictReader(file) if row.get(key)]


def test_a_video_alone_gives_a_checkpoint_whose_depth_is_up_to_scale(video, tmp_path) -> None:
    checkpoint = train(video, tmp_path / "run", draw=lambda *_: np.zeros((4, 4, 3), np.uint8))
    assert checkpoint.units == "up to scale"
    assert checkpoint.network.config.inverse_depth == (10.0, 0.01)
    assert checkpoint.training.hyperparameters["objective"] == "video"
    assert checkpoint.metrics["scenes"] == 1
    assert checkpoint.metrics["loss"] == pytest.approx(min(logged(tmp_path / "run", "val/loss")), rel=1e-5)
    assert len(logged(tmp_path / "run", "train/counted_epoch")) == 2
    assert (tmp_path / "run" / "pictures" / "epoch_002.png").is_file()
    assert provenance(checkpoint, Recipe(name="x"), coreml=True)["fcrn_mobile.output_units"] == "up to scale"


def test_a_videos_depth_is_validated_median_scaled(video, scenes, tmp_path) -> None:
    hyper = replace(video.hyper, epochs=1)
    metrics = train(replace(video, hyper=hyper, val_data=f"folder:{scenes}/rgbd"), tmp_path / "run").metrics
    assert metrics["alignment"] == "median"
    assert metrics["images"] == 3


def test_a_rig_gives_a_checkpoint_in_metres(stereo, scenes, tmp_path) -> None:
    hyper = replace(stereo.hyper, epochs=1)
    checkpoint = train(replace(stereo, hyper=hyper, val_data=f"folder:{scenes}/rgbd"), tmp_path / "run")
    assert checkpoint.units == "metres"
    # The nearest point that the range allows has a disparity of 0.3 of the width.
    assert checkpoint.network.config.inverse_depth == pytest.approx((0.3 * 80 / (70 * 0.15), 0.01))
    assert checkpoint.metrics["alignment"] == "none"


def test_a_rig_is_validated_by_its_loss_without_depth(stereo, tmp_path) -> None:
    hyper = replace(stereo.hyper, epochs=1)
    assert set(train(replace(stereo, hyper=hyper), tmp_path / "run").metrics) == {"loss", "scenes"}
    assert load_run(tmp_path / "run" / "run.json").monitor == Monitor("loss")


def test_a_rig_teaches_depth(stereo, scenes, tmp_path) -> None:
    hyper = replace(stereo.hyper, epochs=8, lr=3e-3, schedule="constant")
    train(replace(stereo, hyper=hyper, data=f"stereo:{scenes}/rig?fx=70&baseline=0.15", val_data=f"folder:{scenes}/rgbd"), tmp_path / "run")
    losses = logged(tmp_path / "run", "train/loss_epoch")
    errors = logged(tmp_path / "run", "val/abs_rel")
    assert losses[-1] < losses[0]
    assert min(errors) < errors[0]


def test_a_static_clip_is_named_not_nan(video, scenes, tmp_path) -> None:
    with pytest.raises(InputError, match=r"automasking leaves 0\.00% of the pixels: the camera stands still"):
        train(replace(video, data=f"frames:{scenes}/still?fx=70", val_data=f"folder:{scenes}/rgbd"), tmp_path / "run")


@pytest.mark.parametrize("kind", ["video", "stereo"])
def test_a_resumed_run_ends_where_an_undisturbed_one_does(kind, request, tmp_path, broken_off) -> None:
    run = request.getfixturevalue(kind)
    train(run, tmp_path / "whole")
    broken_off(run, tmp_path / "parts")
    resume(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all((whole[key] == parts[key]).all() for key in whole)
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["network"]["inverse_depth"] is not None


def test_training_on_true_depth_makes_a_videos_network_metric(video, scenes, tmp_path) -> None:
    train(replace(video, hyper=replace(video.hyper, epochs=1)), tmp_path / "video")
    start = str(tmp_path / "video" / "last.safetensors")
    data = f"folder:{scenes}/rgbd"
    network = load_checkpoint(start).network.config
    run = Run(network, Hyperparameters(epochs=1, batch_size=3), data, val_data=data, start=start)
    assert train(run, tmp_path / "supervised").units == "metres"


def test_a_supervised_network_starts_a_video_with_a_head_of_its_own(video, scenes, tiny_config, tmp_path) -> None:
    data = f"folder:{scenes}/rgbd"
    supervised = Run(
        tiny_config, Hyperparameters(epochs=1, batch_size=3, lr=1e-6, manual_seed=2), data, val_data=data, encoder_weights="random"
    )
    train(supervised, tmp_path / "supervised")
    start = str(tmp_path / "supervised" / "last.safetensors")
    hyper = replace(video.hyper, epochs=1, lr=1e-9)
    train(replace(video, hyper=hyper, start=start), tmp_path / "video")
    before, after = load_file(start), load_file(tmp_path / "video" / "last.safetensors")
    assert np.allclose(before["conv.weight"], after["conv.weight"], atol=1e-5)
    assert not np.allclose(before["head.weight"], after["head.weight"], atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "magic"}, "supervised, video, stereo"),
        ({"scales": 0}, "scales is 0"),
        ({"ssim": 1.5}, "ssim is 1.5"),
        ({"explainability": 0.2}, "--mean"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message) -> None:
    with pytest.raises(InputError, match=message):
        Hyperparameters.of(settings)
