import csv
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fcrn_mobile.data.loading import EpochSampler
from fcrn_mobile.errors import InputError
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.supervised import Supervised
from fcrn_mobile.training.train import resume, train


@pytest.fixture
def run(small_run) -> Run:
    """On the split of a source, which a run takes of itself."""
    hyper = Hyperparameters(epochs=2, batch_size=4, lr=1e-3)
    return replace(small_run, hyper=hyper, data="sample", val_data=None)


def test_training_leaves_usable_checkpoints_and_logs(run, tmp_path) -> None:
    checkpoint = train(run, tmp_path / "run")
    folder = tmp_path / "run"
    assert {"run.json", "metrics.csv", "best.safetensors", "last.safetensors", "last.ckpt"} <= {p.name for p in folder.iterdir()}
    assert any(p.name.startswith("events.out.tfevents") for p in folder.iterdir())
    assert checkpoint.training.data == "sample#train"
    assert checkpoint.metrics["images"] == 4
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    validated = [float(row["val/abs_rel"]) for row in rows if row["val/abs_rel"]]
    assert len(validated) == 2
    assert checkpoint.metrics["abs_rel"] == pytest.approx(min(validated), rel=1e-5)


def test_a_network_learns_frames_by_heart(small_run, tmp_path) -> None:
    hyper = Hyperparameters(epochs=12, batch_size=4, lr=1e-2, schedule="constant", max_scale=1.0)
    train(replace(small_run, hyper=hyper), tmp_path / "run")
    with (tmp_path / "run" / "metrics.csv").open() as file:
        losses = [float(row["train/loss_epoch"]) for row in csv.DictReader(file) if row["train/loss_epoch"]]
    assert losses[-1] < 0.6 * losses[0]


def test_the_same_seed_gives_the_same_weights(run, tmp_path) -> None:
    short = replace(run, hyper=replace(run.hyper, epochs=1))
    for name in ("a", "b"):
        train(short, tmp_path / name)
    a, b = (load_file(tmp_path / name / "last.safetensors") for name in ("a", "b"))
    assert all(torch.equal(a[key], b[key]) for key in a)


#: What a run adds whose steps draw at random, beside the augmentation.
DRAWN = {"virtual_normals": 1.0, "drop_out": 0.2}


@pytest.mark.parametrize("drawn", [{}, DRAWN], ids=["plain", "drawn"])
def test_a_resumed_run_ends_where_an_undisturbed_one_does(drawn, run, tmp_path, broken_off) -> None:
    run = replace(run, hyper=Hyperparameters.of(run.hyper.flat() | drawn))
    train(run, tmp_path / "whole")
    broken_off(run, tmp_path / "parts")
    resume(tmp_path / "parts")
    whole, parts = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_ctrl_c_leaves_a_usable_checkpoint(tmp_path) -> None:
    command = [sys.executable, "-m", "fcrn_mobile", "train", "--data", "sample", "--encoder-weights", "random", "--preset", "fcrn-plain"]
    command += ["--widths", "16,8,8,8", "--input-size", "32x48", "--epochs", "9999", "--batch-size", "4", "--out", str(tmp_path / "run")]
    # A suite started in the background inherits an ignored SIGINT, and would hand it on.
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch 1/"):
            break
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert "interrupted" in error
    from fcrn_mobile.network.checkpoints import load_checkpoint

    assert load_checkpoint(str(tmp_path / "run" / "last.safetensors")).training.step > 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"] == "sample"


@pytest.mark.parametrize("schedule", ["plateau", "constant"])
def test_the_articles_optimizer_and_schedules_train(run, schedule, tmp_path) -> None:
    hyper = replace(run.hyper, epochs=1, optimizer="sgd", lr=0.01, schedule=schedule, objective=Supervised("berhu"))
    assert np.isfinite(train(replace(run, hyper=hyper), tmp_path / "run").metrics["abs_rel"])


def test_bfloat16_trains(run, tmp_path) -> None:
    assert np.isfinite(train(replace(run, hyper=replace(run.hyper, epochs=1, precision="bf16")), tmp_path / "run").metrics["abs_rel"])


def test_a_loss_that_explodes_names_the_frames(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("fcrn_mobile.training.supervised.depth_loss", lambda *_: torch.tensor(float("nan"), requires_grad=True))
    with pytest.raises(InputError, match="loss is nan on"):
        train(run, tmp_path / "run")


def test_a_used_folder_is_not_overwritten(run, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="--resume"):
        train(run, tmp_path / "run")
    with pytest.raises(InputError, match="no run to resume"):
        resume(tmp_path / "run")


def test_a_split_without_validation_data_is_refused(run) -> None:
    with pytest.raises(InputError, match="--val-data"):
        _ = replace(run, data="sample#train").specs


def test_epochs_visit_every_frame_in_another_order() -> None:
    sampler = EpochSampler(10, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    assert sorted(index for _, index in first) == sorted(index for _, index in second) == list(range(10))
    assert [index for _, index in first] != [index for _, index in second]
    assert {epoch for epoch, _ in second} == {1}
