"""What a run logs, read back with readers that are not ours: csv, TensorBoard's own, sqlite3 and MLflow's client."""

import csv
import io
import json
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from fcrn_mobile.data import open_source
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.evaluate import evaluate
from fcrn_mobile.evaluation.metrics import protocol
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.fcrn import preset
from fcrn_mobile.report.examples import draw_examples
from fcrn_mobile.runs.examples import Example
from fcrn_mobile.runs.folder import METRICS
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.training import tracking
from fcrn_mobile.training.hyperparameters import Hyperparameters
from fcrn_mobile.training.mlflow_store import store_uri
from fcrn_mobile.training.run import Run
from fcrn_mobile.training.supervised import SupervisedTraining
from fcrn_mobile.training.train import resume, train

PER_BATCH = ("train/loss_step", "train/delta1_step", "lr")
VALIDATED = ("abs_rel", "rmse", "log10", "delta1", "delta2", "delta3")

Series = dict[int, float]


def make_run(**hyper: Any) -> Run:
    network = preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96))
    settings = {"epochs": 2, "batch_size": 4, "schedule": "constant", "print_freq": 1} | hyper
    return Run(network, Hyperparameters.of(settings), data="sample", encoder_weights="random")


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was logged to MLflow while no network could be reached."""
    folder = tmp_path_factory.mktemp("project") / "first"
    reached: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        reached.append(address)
        raise OSError("no network here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        train(replace(make_run(), track="mlflow"), folder, draw=draw_examples)
    assert reached == []
    assert MLFLOW_DISABLE_TELEMETRY.get()
    return folder


def table(folder: Path) -> list[dict[str, float]]:
    with (folder / METRICS).open() as file:
        return [{key: float(cell) for key, cell in row.items() if cell} for row in csv.DictReader(file)]


def from_csv(folder: Path, name: str) -> Series:
    return {int(row["step"]): row[name] for row in table(folder) if name in row}


def from_tensorboard(folder: Path, name: str) -> Series:
    return {event.step: event.value for event in events(folder).Scalars(name)}


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0}).Reload()


def from_mlflow(folder: Path, name: str) -> Series:
    run = json.loads((folder / "mlflow.json").read_text())["run_id"]
    with sqlite3.connect(folder.parent / "mlflow.db") as store:
        return dict(store.execute("select step, value from metrics where run_uuid = ? and key = ?", (run, name)))


def client(folder: Path) -> tuple[MlflowClient, str]:
    record = json.loads((folder / "mlflow.json").read_text())
    return MlflowClient(record["uri"]), record["run_id"]


@pytest.mark.parametrize("name", [*PER_BATCH, "train/loss_epoch", "train/delta1_epoch", *(f"val/{key}" for key in VALIDATED)])
def test_the_three_logs_agree(tracked: Path, name: str) -> None:
    logged = from_csv(tracked, name)
    # 20 frames in batches of 4, twice.
    assert list(logged) == (list(range(10)) if name in PER_BATCH else [4, 9])
    for other in (from_tensorboard(tracked, name), from_mlflow(tracked, name)):
        assert other == pytest.approx(logged, rel=1e-6)


def test_the_means_over_an_epoch_are_those_of_its_batches(tracked: Path) -> None:
    for name in ("train/loss", "train/delta1"):
        batches, epochs = from_csv(tracked, f"{name}_step"), from_csv(tracked, f"{name}_epoch")
        assert epochs[9] == pytest.approx(np.mean([batches[step] for step in range(5, 10)]), rel=1e-5)


def test_the_logged_validation_is_that_of_the_saved_network(tracked: Path) -> None:
    measured = evaluate(open_runtime(str(tracked / "last.safetensors")), open_source("sample#val"), protocol("eigen")).compute()
    for key in VALIDATED:
        assert from_mlflow(tracked, f"val/{key}")[9] == pytest.approx(measured[key], rel=1e-4, abs=1e-6)


def test_mlflow_knows_the_run_by_its_folders_and_keeps_files_beside_its_store(tracked: Path) -> None:
    store, run_id = client(tracked)
    run = store.get_run(run_id)
    assert run.info.run_name == "first"
    assert run.info.status == "FINISHED"
    assert store.get_experiment(run.info.experiment_id).name == tracked.parent.name
    for path, name in (("checkpoints", "best.safetensors"), ("checkpoints", "last.safetensors"), ("pictures", "epoch_002.png")):
        kept = tracked.parent / "mlartifacts" / run_id / "artifacts" / path / name
        assert kept.read_bytes() == next(tracked.rglob(name)).read_bytes()


def settings_of(run: Run) -> dict[str, str]:
    """What must stand in every log, as text; what is left to an objective that this run doesn't have is no setting of it."""
    return {name: str(value) for name, value in run.hyper.flat().items() if value is not None} | {
        "data": "sample#train",
        "frames": "20",
        "val_data": "sample#val",
        "val_frames": "4",
        "input_size": "64, 96",
        "widths": "16, 8, 8, 8, 8",
        "teacher_scales": "1.0",
        "preset": "fcrn-lite0",
        "encoder_weights": "random",
    }


