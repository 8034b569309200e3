"""Suppression of boxes: held against ONNX Runtime's operator, which is another implementation of the same greedy choice."""

import re
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fcrn_mobile.mil import MilError, Program
from tests.mil.specifications import model, pipeline, saved

CLASSES = 3


def suppression(per_class: bool = False, inputs: dict[str, Any] | None = None, shape: list[int] | None = None) -> Any:
    """A model with thresholds of 0.45 and 0.25 in the file."""
    arrays = {"raw_confidence": ("DOUBLE", []), "raw_coordinates": ("DOUBLE", [])}
    rows = shape or []
    made = model(
        "nonMaximumSuppression",
        {**arrays, **(inputs or {})},
        {"confidence": ("DOUBLE", [*rows, CLASSES] if rows else []), "coordinates": ("DOUBLE", [*rows, 4] if rows else [])},
    )
    for array in (made.description.input[0], made.description.input[1]):
        array.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=0, upperBound=-1)
    made.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=CLASSES, upperBound=CLASSES)
    made.description.input[1].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=4, upperBound=4)
    part = made.nonMaximumSuppression
    part.confidenceInputFeatureName, part.coordinatesInputFeatureName = "raw_confidence", "raw_coordinates"
    part.confidenceOutputFeatureName, part.coordinatesOutputFeatureName = "confidence", "coordinates"
    part.iouThreshold, part.confidenceThreshold = 0.45, 0.25
    if inputs:
        part.iouThresholdInputFeatureName, part.confidenceThresholdInputFeatureName = (name.removesuffix("?") for name in inputs)
    part.pickTop.perClass = per_class
    part.stringClassLabels.vector.extend(["cat", "dog", "cow"])
    return made


def onnx_choice(boxes: np.ndarray, scores: np.ndarray, iou: float, least: float) -> list[int]:
    """Indices of the boxes that stay by ONNX Runtime, of all classes (columns of scores) together, best first."""
    names = ["boxes", "scores", "most", "iou", "least"]
    node = helper.make_node("NonMaxSuppression", names, ["kept"], center_point_box=1)
    kinds = [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT, TensorProto.FLOAT]
    values = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, kinds, strict=True)]
    graph = helper.make_graph([node], "nms", values, [helper.make_tensor_value_info("kept", TensorProto.INT64, None)])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {
        "boxes": boxes[None].astype(np.float32),
        "scores": scores.T[None].astype(np.float32),
        "most": np.array([len(boxes)]),
        "iou": np.array([iou], np.float32),
        "least": np.array([least], np.float32),
    }
    kept = session.run(None, feeds)[0][:, 2]
    return sorted(kept.tolist(), key=lambda index: -scores[index].max())


def scene(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidence, all different, and boxes that often overlap."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(count * CLASSES).reshape(count, CLASSES) / (count * CLASSES)
    return scores, np.concatenate([rng.uniform(0.3, 0.7, (count, 2)), rng.uniform(0.1, 0.5, (count, 2))], axis=1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), count=st.integers(1, 40), per_class=st.booleans(), iou=st.floats(0.05, 0.9), least=st.floats(0.01, 0.9))
def test_the_choice_is_that_of_onnx_runtime(seed: int, count: int, per_class: bool, iou: float, least: float, tmp_path_factory) -> None:
    confidence, boxes = scene(seed, count)
    program = Program.load(saved(suppression(per_class, {"iou?": "double", "least?": "double"}), tmp_path_factory.mktemp("nms")))
    result = program.predict({"raw_confidence": confidence, "raw_coordinates": boxes, "iou": iou, "least": least})
    best = confidence.max(axis=1, keepdims=True)
    if per_class:  # each box counts in the class it is most confident of
        kept = onnx_choice(boxes, np.where(confidence == best, confidence, -1.0), iou, least)
    else:
        kept = onnx_choice(boxes, best, iou, least)
    kept.sort(key=lambda index: -best[index, 0])
    np.testing.assert_allclose(result["confidence"], confidence[kept], rtol=1e-6)
    np.testing.assert_allclose(result["coordinates"], boxes[kept], rtol=1e-6)


def test_thresholds_that_are_left_out_are_those_of_the_file_in_a_pipeline_too(tmp_path) -> None:
    confidence, boxes = scene(1, 40)
    arrays = {"raw_confidence": confidence, "raw_coordinates": boxes}
    expected = Program.load(saved(suppression(), tmp_path)).predict(arrays)
    assert 1 < len(expected["confidence"]) < 40
    stage = suppression(inputs={"iou?": "double", "least?": "double"})
    shapes = {"raw_confidence": ("DOUBLE", [40, CLASSES]), "raw_coordinates": ("DOUBLE", [40, 4]), "iou?": "double", "least?": "double"}
    program = Program.load(saved(pipeline([stage], shapes, {"confidence": ("DOUBLE", []), "coordinates": ("DOUBLE", [])}), tmp_path))
    assert {feature.name: feature.default for feature in program.inputs if feature.kind == "number"} == {"iou": 0.45, "least": 0.25}
    np.testing.assert_array_equal(program.predict(arrays)["coordinates"], expected["coordinates"])
    assert len(program.predict({**arrays, "iou": 1.0, "least": 0.0})["confidence"]) == 40
    assert next(feature for feature in program.outputs if feature.name == "confidence").labels == ("cat", "dog", "cow")


