"""Commands on pictures of which no depth is known: fidelity is measured, metrics are not, and a budget on them is one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data.spec import open_images, open_source, open_unlabelled
from fcrn_mobile.mil import Program
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.tuning import tune as tuning
from fcrn_mobile.tuning.candidates import Candidate
from tests.clips import waves, write_clip
from tests.journeys.command import refused

SIZE = (64, 96)
COUNT = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures as a folder, a list and a video, a tiny network, and its int8 package, calibrated on other pictures."""
    place = tmp_path_factory.mktemp("pictures")
    for name in ("seen", "own"):
        (place / name).mkdir()
        for index, image in enumerate(waves(COUNT, 70, 100)):
            Image.fromarray(image if name == "seen" else image[:, ::-1]).save(place / name / f"{index}.png")
    (place / "list.txt").write_text("".join(f"own/{index}.png\n" for index in range(COUNT)))
    write_clip(place / "own.mp4", waves(COUNT, 64, 96))
    torch.manual_seed(0)
    network = FCRN(preset("fcrn-plain", widths=(16, 16, 8, 8), input_size=SIZE)).eval()
    torch.nn.init.constant_(network.head.bias, 3.0)  # type: ignore[arg-type]
    save_checkpoint(network, place / "net.safetensors")
    recipe = Recipe(precision="int8", input_size=SIZE)
    export(load_checkpoint(str(place / "net.safetensors")), recipe, place / "a.mlpackage", correct=False)
    return place


@pytest.fixture
def here(folder: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.parametrize("place", ["own", "list.txt", "own.mp4"])
def test_fidelity_is_measured_without_truth(call, here: Path, place: str) -> None:
    data = f"images:{place}"
    words = ("validate", "net.safetensors", "a.mlpackage", "--data", data, "--budget")
    result = call(*words, "fidelity=0.5", "--json", "drift.json", *(["--html", "page.html"] if place == "own" else []))
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"Drift on {data}: {COUNT} images, fidelity alone: they hold no depth" in result.stdout
    assert "abs_rel" not in result.stdout.partition("candidates ran")[0]
    reference, candidate = open_runtime(str(here / "net.safetensors")), open_runtime(str(here / "a.mlpackage"))
    images = [sample.image for sample in open_images(f"images:{here / place}")]
    pairs = [(candidate.predict(image).astype(float), reference.predict(image).astype(float)) for image in images]
    facts = json.loads((here / "drift.json").read_text())
    (drift,) = facts["candidates"]
    assert drift["fidelity"]["abs_rel"] == pytest.approx(np.mean([np.mean(abs(own - true) / true) for own, true in pairs]), rel=1e-6)
    assert (drift["metrics"], drift["change"], facts["protocol"]) == ({}, {}, None)
    assert facts["reference"] == {
        "name": "net",
        "input_size": list(reference.input_size),
        "metrics": {"images": COUNT},
        "median_map": None,
        "fails": None,
    }
    assert [image["reference"] for image in drift["per_image"]] == [None] * COUNT
    if place == "own":
        page = (here / "page.html").read_text()
        assert "fidelity alone is measured" in page
        assert "true depth" not in page.partition("How to read it")[0]
        assert call(*words, f"fidelity={0.5 * drift['fidelity']['abs_rel']:.6f}").returncode == 1


def test_what_needs_a_truth_is_one_line(call, here: Path) -> None:
    compared = ("validate", "net.safetensors", "a.mlpackage", "--data", "images:own")
    for words in (compared, ("tune", "net.safetensors", "--data", "images:own", "--out", "tuned")):
        message = "budget 'abs_rel=1%' is on a metric, which needs true depth, and 'images:own' holds none: give a budget such as fidelity"
        refused(call(*words, "--budget", "fidelity=0.1", "--budget", "abs_rel=1%"), message)
        refused(call(*words, "--budget", "fidelity=0.1", "--protocol", "full"), "--protocol full says how predictions meet the truth")
    assert not (here / "tuned").exists()
    refused(call("evaluate", "net.safetensors", "--data", "images:own"), "'images:own' holds no depth")
    (here / "promise.toml").write_text('precision = "fp16"\n[budget]\ndelta1 = "0.01"\n')
    made = call("export", "net.safetensors", "--recipe", "promise.toml", "--out", "a.mlpackage", "--force")
    assert made.returncode == 0, made.stderr
    refused(call(*compared), "budget 'delta1=0.01' is on a metric")


def test_pictures_that_were_calibrated_on_are_refused_and_bad_ones_are_left_out(call, here: Path) -> None:
    words = ("--precision", "w8a8", "--calibration", "images:seen", "--calibration-images", "3", "--force")
    made = call("export", "net.safetensors", *words, "--out", "a.mlpackage")
    assert made.returncode == 0, made.stderr
    compared = ("validate", "net.safetensors", "a.mlpackage", "--data")
    refused(call(*compared, "images:seen"), "of 'images:seen' is one of the calibration images")
    (here / "own" / "1.png").write_text("no picture")
    refused(call(*compared, "images:own"), "own/1.png' is not an image")
    result = call(*compared, "images:own", "--skip-bad")
    assert (result.returncode, f"{COUNT - 1} images" in result.stdout) == (0, True), result.stderr
    assert f"1 of {COUNT} frames left out, they cannot be read: 1.png" in result.stdout


def test_diagnose_and_tune_look_at_pictures_alone(call, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = call("diagnose", "net.safetensors", "a.mlpackage", "--data", "images:own", "--images", "1")
    assert result.returncode == 0, result.stderr
    assert "1 image of images:own" in result.stdout
    monkeypatch.setattr(tuning, "candidates_for", lambda target: (Candidate("int8", "int8"),))
    sizes = ("--images", "1", "--verify-images", "2")
    result = call("tune", "net.safetensors", "--data", "images:own#train", *sizes, "--budget", "fidelity=0.5", "--out", "tuned")
    assert result.returncode == 0, result.stdout + result.stderr
    assert Program.load(next((here / "tuned").glob("*.mlpackage"))).inputs[0].shape == SIZE


def test_a_video_s_frames_are_pictures(folder: Path) -> None:
    frames = open_unlabelled(f"images:{folder / 'own.mp4'}?step=2")
    assert frames.names == ("own/000000", "own/000002", "own/000004")
    for index, image in enumerate(waves(COUNT, 64, 96)[::2]):
        assert frames[index].image.shape == (64, 96, 3)
        assert np.abs(frames[index].image.astype(int) - image).mean() < 4  # as a codec and a JPEG keep it
        assert np.isnan(frames[index].depth).all()
    assert open_unlabelled(f"images:{folder / 'own'}?step=4").names == ("0.png", "4.png")
    assert np.isfinite(open_images("sample")[0].depth).any()
    assert open_images("sample#val").names == open_source("sample#val").names