def test_every_log_holds_the_whole_configuration(tracked: Path) -> None:
    expected = settings_of(make_run())
    assert {name for name, value in Hyperparameters().flat().items() if value is not None} <= set(expected)
    store, run_id = client(tracked)
    in_mlflow = store.get_run(run_id).data.params
    in_yaml = yaml.safe_load((tracked / "hparams.yaml").read_text())
    in_csv = {name: ", ".join(map(str, value)) if isinstance(value, list) else str(value) for name, value in in_yaml.items()}
    text = events(tracked).Tensors("configuration/text_summary")[0].tensor_proto.string_val[0].decode()
    in_text = {name.strip(): value.strip() for name, value in (line.strip("|").split("|") for line in text.splitlines()[2:])}
    for logged in (in_mlflow, in_csv, in_text):
        assert expected.items() <= logged.items()
        steps = logged["transforms"].split("; ")
        assert [step.split()[0] for step in steps] == ["resize", "rotate", "scale", "random", "flip", "colour"]
        assert all(any(figure in step for step in steps) for figure in ("64x96", "-5..5", "1..1.5", "0.5", "0.4"))


def test_tensorboards_table_shows_the_settings_beside_the_metrics(tracked: Path) -> None:
    content = events(tracked).summary_metadata
    start = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/session_start_info"].plugin_data.content)
    values = start.session_start_info.hparams
    assert values["lr"].number_value == pytest.approx(1e-3)
    assert values["data"].string_value == "sample#train"
    assert values["random_crop"].number_value == 1
    experiment = plugin_data_pb2.HParamsPluginData.FromString(content["_hparams_/experiment"].plugin_data.content)
    shown = {info.name.tag for info in experiment.experiment.metric_infos}
    assert shown == {f"val/{key}" for key in VALIDATED}
    assert shown <= set(events(tracked).Tags()["scalars"])


def test_every_epoch_has_a_picture_in_the_folder_and_in_tensorboard(tracked: Path) -> None:
    shown = events(tracked).Images("examples")
    assert [event.step for event in shown] == [4, 9]
    for number, event in enumerate(shown, start=1):
        kept = np.asarray(Image.open(tracked / "pictures" / f"epoch_{number:03d}.png"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(event.encoded_image_string))), kept)
    assert len(list((tracked / "pictures").iterdir())) == 2


def test_the_pictures_show_fixed_frames_under_the_network_as_it_is(tmp_path: Path) -> None:
    drawn = []

    def note(examples: Sequence[Example], title: str) -> np.ndarray:
        drawn.append((examples, title))
        return np.zeros((4, 4, 3), np.uint8)

    train(make_run(), tmp_path / "run", draw=note)
    (first, _), (last, title) = drawn
    held_back = open_source("sample#val")
    network = load_checkpoint(str(tmp_path / "run/last.safetensors")).network
    for before, now, index in zip(first, last, (0, 2, 3), strict=True):
        np.testing.assert_array_equal(before.image, held_back[index].image)
        np.testing.assert_array_equal(now.true, held_back[index].depth)
        resized = Image.fromarray(now.image).resize((96, 64), Image.Resampling.BILINEAR)
        with torch.no_grad():
            prediction = network(torch.from_numpy(np.asarray(resized).transpose(2, 0, 1)[None].copy()).float() / 255)
        np.testing.assert_allclose(now.predicted, prediction[0, 0].numpy(), rtol=1e-3, atol=1e-5)
    assert f"abs_rel {from_csv(tmp_path / 'run', 'val/abs_rel')[9]:.3f}" in title