def test_thresholds_may_be_described_as_inputs_of_the_pipeline_alone(tmp_path) -> None:
    """As Ultralytics writes its detectors: the stage names them, and describes them nowhere."""
    confidence, boxes = scene(1, 40)
    arrays = {"raw_confidence": confidence, "raw_coordinates": boxes}
    stage = suppression(inputs={"iou?": "double", "least?": "double"})
    del stage.description.input[2:]
    shapes = {"raw_confidence": ("DOUBLE", [40, CLASSES]), "raw_coordinates": ("DOUBLE", [40, 4])}
    results = {"confidence": ("DOUBLE", []), "coordinates": ("DOUBLE", [])}
    expected = Program.load(saved(suppression(), tmp_path)).predict(arrays)["confidence"]
    for thresholds in ({}, {"iou?": "double"}, {"iou?": "double", "least?": "double"}):
        program = Program.load(saved(pipeline([stage], shapes | thresholds, results), tmp_path))
        np.testing.assert_array_equal(program.predict(arrays)["confidence"], expected)
    assert len(program.predict({**arrays, "iou": 1.0, "least": 0.0})["confidence"]) == 40


def test_a_fixed_number_of_rows_is_filled_up_with_zeros_or_cut_off(tmp_path) -> None:
    confidence, boxes = scene(2, 30)
    arrays = {"raw_confidence": confidence, "raw_coordinates": boxes}
    free = Program.load(saved(suppression(), tmp_path)).predict(arrays)["confidence"]
    many = Program.load(saved(suppression(shape=[50]), tmp_path)).predict(arrays)
    assert many["confidence"].shape == (50, 3)
    np.testing.assert_array_equal(many["confidence"][: len(free)], free)
    assert not many["confidence"][len(free) :].any()
    assert not many["coordinates"][len(free) :].any()
    np.testing.assert_array_equal(Program.load(saved(suppression(shape=[2]), tmp_path)).predict(arrays)["confidence"], free[:2])
    ranged = suppression()
    for output, columns in zip(ranged.description.output, (CLASSES, 4), strict=True):
        for low, high in ((1, 3), (columns, columns)):
            output.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    program = Program.load(saved(ranged, tmp_path))
    np.testing.assert_array_equal(program.predict(arrays)["confidence"], free[:3])
    assert program.predict({"raw_confidence": 0 * confidence, "raw_coordinates": boxes})["confidence"].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("silent", ["confidence", "coordinates"])
def test_either_output_says_how_many_rows_there_are(silent: str, tmp_path) -> None:
    confidence, boxes = scene(2, 30)
    made = suppression(shape=[50])
    next(output for output in made.description.output if output.name == silent).type.multiArrayType.ClearField("shape")
    many = Program.load(saved(made, tmp_path)).predict({"raw_confidence": confidence, "raw_coordinates": boxes})
    assert {name: len(value) for name, value in many.items()} == {"confidence": 50, "coordinates": 50}


def test_without_boxes_there_are_none(tmp_path) -> None:
    result = Program.load(saved(suppression(), tmp_path)).predict(
        {"raw_confidence": np.zeros((0, CLASSES)), "raw_coordinates": np.zeros((0, 4))}
    )
    assert (result["confidence"].shape, result["coordinates"].shape) == ((0, CLASSES), (0, 4))


def change(**fields: Any) -> Any:
    made = suppression()
    for name, value in fields.items():
        setattr(made.nonMaximumSuppression, name, value)
    return made


def with_input(kind: Any) -> Any:
    return suppression(inputs={"iou": kind, "least": "double"})


def labelled(*labels: str) -> Any:
    made = suppression()
    made.nonMaximumSuppression.stringClassLabels.vector[:] = labels
    return made


MALFORMED = {
    "a threshold above 1": (change(iouThreshold=1.5), "has thresholds of 1.5, 0.25"),
    "a threshold that is no number": (change(confidenceThreshold=float("nan")), "has thresholds of 0.45, nan"),
    "no confidence": (change(confidenceInputFeatureName="q"), "does not suppress boxes by 'raw_confidence'"),
    "no coordinates": (change(coordinatesOutputFeatureName=""), "does not suppress boxes by 'coordinates'"),
    "a threshold of another type": (with_input("int64"), "does not suppress boxes by 'iou', INT64 label"),
    "a label twice": (labelled("cat", "dog", "cat"), "has class labels that are no 3 different texts"),
    "a label that cannot be printed": (labelled("cat", "d\nog", "cow"), "has class labels that are no 3 different texts"),
    "a label before which cannot be printed": (labelled("c\x00at", "dog", "cow"), "has class labels that are no 3 different texts"),
    "too few labels": (suppression(shape=[5]), ""),
}
MALFORMED["too few labels"][0].nonMaximumSuppression.stringClassLabels.vector.pop()
MALFORMED["too few labels"] = (MALFORMED["too few labels"][0], "has 2 class labels for 3 classes")


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_model_is_refused_in_one_line(case: str, tmp_path) -> None:
    made, message = MALFORMED[case]
    with pytest.raises(MilError) as caught:
        Program.load(saved(made, tmp_path))
    assert re.search(message, str(caught.value)), caught.value
    assert str(caught.value).isprintable()


