"""Sensitivities in their file, and the steps that are left to do."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fcrn_mobile.errors import InputError
from fcrn_mobile.tuning import measured
from fcrn_mobile.tuning.measured import ALL, FILE, NONE, Sensitivities, measure, open_sensitivities

INPUTS = {"checkpoint": "abc", "recipe": {"name": "x"}, "images": ["1", "2"]}


@pytest.fixture
def found(tmp_path: Path) -> Sensitivities:
    return open_sensitivities(tmp_path, dict(INPUTS))


def test_noise_is_the_mean_of_squares(found: Sensitivities) -> None:
    found.add("int8", {"a": 0.1, "b": 1.0})
    found.add("int8", {"a": 0.3, "b": float("nan")})
    assert found.square("int8", "a") == pytest.approx((0.01 + 0.09) / 2)
    assert found.square("int8", "b") == float("inf")


def test_what_was_added_is_read_again(found: Sensitivities) -> None:
    assert found.drifts == {}
    found.add("int8", {"a": 0.1, ALL: 0.2})
    found.add("int8", {"a": 0.3, ALL: 0.4})
    found.add(NONE, {NONE: 0.01})
    folder = found.path.parent
    assert found.path.read_text().startswith('{\n "schema": 1,\n "inputs": {\n')
    assert json.loads(found.path.read_text()) == {"schema": 1, "inputs": INPUTS, "drifts": found.drifts}
    assert [path.name for path in folder.iterdir()] == [FILE]
    again = open_sensitivities(folder, dict(INPUTS))
    assert again.drifts == found.drifts == {"int8": {"a": [0.1, 0.3], ALL: [0.2, 0.4]}, NONE: {NONE: [0.01]}}
    assert (again.done("int8"), again.done(NONE), again.done("int4")) == (2, 1, 0)
    again.drifts["int8"]["a"].pop()
    assert again.done("int8") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": "other"}, "measured with another checkpoint: choose another --out, or delete sensitivities.json there"),
        ({"images": ["1"]}, "other images"),
        ({"checkpoint": "other", "recipe": {}}, "another checkpoint and another --recipe"),
        ({"extra": 1}, "measured with extra"),
    ],
)
def test_other_inputs_are_named(found: Sensitivities, changes: dict[str, Any], message: str) -> None:
    found.save()
    with pytest.raises(InputError, match=message):
        open_sensitivities(found.path.parent, INPUTS | changes)


def test_inputs_of_more_than_are_asked_for_are_other_ones(found: Sensitivities) -> None:
    found.save()
    with pytest.raises(InputError, match="measured with other settings"):
        open_sensitivities(found.path.parent, {key: value for key, value in INPUTS.items() if key != "images"})


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"inputs": {}}', '{"drifts": {}}', '{"inputs": 3, "drifts": {}}'])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(InputError, match=r"sensitivities.json' is not readable as sensitivities .*delete it to measure anew"):
        open_sensitivities(tmp_path, INPUTS)


def test_only_what_is_missing_is_run(found: Sensitivities, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[str, Any]] = []

    fake: Any = SimpleNamespace(reference="float", half="half", stored={"int8": {"a": 0, "b": 0}}, replacement=lambda choice: choice)

    def weight_drifts(reference: str, images: list[int], replacements: list[dict[str, str]]) -> list[Any]:
        runs.append((reference, (images[0], replacements)))
        return [SimpleNamespace(abs_rel=len(each) / 10) for each in replacements]

    def trial_drifts(reference: str, images: list[int], trials: list[Any]) -> list[Any]:
        runs.append((trials[0].program, (images[0], trials[0].first)))
        return [SimpleNamespace(abs_rel=0.001)]

    monkeypatch.setattr(measured, "weight_drifts", weight_drifts)
    monkeypatch.setattr(measured, "trial_drifts", trial_drifts)
    frames: Any = SimpleNamespace(images=(7, 8))
    found.add(NONE, {NONE: 0.5})
    steps: list[tuple[int, int]] = []
    measure(fake, frames, {"int8": ["b"]}, found, lambda done, total: steps.append((done, total)))
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    both = [{"a": "int8", "b": "int8"}, {"b": "int8"}]
    assert runs == [("float", (7, both)), ("half", (8, 0)), ("float", (8, both))]
    assert found.drifts == {NONE: {NONE: [0.5, 0.001]}, "int8": {ALL: [0.2, 0.2], "b": [0.1, 0.1]}}
    assert json.loads(found.path.read_text())["drifts"] == found.drifts
    runs.clear()
    measure(fake, frames, {"int8": ["b"]}, found, lambda done, total: None)
    assert runs == []
