"""``run``: inputs that are no files, results of classifiers and detectors as JSON, and the arithmetic that it used."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fcrn_mobile.cli.main import main
from fcrn_mobile.errors import InputError
from tests.mil.specifications import model, pipeline, saved
from tests.mil.test_suppression import scene, suppression
from tests.mil.test_tables import classifier


def run(made: Any, folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["run", str(saved(made, folder)), *words, "--out", str(folder / "out"), "--force"])


@pytest.mark.parametrize("classes", [["cat", "dog", "cow"], [7, 3, -1]])
def test_a_classifier_leaves_its_label_and_its_probabilities(classes: list[Any], tmp_path: Path) -> None:
    made = classifier(np.eye(3, 4), np.zeros(3), classes, "OneVsRest")
    np.save(tmp_path / "x.npy", [-1.0, 2, 0.5, 0])
    result = run(made, tmp_path, "--input", f"x={tmp_path / 'x.npy'}", "--json", str(tmp_path / "facts.json"))
    assert result.exit_code == 0, result.output
    each = 1 / (1 + np.exp([1, -2, -0.5]))
    ranked = [1, 2, 0]
    assert json.loads((tmp_path / "out/label.json").read_text()) == classes[1]
    written = json.loads((tmp_path / "out/scores.json").read_text())
    assert [entry["label"] for entry in written] == [classes[index] for index in ranked]
    np.testing.assert_allclose([entry["probability"] for entry in written], each[ranked] / each.sum(), rtol=1e-6)
    assert "main, simulated float16 arithmetic" in result.output
    assert f"label: {classes[1]}\n" in result.output
    assert f"scores: {classes[1]} {(each / each.sum())[1]:.4g}" in result.output
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["arithmetic"] == "float16"
    assert facts["outputs"][1]["files"] == [str(tmp_path / "out/scores.json")]


def test_a_detector_leaves_the_label_of_each_box_and_takes_thresholds_as_they_are_written(tmp_path: Path) -> None:
    confidence, boxes = scene(3, 12)
    shapes = {"raw_confidence": ("DOUBLE", [12, 3]), "raw_coordinates": ("DOUBLE", [12, 4]), "iou?": "double", "least?": "double"}
    stage = suppression(inputs={"iou?": "double", "least?": "double"})
    made = pipeline([stage], shapes, {"confidence": ("DOUBLE", []), "coordinates": ("DOUBLE", [])})
    np.save(tmp_path / "c.npy", confidence)
    np.save(tmp_path / "b.npy", boxes)
    words = ["--input", f"raw_confidence={tmp_path / 'c.npy'}", "--input", f"raw_coordinates={tmp_path / 'b.npy'}"]
    result = run(made, tmp_path, *words, "--input", "iou=1", "--input", "least=0.5")
    assert result.exit_code == 0, result.output
    order = np.argsort(-confidence.max(axis=1))
    order = order[confidence[order].max(axis=1) >= 0.5]
    labels = ["cat", "dog", "cow"]
    written = json.loads((tmp_path / "out/confidence.json").read_text())
    assert [entry["label"] for entry in written] == [labels[index] for index in confidence[order].argmax(axis=1)]
    np.testing.assert_allclose([entry["confidence"] for entry in written], confidence[order].max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "out/coordinates.npy"), boxes[order], rtol=1e-6)
    assert f"confidence: {written[0]['label']} {written[0]['confidence']:.4g}" in result.output
    assert run(made, tmp_path, *words, "--input", "least=2").exit_code == 0
    assert json.loads((tmp_path / "out/confidence.json").read_text()) == []


def test_a_size_for_no_picture_is_refused(tmp_path: Path) -> None:
    made = classifier(np.eye(3, 4), np.zeros(3), ["cat", "dog", "cow"], "OneVsRest")
    np.save(tmp_path / "x.npy", np.zeros(4))
    result = run(made, tmp_path, "--input", f"x={tmp_path / 'x.npy'}", "--size", "8x8")
    assert isinstance(result.exception, InputError)
    assert "--size is of pictures, and no input is one" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_numbers_texts_and_dictionaries_go_in_and_come_out(tmp_path: Path) -> None:
    kinds = {"a": "double", "b": "int64", "c": "string", "d": "dictionary of string", "e": "dictionary of int64"}
    (tmp_path / "d.json").write_text('{"k": 1.5}')
    (tmp_path / "e.json").write_text('{"3": 2}')
    made = model("identity", kinds, kinds)
    given = {"a": "0.25", "b": "-4", "c": "a//b.npy", "d": str(tmp_path / "d.json"), "e": str(tmp_path / "e.json")}

    def call(**changes: str) -> Result:
        return run(made, tmp_path, *(word for name, text in (given | changes).items() for word in ("--input", f"{name}={text}")))

    assert "input 'a' is missing: add --input a=VALUE" in str(run(made, tmp_path).exception)
    assert call().exit_code == 0
    written = {name: json.loads((tmp_path / f"out/{name}.json").read_text()) for name in kinds}
    assert written["a"] == 0.25
    assert (written["b"], written["c"]) == (-4, "a//b.npy")
    assert written["d"] == [{"label": "k", "probability": 1.5}]
    assert written["e"] == [{"label": 3, "probability": 2.0}]
    assert "not finite, and no operator ran over" in call(a="nan").stderr
    for changes, message in [
        ({"a": "much"}, "'a' is 'much': give a number"),
        ({"b": "1.5"}, "'b' is '1.5': give a whole number"),
        ({"d": str(tmp_path / "none.json")}, "none.json"),
        ({"e": str(tmp_path / "d.json")}, "'e' is a dictionary of numbers: give a .json of one"),
    ]:
        error = call(**changes).exception
        assert isinstance(error, InputError)
        assert message in str(error)
