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


def test_a_record_of_an_older_version_stays_as_it_is() -> None:
    with safe_open(checkpoint_path(BUILTIN), framework="numpy") as file:
        text = file.metadata()["training"]
    record = TrainingRecord.from_json(json.loads(text))
    assert json.dumps(record.to_json()) == text
    assert (record.epoch, record.start, record.units) == (28, "", METRES)
    assert record.others == {}


def test_depth_is_in_metres_unless_the_record_says_otherwise() -> None:
    assert TrainingRecord().units == METRES
    assert TrainingRecord(depth=UP_TO_SCALE).units == UP_TO_SCALE