def test_arrays_that_do_not_belong_together_are_named(tmp_path) -> None:
    program = Program.load(saved(suppression(), tmp_path))
    with pytest.raises(MilError, match=r"are no N×C and N×4"):
        program.predict({"raw_confidence": np.zeros((3, CLASSES)), "raw_coordinates": np.zeros((2, 4))})


@pytest.mark.parametrize(("iou", "least"), [(0.0, 0.0), (1.0, 0.0), (0.5, 1.5), (0.0, 7.0)])
def test_thresholds_at_the_ends_of_their_range_are_sound(iou: float, least: float, tmp_path) -> None:
    program = Program.load(saved(change(iouThreshold=iou, confidenceThreshold=least), tmp_path))
    confidence, boxes = scene(3, 20)
    kept = program.predict({"raw_confidence": confidence, "raw_coordinates": boxes})["confidence"]
    assert len(kept) == (0 if least > 1 else 20 if iou == 1 else len(onnx_choice(boxes, confidence.max(axis=1, keepdims=True), iou, least)))


@pytest.mark.parametrize(("iou", "least"), [(-0.01, 0.5), (1.01, 0.5), (0.5, -0.01), (float("nan"), 0.5)])
def test_thresholds_beyond_their_range_are_refused(iou: float, least: float, tmp_path) -> None:
    with pytest.raises(MilError, match=f"has thresholds of {iou:g}, {least:g}"):
        Program.load(saved(change(iouThreshold=iou, confidenceThreshold=least), tmp_path))


def test_its_inputs_are_the_boxes_and_the_thresholds_that_are_named(tmp_path) -> None:
    names = lambda made: [feature.name for feature in Program.load(saved(made, tmp_path)).inputs]  # noqa: E731
    assert names(suppression()) == ["raw_confidence", "raw_coordinates"]
    both = suppression(inputs={"iou?": "double", "least?": "double"})
    assert names(both) == ["raw_confidence", "raw_coordinates", "iou", "least"]
    del both.description.input[3:]
    assert names(both) == ["raw_confidence", "raw_coordinates", "iou", "least"]


def retyped(made: Any, **lengths: list[int]) -> Any:
    """The outputs with other shapes; none where the list is empty."""
    for output in made.description.output:
        output.type.multiArrayType.shape[:] = lengths[output.name]
    return made


@pytest.mark.parametrize("lengths", [[], [CLASSES], [1, 5, CLASSES], [5, CLASSES]])
def test_labels_are_as_many_as_the_columns_of_a_matrix_alone(lengths: list[int], tmp_path) -> None:
    made = retyped(suppression(), confidence=lengths, coordinates=[])
    Program.load(saved(made, tmp_path))
    made.nonMaximumSuppression.stringClassLabels.vector.append("owl")
    if lengths == [5, CLASSES]:
        with pytest.raises(MilError, match="has 4 class labels for 3 classes"):
            Program.load(saved(made, tmp_path))
    else:
        Program.load(saved(made, tmp_path))
    made.nonMaximumSuppression.ClearField("ClassLabels")
    assert [feature.labels for feature in Program.load(saved(made, tmp_path)).outputs] == [(), ()]


def test_how_many_columns_a_range_has_by_default_says_nothing_of_the_labels(tmp_path) -> None:
    made = retyped(suppression(), confidence=[2, 9], coordinates=[])
    for low, high in ((0, 9), (1, 9)):
        made.description.output[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    assert Program.load(saved(made, tmp_path)).outputs[0].labels == ("cat", "dog", "cow")


def test_a_choice_of_shapes_says_no_number_of_rows(tmp_path) -> None:
    confidence, boxes = scene(2, 30)
    made = suppression(shape=[50])
    for output, columns in zip(made.description.output, (CLASSES, 4), strict=True):
        for rows in (50, 60):
            output.type.multiArrayType.enumeratedShapes.shapes.add(shape=[rows, columns])
    arrays = {"raw_confidence": confidence, "raw_coordinates": boxes}
    free = Program.load(saved(suppression(), tmp_path)).predict(arrays)["confidence"]
    np.testing.assert_array_equal(Program.load(saved(made, tmp_path)).predict(arrays)["confidence"], free)
