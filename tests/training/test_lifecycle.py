"""How a run's life may go on: extended, begun again, diverged."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.runs.folder import require_new
from fcrn_mobile.training import supervised
from fcrn_mobile.training import train as training
from fcrn_mobile.training.divergence import DivergenceError, require_finite_weights
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.run import Run, extended, load_run
from fcrn_mobile.training.supervised import Supervised, SupervisedTraining
from fcrn_mobile.training.train import resume, train
from tests.journeys.command import Result, call, refused

__all__ = ["call"]


def logged(folder: Path, name: str) -> list[float]:
    with (folder / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def same_weights(first: Path, second: Path) -> None:
    for name in ("best.safetensors", "last.safetensors"):
        a, b = load_file(first / name), load_file(second / name)
        assert all(torch.equal(a[key], b[key]) for key in a)


def stopped_after(monkeypatch: pytest.MonkeyPatch, epoch: int, go: Callable[[], object]) -> None:
    """Go, and break down when an epoch, counted from 0, has been saved."""
    original = training.RunCheckpoints.on_train_epoch_end

    def stop(self, trainer, module) -> None:
        original(self, trainer, module)
        if trainer.current_epoch == epoch:
            raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(training.RunCheckpoints, "on_train_epoch_end", stop)
        with pytest.raises(RuntimeError, match="stopped"):
            go()


def test_an_extended_run_adds_a_cycle_and_goes_on_bit_for_bit_after_a_break(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lr = small_run.hyper.lr
    train(small_run, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    assert max(logged(tmp_path / "whole", "lr")) < lr * 1.001
    checkpoint = resume(tmp_path / "whole", epochs=5)
    assert checkpoint.training.epoch <= 5
    rates = logged(tmp_path / "whole", "lr")
    assert len(rates) == 10
    # The schedule's own formula: from lr/25 up to lr within three tenths of the added steps, down to lr/25/1e4.
    added = torch.optim.lr_scheduler.OneCycleLR(torch.optim.AdamW([torch.zeros(1, requires_grad=True)]), lr, total_steps=6)
    for rate in rates[4:]:
        assert rate == pytest.approx(added.get_last_lr()[0], rel=1e-6)
        added.optimizer.step()
        added.step() if added.last_epoch < 5 else None
    record = load_run(tmp_path / "whole" / "run.json")
    assert (record.hyper.epochs, record.extended_at) == (5, (2,))
    assert load_checkpoint(str(tmp_path / "whole/last.safetensors")).training.extended_at == [2]

    stopped_after(monkeypatch, 3, lambda: resume(tmp_path / "parts", epochs=5))
    resume(tmp_path / "parts", epochs=5)
    same_weights(tmp_path / "whole", tmp_path / "parts")
    before = (tmp_path / "parts" / "last.ckpt").read_bytes()
    resume(tmp_path / "parts")
    assert (tmp_path / "parts" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize(
    ("epochs", "done", "words"),
    [(9, 10, "--epochs can only add to: give more than 10"), (20, 7, "done 7 of its 10 epochs: end it with --resume 'my run' alone")],
)
def test_an_extension_that_makes_no_sense_is_refused(epochs: int, done: int, words: str, small_run: Run) -> None:
    run = replace(small_run, hyper=replace(small_run.hyper, epochs=10))
    with pytest.raises(InputError, match=words):
        extended(run, epochs, done, Path("my run"))


def test_an_extension_that_was_broken_off_stays_what_it_was(small_run: Run) -> None:
    run = replace(small_run, extended_at=(1,))
    assert extended(run, 2, 1, Path("run")) is run
    assert extended(run, 7, 2, Path("run")).extended_at == (1, 2)


def test_other_settings_do_not_go_with_a_run_that_goes_on(call: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    refused(call("train", "--resume", "run", "--epochs", "3", "--lr", "1"), "--lr does not go with --resume run")
    refused(call("train", "--resume", "run", "--epochs", "3"), "no run to resume", "--out run")


@pytest.fixture
def one_bad_picture(tmp_path: Path) -> tuple[Path, bytes]:
    """Eight pairs, one of whose pictures is none, and what it should be."""
    for part in ("rgb", "depth"):
        (tmp_path / "pairs" / part).mkdir(parents=True)
    for index in range(8):
        Image.fromarray(np.full((32, 48, 3), 30 * index, np.uint8)).save(tmp_path / f"pairs/rgb/{index}.png")
        Image.fromarray(np.full((32, 48), 1000 + index, np.uint16)).save(tmp_path / f"pairs/depth/{index}.png")
    picture = tmp_path / "pairs/rgb/3.png"
    sound = picture.read_bytes()
    picture.write_bytes(b"no picture")
    return picture, sound


def test_a_run_whose_first_epoch_failed_begins_again_either_way(
    small_run: Run, one_bad_picture: tuple[Path, bytes], tmp_path: Path
) -> None:
    picture, sound = one_bad_picture
    spec = f"folder:{tmp_path}/pairs"
    run = replace(small_run, data=spec, val_data="sample#val", hyper=replace(small_run.hyper, epochs=1))
    for name in ("resumed", "restarted"):
        with pytest.raises(InputError, match=r"3\.png"):
            train(run, tmp_path / name)
        assert not list((tmp_path / name).glob("*.safetensors"))
    picture.write_bytes(sound)
    resume(tmp_path / "resumed")
    train(run, tmp_path / "restarted")
    same_weights(tmp_path / "resumed", tmp_path / "restarted")
    for name in ("resumed", "restarted"):
        assert len(logged(tmp_path / name, "train/loss_step")) == 4
        assert len(list((tmp_path / name).glob("events*"))) == 1


def test_a_learning_rate_without_bounds_stops_with_a_line_and_leaves_nothing_that_is_not_finite(small_run: Run, tmp_path: Path) -> None:
    run = replace(small_run, hyper=replace(small_run.hyper, lr=1e30, optimizer="sgd", schedule="constant"))
    line = r"(loss is|weights are not finite) .*in epoch 1, .*step \d+: lower --lr \(now 1e\+30\).*may start again"
    with pytest.raises(InputError, match=line):
        train(run, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.safetensors"))
    require_new(tmp_path / "run")


def test_a_run_that_diverges_later_keeps_its_last_sound_epoch(small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = supervised.depth_loss
    losses = []

    def depth_loss(*arguments) -> torch.Tensor:
        losses.append(original(*arguments))
        return losses[-1] * (torch.inf if len(losses) == 4 else 1)

    monkeypatch.setattr(supervised, "depth_loss", depth_loss)
    with pytest.raises(InputError, match=r"loss is inf on .* in epoch 2, step 4: .*last\.safetensors' keeps the epoch before") as refusal:
        train(small_run, tmp_path / "run")
    assert f"--resume {tmp_path}/run/last.safetensors" in str(refusal.value)
    assert load_checkpoint(str(tmp_path / "run/last.safetensors")).training.epoch == 1
    assert torch.load(tmp_path / "run/last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("name", ["network.head.weight", "network.bn.running_mean", "average.network.conv.weight"])
def test_weights_are_looked_at_before_they_are_validated(name: str, tiny_config: FCRNConfig) -> None:
    module = SupervisedTraining(FCRN(tiny_config), Hyperparameters(ema=0.9, lr=0.25), Supervised())
    module.on_validation_epoch_start()
    module.state_dict()[name].view(-1)[-1] = torch.nan
    with pytest.raises(DivergenceError, match=rf"weights are not finite \({name}\) in epoch 1, after step 0: lower --lr \(now 0.25\)"):
        module.on_validation_epoch_start()
    with pytest.raises(DivergenceError):
        require_finite_weights(module)


def test_a_disk_that_is_full_for_the_logs_is_named_without_a_traceback(
    small_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tensorboard.summary.writer.record_writer.RecordWriter.write", full)
    folder = tmp_path / "my run"
    with pytest.raises(InputError, match=r"cannot write in '.*my run' \(No space left on device\): make room, .*--resume '.*my run'"):
        train(small_run, folder)
    assert "Traceback" not in capfd.readouterr().err


def test_the_record_says_what_was_typed_and_what_is_monitored(call: Callable[..., Result], tmp_path: Path) -> None:
    words = ["train", "--data", "sample#val", "--val-data", "sample#val", "--preset", "fcrn-plain", "--widths", "16,8,8,8"]
    words += ["--input-size", "32x48", "--encoder-weights", "random", "--epochs", "1", "--batch-size", "2", "--out", "my runs/a"]
    (tmp_path / "my runs").mkdir()
    assert call(*words).returncode == 0
    record = json.loads((tmp_path / "my runs/a/run.json").read_text())
    assert record["command"].endswith("--batch-size 2 --out 'my runs/a'")
    assert record["monitor"] == {"metric": "abs_rel", "direction": "lower"}
    # A checkpoint travels, and leaves the places on this machine behind.
    assert load_checkpoint(str(tmp_path / "my runs/a/best.safetensors")).training.command.endswith("--out a")