def test_the_pictures_do_not_disturb_training(tmp_path: Path) -> None:
    train(make_run(), tmp_path / "with", draw=draw_examples)
    train(make_run(), tmp_path / "without")
    assert table(tmp_path / "with") == table(tmp_path / "without")


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A tracked run that broke down in the middle of its second epoch, and its status in MLflow then."""
    folder = tmp_path_factory.mktemp("interrupted") / "run"
    original = SupervisedTraining.training_step

    def break_down(self: SupervisedTraining, batch: Any, batch_idx: int) -> torch.Tensor:
        if self.global_step == 7:
            raise RuntimeError("broken")
        return original(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SupervisedTraining, "training_step", break_down)
        with pytest.raises(RuntimeError, match="broken"):
            train(replace(make_run(), track="mlflow"), folder, draw=draw_examples)
    store, run_id = client(folder)
    yield folder, store.get_run(run_id).info.status


def test_a_run_that_broke_down_hands_over_what_it_has(interrupted: tuple[Path, str]) -> None:
    folder, status = interrupted
    assert status == "FAILED"
    store, run_id = client(folder)
    assert {item.path for item in store.list_artifacts(run_id, "checkpoints")} == {
        "checkpoints/best.safetensors",
        "checkpoints/last.safetensors",
    }


def test_a_resumed_run_logs_as_an_undisturbed_one(interrupted: tuple[Path, str], tracked: Path) -> None:
    folder, _ = interrupted
    assert max(from_csv(folder, "train/loss_step")) == 6
    before = client(folder)[1]
    record = json.loads((folder / "run.json").read_text())
    record["hyper"]["cache_mb"] = 1
    (folder / "run.json").write_text(json.dumps(record))
    resume(folder, draw=draw_examples)
    assert table(folder) == table(tracked)
    for name in (*PER_BATCH, "val/abs_rel"):
        assert from_tensorboard(folder, name) == pytest.approx(from_csv(tracked, name), rel=1e-6)
    steps = [event.step for event in events(folder).Scalars("train/loss_step")]
    assert steps == list(range(10))
    assert [event.step for event in events(folder).Images("examples")] == [4, 9]
    store, run_id = client(folder)
    assert run_id == before
    assert from_mlflow(folder, "val/abs_rel") == pytest.approx(from_csv(tracked, "val/abs_rel"), rel=1e-6)
    run = store.get_run(run_id)
    assert run.info.status == "FINISHED"
    # MLflow keeps a parameter as it first was.
    assert (run.data.params["cache_mb"], run.data.tags["resumed/cache_mb"]) == ("0", "1")


def test_a_run_without_tracking_needs_no_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    train(make_run(epochs=1), tmp_path / "plain")
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(InputError, match=r"fcrn-mobile\[tracking\]"):
        train(replace(make_run(), track="mlflow"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_store_that_fails_on_the_way_does_not_end_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = tracking.Tracking.on_train_epoch_end

    def spoil(self: tracking.Tracking, trainer: Any, module: SupervisedTraining) -> None:
        original(self, trainer, module)
        with sqlite3.connect(tmp_path / "mlflow.db") as store:
            store.execute("drop table if exists metrics")

    monkeypatch.setattr(tracking.Tracking, "on_train_epoch_end", spoil)
    train(replace(make_run(), track="mlflow"), tmp_path / "run")
    assert len(from_csv(tmp_path / "run", "val/abs_rel")) == 2
    said = [record.getMessage() for record in caplog.records if record.name == "fcrn_mobile.training.mlflow_store"]
    assert len(said) == 1
    assert "mlflow.db" in said[0]
    assert "goes on without it" in said[0]


@pytest.mark.parametrize("track", ["", "wandb", "mlflow:", "mlflow:runs.db", "mlflow:FOLDER/nowhere"])
def test_an_unknown_tracker_is_refused(tmp_path: Path, track: str) -> None:
    with pytest.raises(InputError, match="use mlflow, or mlflow:URI"):
        train(replace(make_run(), track=track), tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_cannot_be_opened_is_refused_before_training(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no database, but long enough to be taken for one by its size" * 20)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for uri in (f"sqlite:///{tmp_path}/note.txt", f"sqlite:///{tmp_path}/note.txt/mlflow.db", f"sqlite:///{tmp_path}", nobody):
            with pytest.raises(InputError, match=r"cannot open the MLflow store|no MLflow server answers"):
                train(replace(make_run(), track=f"mlflow:{uri}"), tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_a_deleted_experiment_is_refused_before_training(tmp_path: Path) -> None:
    store = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    store.delete_experiment(store.create_experiment(tmp_path.name, (tmp_path / "artifacts").as_uri()))
    with pytest.raises(InputError, match=f"'{tmp_path.name}'.*was deleted: restore it"):
        train(replace(make_run(), track="mlflow"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_store_is_beside_the_run_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_uri("mlflow", Path("runs/a")) == f"sqlite:///{tmp_path}/runs/mlflow.db"
    assert store_uri("mlflow:sqlite:///other.db", Path("runs/a")) == f"sqlite:///{tmp_path}/other.db"
    assert store_uri("mlflow:https://tracking.example", Path("runs/a")) == "https://tracking.example"
