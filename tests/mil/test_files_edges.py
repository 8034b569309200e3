"""Values that are written down or read from files, one a step, and the files that each kind of output makes, read back by others."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.mil import MilError
from fcrn_mobile.mil.files import input_steps, output_files, read_input, readable, write_output
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule


def feature(name: str = "x", kind: Any = "array", dtype: str = "FLOAT32", shape: tuple[int, ...] = (2,), **more: Any) -> Feature:
    return Feature(name, kind, dtype, ShapeRule(shape), **more)


CLASSES = feature("odd name/1", shape=(2, 3), labels=("cat", "dog", "cow"))
CONFIDENCE = np.array([[0.25, 0.5, 0.125], [0.75, 0.0, 0.5]], np.float32)


@pytest.mark.parametrize(
    ("output", "value", "suffixes"),
    [
        (feature(shape=(2,)), np.float32([1, 2]), [".npy"]),
        (feature(kind="image", dtype="GRAYSCALE_FLOAT16", shape=(1, 2)), np.float32([[1, 2]]), [".npy"]),
        (feature(kind="image", dtype="GRAYSCALE", shape=(1, 2)), np.uint8([[1, 2]]), [".npy", ".png"]),
        (feature(kind="image", dtype="RGB", shape=(1, 2)), np.uint8([[[1, 2, 3], [4, 5, 6]]]), [".npy", ".png"]),
        (feature(kind="label", dtype="STRING"), "cat", [".json"]),
        (feature(kind="number", dtype="DOUBLE"), 2.5, [".json"]),
        (feature(kind="scores", dtype="STRING"), {"cat": 0.25, "dog": 0.75}, [".json"]),
        (CLASSES, CONFIDENCE, [".npy", ".json"]),
    ],
)
def test_each_kind_of_output_has_its_files(output: Feature, value: Any, suffixes: list[str], tmp_path: Path) -> None:
    files = output_files((output,), tmp_path)[output.name]
    stem = "odd_name_1" if output is CLASSES else "x"
    assert [file.name for file in files] == [f"{stem}{suffix}" for suffix in suffixes]
    write_output(output, value, files)
    for file in files:
        if file.suffix == ".npy":
            np.testing.assert_array_equal(np.load(file), value)
        elif file.suffix == ".png":
            np.testing.assert_array_equal(np.asarray(Image.open(file)), value)
        else:
            assert json.loads(file.read_text()) == readable(output, value)


def test_scores_come_best_first_and_rows_of_confidence_with_their_best_label() -> None:
    assert readable(feature(kind="scores"), {"cat": 0.25, "dog": 0.75, "cow": 0.5}) == [
        {"label": "dog", "probability": 0.75},
        {"label": "cow", "probability": 0.5},
        {"label": "cat", "probability": 0.25},
    ]
    assert readable(CLASSES, CONFIDENCE) == [{"label": "dog", "confidence": 0.5}, {"label": "cat", "confidence": 0.75}]
    assert readable(CLASSES, CONFIDENCE[None]) == readable(CLASSES, CONFIDENCE)
    assert readable(CLASSES, np.zeros((0, 3), np.float32)) == []
    assert readable(feature(kind="label"), "cat") == "cat"


def test_outputs_that_would_share_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MilError, match="outputs a b, a/b would share a file: rename them"):
        output_files((feature("a b"), feature("a/b")), tmp_path)
    assert output_files((feature(""),), tmp_path) == {"": [tmp_path / "_.npy"]}


@pytest.mark.parametrize(
    ("kind", "dtype", "text", "value"),
    [("label", "STRING", "7", "7"), ("label", "INT64", "-7", -7), ("number", "DOUBLE", "2.5", 2.5), ("number", "DOUBLE", "3", 3.0)],
)
def test_labels_and_numbers_are_written_down(kind: str, dtype: str, text: str, value: Any) -> None:
    found = read_input(feature(kind=kind, dtype=dtype), text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "dtype", "text", "told"),
    [
        ("number", "DOUBLE", "many", "input 'x' is 'many': give a number"),
        ("label", "INT64", "2.5", "input 'x' is '2.5': give a whole number"),
        ("label", "INT64", "9" * 90 + "x", f"input 'x' is '{'9' * 80}': give a whole number"),
        ("array", "FLOAT32", "a.png", "input 'x' is an array: give an .npy file instead of 'a.png'"),
    ],
)
def test_what_is_written_otherwise_is_named(kind: str, dtype: str, text: str, told: str) -> None:
    with pytest.raises(MilError, match=re.escape(told)):
        read_input(feature(kind=kind, dtype=dtype), text)


def test_dictionaries_come_from_json_with_the_keys_of_the_model(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"1": 2.5, "3": 4}')
    assert read_input(feature(kind="scores", dtype="STRING"), str(file)) == {"1": 2.5, "3": 4}
    assert read_input(feature(kind="scores", dtype="INT64"), str(file)) == {1: 2.5, 3: 4}
    for text in ("[1]", "{", '{"a": 1}'):
        file.write_text(text)
        with pytest.raises(MilError, match=r"give a \.json of one instead of"):
            read_input(feature(kind="scores", dtype="INT64"), str(file))


def test_arrays_come_from_npy_and_pictures_in_a_size_that_is_asked_for(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.float32([1, 2]))
    np.testing.assert_array_equal(read_input(feature(), str(tmp_path / "a.npy")), [1, 2])
    Image.new("L", (6, 4), 9).save(tmp_path / "a.png")
    gray = feature(kind="image", dtype="GRAYSCALE", shape=(8, 10))
    assert read_input(gray, str(tmp_path / "a.png")).shape == (8, 10)
    assert read_input(gray, str(tmp_path / "a.png"), (2, 3)).shape == (2, 3)
    assert read_input(feature(kind="image", dtype="GRAYSCALE", shape=(4, 6)), str(tmp_path / "a.png")).shape == (4, 6)


def test_files_of_folders_go_in_one_a_step_in_natural_order(tmp_path: Path) -> None:
    for name in ("frame10.npy", "frame2.npy", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    features = (feature("x"), feature("n", kind="number"), feature("s", kind="label"))
    given = {"x": str(tmp_path), "n": "3", "s": str(tmp_path)}
    steps = [given | {"x": str(tmp_path / name)} for name in ("frame2.npy", "frame10.npy")]
    assert input_steps(features, given) == input_steps(features, given, 2) == steps
    with pytest.raises(MilError, match="has 2 files for input 'x', there are 3 steps"):
        input_steps(features, given, 3)
    assert input_steps(features, {"n": "3"}) == [{"n": "3"}]
    assert input_steps(features, {"n": "3"}, 2) == [{"n": "3"}] * 2
    with pytest.raises(MilError, match="has no files: give a picture"):
        input_steps(features, {"x": str(tmp_path / "folder")})


def test_a_picture_of_a_size_that_is_taken_stays_as_it_is_unless_another_is_asked_for(tmp_path: Path) -> None:
    pixels = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    several = Feature("x", "image", "RGB", ShapeRule((12, 10), ((12, 10), (8, 10), (2, 3))))
    np.testing.assert_array_equal(read_input(several, str(tmp_path / "a.png")), pixels)
    smaller = np.asarray(Image.fromarray(pixels).resize((3, 2), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(read_input(several, str(tmp_path / "a.png"), (2, 3)), smaller)


def test_a_dictionary_that_is_nested_too_deep_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 200_000)
    with pytest.raises(MilError, match=r"give a \.json of one instead of"):
        read_input(feature(kind="scores", dtype="STRING"), str(tmp_path / "a.json"))
