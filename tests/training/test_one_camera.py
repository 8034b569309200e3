"""What a run records of the camera that its network's metres hold for, and what it trains on."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.data.cameras import NYU, TrainingCamera
from fcrn_mobile.evaluation.focus import network_camera
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.training.distillation import FineTuning
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run, load_run, make_run, save_run
from fcrn_mobile.training.train import train
from tests.journeys.command import Result

MIXED = "sample?fx=304#val + sample?fx=608#val"


def depths(run: Run) -> list[float]:
    source = run.hyper.objective.data(run).frames.source
    return [float(np.median(source[index].depth)) for index in range(len(source))]


def test_a_mixture_is_labelled_for_the_camera_of_the_validation_data(small_run: Run) -> None:
    plain = replace(small_run, data=MIXED, val_data="sample?fx=152#val")
    own = depths(plain)
    assert own[:4] == own[4:]
    assert depths(replace(plain, one_camera=True)) == pytest.approx([d / 2 for d in own[:4]] + [d / 4 for d in own[4:]])
    assert depths(replace(plain, one_camera=True, data="sample?fx=304#val")) == own[:4], "one source is not changed"


def test_runs_of_older_versions_go_on_as_they_began(small_run: Run, tmp_path: Path) -> None:
    assert make_run({"data": "sample + sample"}).one_camera
    assert not make_run({"data": "sample"}).one_camera
    path = tmp_path / "run.json"
    for run in (small_run, replace(small_run, one_camera=True)):
        save_run(run, path)
        assert load_run(path) == run
    older = json.loads(path.read_text())
    del older["one_camera"]
    path.write_text(json.dumps(older))
    assert load_run(path) == small_run


def test_the_checkpoint_and_what_runs_it_say_the_camera(small_run: Run, tmp_path: Path) -> None:
    run = replace(small_run, hyper=replace(small_run.hyper, epochs=1), data=MIXED, val_data="sample?fx=304#val", one_camera=True)
    camera = TrainingCamera("sample", 304, 304)
    checkpoint = train(run, tmp_path / "run")
    assert checkpoint.training.camera == {"data": "sample", "focal_px": 304, "width_px": 304}
    assert network_camera(open_runtime(str(tmp_path / "run" / "best.safetensors")).metadata) == camera


def test_an_export_says_the_camera(small_run: Run, tmp_path: Path, call: Callable[..., Result]) -> None:
    run = replace(small_run, hyper=replace(small_run.hyper, epochs=1), data="sample?fx=200#val", val_data="sample#val")
    train(run, tmp_path / "run")
    assert call("export", "run/best.safetensors", "--precision", "fp16", "--out", "m.mlpackage").returncode == 0
    assert network_camera(open_runtime(str(tmp_path / "m.mlpackage")).metadata) == TrainingCamera("sample", 200, 304)


def test_fine_tuning_keeps_the_camera_of_the_float_network(small_run: Run) -> None:
    run = replace(small_run, hyper=Hyperparameters(objective=FineTuning("w8a8")), data="sample?fx=99#val", start="builtin")
    assert run.hyper.objective.camera(run, run.hyper.objective.data(run)) == NYU.camera
    assert load_checkpoint("builtin").training.camera is None
