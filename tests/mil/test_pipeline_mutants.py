"""Whatever is damaged in pipelines, boxes and tables: they run, or are refused in one line."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.package.reading import read_specification
from tests.mil.mutants import mutate, mutate_message, try_mutant
from tests.mil.specifications import model, named_program, pipeline
from tests.mil.test_suppression import suppression
from tests.mil.test_tables import VECTOR, classifier, scaler

MUTANTS = 120
PAIR = ("DOUBLE", [2])


def table(folder: Path) -> Any:
    """Features become a vector, which is scaled and classified."""
    vector = model("featureVectorizer", {"a": "double", "b": PAIR, "k": "dictionary of int64"}, {"w": VECTOR})
    for name, length in (("a", 1), ("b", 2), ("k", 1)):
        vector.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=length)
    scaled = scaler([1], [2])
    scaled.description.input[0].name, scaled.description.output[0].name = "w", "x"
    last = classifier(np.eye(3, 4), np.zeros(3), ["a", "b", "c"], "OneVsRest")
    inputs = {"a": "double", "b": PAIR, "k": "dictionary of int64"}
    return pipeline([vector, scaled, last], inputs, {"label": "string", "scores": "dictionary of string"}, "pipelineClassifier")


def detector(folder: Path) -> Any:
    shapes = {"raw_confidence": ("DOUBLE", [40, 3]), "raw_coordinates": ("DOUBLE", [40, 4]), "iou?": "double", "least?": "double"}
    results = {"confidence": ("DOUBLE", []), "coordinates": ("DOUBLE", [])}
    return pipeline([suppression(inputs={"iou?": "double", "least?": "double"})], shapes, results)


def categories(folder: Path) -> Any:
    """A pipeline in a pipeline: a text becomes a number, a vector, and one of its elements."""
    numbers = model("categoricalMapping", {"s": "string"}, {"i": "int64"})
    numbers.categoricalMapping.stringToInt64Map.map.update({"a": 3, "": 1})
    hot = model("oneHotEncoder", {"i": "int64"}, {"o": PAIR})
    hot.oneHotEncoder.int64Categories.vector.extend([3, 1])
    imputer = model("imputer", {"o": PAIR}, {"p": PAIR})
    imputer.imputer.imputedDoubleValue = 1.0
    element = model("arrayFeatureExtractor", {"p": PAIR}, {"q": "double"})
    element.arrayFeatureExtractor.extractIndex.append(1)
    return pipeline([pipeline([numbers, hot], {"s": "string"}, {"o": PAIR}), imputer, element], {"s": "string"}, {"q": "double"})


def programs(folder: Path) -> Any:
    """Two ML programs, small enough for their weights to stand in the specification."""
    weight = np.ones((2, 2), np.float32)
    stages = [read_specification(named_program(folder, weight, names))[0] for names in (("x", "y"), ("y", "z"))]
    return pipeline(stages, {"x": ("FLOAT32", [2, 2])}, {"z": ("FLOAT32", [2, 2])})


@pytest.mark.parametrize("make", [table, detector, categories, programs])
def test_mutants_run_or_are_refused_in_one_line(make: Any, tmp_path: Path) -> None:
    sound, path = make(tmp_path), tmp_path / "mutant.mlmodel"
    path.write_bytes(sound.SerializeToString())
    assert try_mutant(path) == "ran"
    outcomes = []
    for number in range(MUTANTS):
        rng, mutant = random.Random(number), type(sound)()
        mutant.CopyFrom(sound)
        for _ in range(rng.choice((1, 1, 2, 3))):
            mutate_message(mutant, rng)
        content = mutant.SerializeToString()
        path.write_bytes(mutate(content, rng) if number % 7 == 0 else content)
        outcomes.append(try_mutant(path) == "ran")
    assert MUTANTS / 10 < sum(outcomes) < MUTANTS * 9 / 10
