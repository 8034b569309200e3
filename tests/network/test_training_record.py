"""A checkpoint's record of its training: fields for what is known, everything kept, nothing added."""

import json
from typing import Any

import pytest
from safetensors import safe_open

from fcrn_mobile.network.checkpoints import checkpoint_path
from fcrn_mobile.network.forms import BUILTIN
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE, TrainingRecord


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"data": "sample#train", "frames": 3, "start": None, "extended_at": [], "monitor": None, "command": "", "epoch": 1, "step": 0},
        {"data": "sample#train", "start": "builtin", "hyperparameters": {"lr": 0.1}, "monitor": {"metric": "abs_rel"}},
        {"imported_from": "iro-cp", "file": "a.npy", "sha256": "ab"},
        {"data": "x", "of_a_later_version": [1, None], "others": "a key of somebody else"},
    ],
)
def test_a_record_is_written_as_it_was_read(values: dict[str, Any]) -> None:
    assert json.dumps(TrainingRecord.from_json(values).to_json()) == json.dumps(values)


#: As a version wrote it that knew neither how a run began nor what its depth means.
OLDER = (
    '{"data": "folder:nyu_train795.zip#train", "frames": 676, "val_data": "folder:nyu_train795.zip#val", "val_frames": 119, '
    '"encoder_weights": "imagenet", "hyperparameters": {"epochs": 30, "batch_size": 8, "loss": "l1", "optimizer": "adamw", "lr": 0.001, '
    '"schedule": "one-cycle", "lr_patience": 2, "momentum": 0.9, "weight_decay": 0.01, "seed": 1, "precision": "auto", "workers": 0, '
    '"protocol": "eigen"}, "command": "fcrn-mobile train --data folder:nyu_train795.zip --preset fcrn-lite0 --out builtin", '
    '"versions": {"fcrn-mobile": "0.1.0", "torch": "2.13.0+cpu"}, "epoch": 28, "step": 2352}'
)


def test_a_record_of_an_older_version_stays_as_it_is() -> None:
    record = TrainingRecord.from_json(json.loads(OLDER))
    assert json.dumps(record.to_json()) == OLDER
    assert (record.epoch, record.start, record.units) == (28, "", METRES)
    assert record.others == {}


def test_the_built_in_record_is_whole() -> None:
    with safe_open(checkpoint_path(BUILTIN), framework="numpy") as file:
        text = file.metadata()["training"]
    record = TrainingRecord.from_json(json.loads(text))
    assert json.dumps(record.to_json()) == text
    assert record.units == METRES
    assert record.others == {}


def test_depth_is_in_metres_unless_the_record_says_otherwise() -> None:
    assert TrainingRecord().units == METRES
    assert TrainingRecord(depth=UP_TO_SCALE).units == UP_TO_SCALE
