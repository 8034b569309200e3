"""Which images are calibrated on, their fingerprints and what the user is told, on a source of a few made-up frames."""

import base64
import hashlib
import json
import struct
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.conversion import calibration
from fcrn_mobile.conversion.calibration import (
    CalibrationImages,
    calibrated_on,
    calibration_images,
    calibration_notes,
    check_unseen,
    content_hash,
)
from fcrn_mobile.conversion.recipe import make_recipe
from fcrn_mobile.data.source import Sample
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.quantized import Quantization
from fcrn_mobile.network.training_record import TrainingRecord
from fcrn_mobile.package.metadata import key


def frame(number: int) -> Sample:
    return Sample(np.full((2, 3, 3), number, np.uint8), np.ones((2, 3), np.float32), f"frame{number}")


@pytest.fixture
def ten(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """A source of ten frames, under any spec."""
    frames = [frame(number) for number in range(10)]
    monkeypatch.setattr(calibration, "open_images", lambda spec: frames)
    return frames


@pytest.mark.parametrize(("count", "seed"), [(1, 0), (4, 0), (4, 7), (10, 3)])
def test_the_seed_chooses_and_the_source_orders(ten: list[Sample], count: int, seed: int) -> None:
    drawn = sorted(np.random.default_rng(seed).permutation(10)[:count])
    found = calibration_images("folder:/home/me/rooms#train", count, seed)
    assert found.names == tuple(f"frame{number}" for number in drawn)
    assert [int(image[0, 0, 0]) for image in found.images] == list(drawn)
    assert found.hashes == tuple(content_hash(ten[number].image) for number in drawn)
    assert (found.data, found.seed) == ("folder:/home/me/rooms#train", seed)


def test_without_a_seed_it_is_nought(ten: list[Sample]) -> None:
    assert calibration_images("x", 3).names == calibration_images("x", 3, 0).names != calibration_images("x", 3, 1).names


@pytest.mark.parametrize("count", [-1, 0, 11])
def test_more_or_fewer_than_there_are_is_refused(ten: list[Sample], count: int) -> None:
    with pytest.raises(InputError, match=f"calibration asks for {count} images, 'x' holds 10: ask for 1 to 10"):
        calibration_images("x", count)


def test_no_spec_is_refused() -> None:
    with pytest.raises(InputError, match="no calibration data: give --calibration SPEC#split"):
        calibration_images("", 3)


def test_a_fingerprint_is_that_of_size_and_pixels() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    assert content_hash(image) == hashlib.sha256(struct.pack("<qq", 2, 3) + bytes(range(18))).hexdigest()[:16]
    assert content_hash(image) != content_hash(image.reshape(3, 2, 3))
    assert content_hash(image[:, ::-1]) == content_hash(np.ascontiguousarray(image[:, ::-1])) != content_hash(image)
    changed = image.copy()
    changed[1, 2, 2] += 1
    assert content_hash(changed) != content_hash(image)


def test_the_metadata_hold_the_fingerprints_and_no_folder() -> None:
    hashes = ("0123456789abcdef", "fedcba9876543210", "00000000000000ff")
    made = CalibrationImages("folder:/home/me/rooms#train", 7, (), (), hashes).to_metadata()
    told = json.loads(made[key("calibration")])
    assert (set(made), set(told), told["seed"]) == ({key("calibration")}, {"data", "seed", "hashes"}, 7)
    assert "/home" not in told["data"] and told["data"].endswith("rooms#train")
    assert base64.b64decode(told["hashes"]) == bytes.fromhex("".join(hashes))
    assert calibrated_on(made) == set(hashes)


def test_an_artefact_without_fingerprints_was_calibrated_on_nothing() -> None:
    assert calibrated_on({"other": "x"}) == frozenset()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"hashes": 3}', '{"hashes": "?"}', '{"hashes": "AAA"}'])
def test_fingerprints_that_cannot_be_read_are_an_error(text: str) -> None:
    with pytest.raises(InputError, match=r"in the metadata is not readable .*: export it again"):
        calibrated_on({key("calibration"): text})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "frame 'frame1' is one of .*, such as another #split"),
        ("sample", "frame 'frame1' of 'sample' is one of .*, such as sample#val"),
        ("sample#train", "frame 'frame1' of 'sample#train' is one of .*, such as another #split"),
    ],
)
def test_a_frame_that_was_calibrated_on_is_refused(data: str, message: str) -> None:
    seen = frozenset({content_hash(frame(1).image)})
    with pytest.raises(InputError, match=message):
        check_unseen(frame(1), seen, data)
    check_unseen(frame(2), seen, data)
    check_unseen(frame(1), frozenset(), data)


IMAGES = {"data": "folder:rooms#train", "images": 3, "seed": 5}


def checkpoint(data: str | None = None, learned: bool = False) -> Checkpoint:
    network = FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))
    training = TrainingRecord(data=data or "")
    return Checkpoint("net", network, training, quantization=Quantization({"precision": "int8"}, {}, {}) if learned else None)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"precision": "w8a8"}, "calibrated"),
        ({"precision": "int8", "correct": {}}, "corrected"),
        ({"precision": "w8a8", "correct": {}}, "calibrated and corrected"),
    ],
)
def test_a_note_says_what_the_images_were_for(values: dict[str, Any], said: str) -> None:
    assert calibration_notes(checkpoint("sample"), make_recipe({**values, "calibration": IMAGES}, "test")) == [
        f"{said} on 3 images of folder:rooms#train, seed 5"
    ]


def test_where_nothing_was_measured_there_is_no_note() -> None:
    assert calibration_notes(checkpoint(), make_recipe({"precision": "int8"}, "test")) == []
    assert calibration_notes(checkpoint(learned=True), make_recipe({"precision": "w8a8", "calibration": IMAGES}, "test")) == []


@pytest.mark.parametrize(
    ("data", "trained", "told"),
    [
        ("sample", "nyu", "nyu"),
        ("sample#train", "nyu", "nyu"),
        ("sample", None, "unknown data"),
        ("sample#train", "sample", None),
        ("sample", "sample#train", None),
        ("folder:sample", "nyu", None),
        ("samples", "nyu", None),
    ],
)
def test_the_sample_is_warned_of_where_the_network_was_trained_on_other_images(data: str, trained: str | None, told: str | None) -> None:
    recipe = make_recipe({"precision": "w8a8", "calibration": {**IMAGES, "data": data}}, "test")
    _, *warnings = calibration_notes(checkpoint(trained), recipe)
    assert len(warnings) == (told is not None)
    if told is not None:
        assert warnings[0].startswith(
            f"warning: that is the built-in sample, 'net' was trained on {told}: for the least drift give images of"
        )
