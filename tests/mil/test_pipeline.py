"""Pipelines: stages wired by names, as one program; what they give is held against NumPy."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil import MilError, Program
from tests.mil.build import mb, save_program
from tests.mil.protobuf import operation
from tests.mil.specifications import feature, joined, model, named_program, pipeline, saved, written_program

RNG = np.random.default_rng(0)
FIRST, SECOND = (RNG.normal(size=(40, 40)).astype(np.float32) for _ in range(2))
X = RNG.normal(size=(2, 40)).astype(np.float32)
ROW = ("DOUBLE", [3])


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The input times the first matrix plus 1, times the second plus 1."""
    folder = tmp_path_factory.mktemp("stages")
    return joined([named_program(folder, FIRST, ("x", "y")), named_program(folder, SECOND, ("y", "z"))], folder)


def test_a_package_of_programs_gives_what_they_give_one_after_another(package) -> None:
    assert {path.name for path in package.rglob("*.bin")} == {"0-weight.bin", "1-weight.bin"}
    program = Program.load(package)
    assert [f.name for f in program.inputs] == ["x"]
    assert [f.name for f in program.outputs] == ["z"]
    middle = X.astype(np.float64) @ FIRST.T + 1
    np.testing.assert_allclose(program.predict({"x": X})["z"], middle @ SECOND.T + 1, rtol=1e-5, atol=1e-5)
    traced = dict(program.trace({"x": X}))
    np.testing.assert_allclose(traced["model0/y"], middle, rtol=1e-5, atol=1e-5)
    assert {"model0/product", "model1/product", "z"} <= set(traced)


def test_nothing_is_kept_that_no_later_stage_reads(package) -> None:
    program = Program.load(package)
    values = program.start({"x": X})
    for step in program.steps(values):
        assert step.references <= set(values)
        assert len(values) <= 3
    assert set(values) == {"z"}


def scale(factor: float, given: str, result: str, declared: Any = ROW) -> Any:
    made = model("scaler", {given: declared}, {result: declared})
    made.scaler.scaleValue.append(factor)
    return made


def run(made: Any, folder: Path, **inputs: Any) -> dict[str, Any]:
    return Program.load(saved(made, folder)).predict(inputs)


def test_a_later_result_takes_the_place_of_an_earlier_one_of_its_name(tmp_path) -> None:
    stages = [scale(2, "x", "x"), scale(3, "x", "y"), scale(5, "x", "x")]
    results = run(pipeline(stages, {"x": ROW}, {"x": ROW, "y": ROW}), tmp_path, x=[1.0, 2, 3])
    assert results["y"].tolist() == [6, 12, 18]
    assert results["x"].tolist() == [10, 20, 30]


def test_an_input_may_go_through_untouched_and_into_several_stages(tmp_path) -> None:
    stages = [scale(2, "x", "y"), scale(3, "x", "z")]
    results = run(pipeline(stages, {"x": ROW}, {"x": ROW, "y": ROW, "z": ROW}), tmp_path, x=[1.0, 2, 3])
    assert {name: value.tolist() for name, value in results.items()} == {"x": [1, 2, 3], "y": [2, 4, 6], "z": [3, 6, 9]}


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_pipelines_may_hold_pipelines(kind: str, tmp_path) -> None:
    inner = pipeline([scale(2, "x", "t"), scale(2, "t", "y")], {"x": ROW}, {"y": ROW}, kind)
    outer = pipeline([inner, scale(3, "y", "t")], {"x": ROW}, {"t": ROW})
    program = Program.load(saved(outer, tmp_path))
    assert program.predict({"x": [1.0, 2, 3]})["t"].tolist() == [12, 24, 36]
    assert program.operations[0].name == "model0/model0/t"


def test_stages_have_their_names_and_features_may_look_like_theirs(tmp_path) -> None:
    made = pipeline([scale(2, "x", "one/y"), scale(3, "one/y", "z")], {"x": ROW}, {"z": ROW})
    made.pipeline.names.extend(["one", "two"])
    program = Program.load(saved(made, tmp_path))
    assert "one//one/y" in {operation.name for operation in program.operations}
    assert program.predict({"x": [1.0, 1, 1]})["z"].tolist() == [6, 6, 6]


def test_between_stages_values_are_what_the_features_are(tmp_path) -> None:
    half = ("FLOAT16", [3])
    stages = [scale(1 / 3, "x", "y", half), scale(1, "y", "z", half)]
    program = Program.load(saved(pipeline(stages, {"x": half}, {"z": half}), tmp_path))
    assert program.predict({"x": [1.0, 2, 4]})["z"].tolist() == np.float16([1 / 3, 2 / 3, 4 / 3]).tolist()
    program = Program.load(saved(pipeline([scale(1e6, "x", "y", half), scale(0, "y", "z", half)], {"x": half}, {"z": half}), tmp_path))
    _, overflow = program.watch({"x": [1.0, 2, 3]})
    assert overflow is not None
    assert (overflow.name, overflow.operator, overflow.largest) == ("model1/y", "hand_over", 3e6)


def pixels_sum(folder: Path, colours: str) -> Any:
    """An ML program that gives the sum of each plane of an image, from the first of its own order to the last."""
    path = save_program(folder, lambda x0: mb.reduce_sum(x=x0, axes=[0, 2, 3], name="sums"), [np.zeros((1, 3, 2, 4), np.float32)])
    made = model("mlProgram", {}, {})
    made.ParseFromString((path / "Data/com.apple.CoreML/model.mlmodel").read_bytes())
    del made.description.input[:]
    feature(made.description.input, "x0", (colours, (2, 4)))
    return made


@pytest.mark.parametrize(("outer", "inner"), [("RGB", "RGB"), ("RGB", "BGR"), ("BGR", "RGB")])
def test_pictures_reach_a_stage_in_its_own_order_of_colours(outer: str, inner: str, tmp_path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (2, 4, 3), np.uint8)
    made = pipeline([pixels_sum(tmp_path, inner)], {"x0": (outer, (2, 4))}, {"sums": ("FLOAT32", [3])})
    sums = image.astype(np.float32).sum(axis=(0, 1))
    assert run(made, tmp_path, x0=image)["sums"].tolist() == (sums if inner == "RGB" else sums[::-1]).tolist()


def extra(change: Any) -> Any:
    """A pipeline of two that works, changed."""
    made = pipeline([scale(2, "x", "y"), scale(3, "y", "z")], {"x": ROW}, {"z": ROW})
    change(made)
    return made


def retyped(described: Any, kind: Any) -> None:
    name = described.name
    described.Clear()
    holder = model("identity", {name: kind}, {})
    described.CopyFrom(holder.description.input[0])


MALFORMED = {
    "no stages": (lambda m: m.pipeline.ClearField("models"), "is a pipeline without stages"),
    "one name for two": (lambda m: m.pipeline.names.append("a"), "names its 2 stages 'a', one each is due"),
    "the same name twice": (lambda m: m.pipeline.names.extend(["a", "a"]), "names its 2 stages 'a, a', one each"),
    "a name of control characters": (lambda m: m.pipeline.names.extend(["a\n", "b"]), r"a stage called 'a\\n'"),
    "circle": (
        lambda m: setattr(m.pipeline.models[0].description.input[0], "name", "z"),
        r"stage model0\)' reads 'z' before a stage gives it",
    ),
    "itself": (lambda m: setattr(m.pipeline.models[0].description.input[0], "name", "y"), "reads 'y' before a stage gives it"),
    "missing input": (
        lambda m: setattr(m.pipeline.models[1].description.input[0], "name", "q"),
        r"stage model1\)' reads 'q' which nothing",
    ),
    "missing output": (lambda m: setattr(m.description.output[0], "name", "q"), "mlmodel' reads 'q' which nothing gives"),
    "an input twice": (lambda m: m.description.input.add().CopyFrom(m.description.input[0]), "describes an input twice"),
    "an output without a name": (lambda m: setattr(m.description.output[0], "name", ""), "cannot have the name ''"),
    "another length": (
        lambda m: retyped(m.pipeline.models[1].description.input[0], ("DOUBLE", [4])),
        "makes|reads 'y' as DOUBLE array 4, it is given as DOUBLE array 3",
    ),
    "another rank": (lambda m: retyped(m.description.output[0], ("DOUBLE", [1, 3])), "reads 'z' as DOUBLE array 1×3, it is given as"),
    "another type": (lambda m: retyped(m.description.input[0], ("FLOAT32", [3])), "as DOUBLE array 3, it is given as FLOAT32 array 3"),
    "a picture": (lambda m: retyped(m.description.input[0], ("RGB", (3, 3))), "as DOUBLE array 3, it is given as RGB image 3×3"),
    "a sequence": (lambda m: retyped(m.description.input[0], "sequence"), "'x' is a sequenceType"),
    "a stage of another kind": (
        lambda m: m.pipeline.models[1].visionFeaturePrint.SetInParent(),
        r"stage model1\)' is a visionFeaturePrint model, which does not run here",
    ),
    "a stage of no kind": (lambda m: m.pipeline.models[1].ClearField("scaler"), r"stage model1\)' is a None model"),
    "a program without functions": (lambda m: m.pipeline.models[1].mlProgram.SetInParent(), r"stage model1\)' has no function 'main'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_pipeline_is_refused_in_one_line(case: str, tmp_path) -> None:
    change, message = MALFORMED[case]
    with pytest.raises(MilError) as caught:
        Program.load(saved(extra(change), tmp_path))
    line = str(caught.value)
    assert re.search(message, line), line
    assert line.isprintable()
    assert len(line) < 700


def test_a_pipeline_has_no_functions(tmp_path) -> None:
    with pytest.raises(MilError, match="has no functions"):
        Program.load(saved(extra(lambda m: None), tmp_path), function="other")


def test_weights_of_a_stage_that_are_missing_are_named(package, tmp_path) -> None:
    import shutil

    damaged = tmp_path / "damaged.mlpackage"
    shutil.copytree(package, damaged)
    next(damaged.rglob("1-weight.bin")).unlink()
    with pytest.raises(MilError, match=r"1-weight\.bin' does not exist"):
        Program.load(damaged)


def test_what_the_caller_gives_goes_into_a_stage_of_its_type_as_it_is(tmp_path) -> None:
    """Only another order of colours, or a shape that is not declared, needs a step between; the last step names the result."""
    kinds = lambda made: [operation.kind for operation in Program.load(saved(made, tmp_path)).operations][:-1]  # noqa: E731
    for declared in (ROW, ("FLOAT16", [3]), ("DOUBLE", [])):
        assert kinds(pipeline([scale(2, "x", "y", declared)], {"x": declared}, {"y": declared})) == ["scaler"]
    assert kinds(pipeline([scale(2, "x", "t"), scale(2, "t", "y")], {"x": ROW}, {"y": ROW})) == ["scaler"] * 2
    assert kinds(pipeline([scale(2, "x", "y")], {"x": ("DOUBLE", [])}, {"y": ROW})) == ["hand_over", "scaler"]
    sums = {"sums": ("FLOAT32", [3])}
    assert "hand_over" not in kinds(pipeline([pixels_sum(tmp_path, "RGB")], {"x0": ("RGB", (2, 4))}, sums))
    assert kinds(pipeline([pixels_sum(tmp_path, "BGR")], {"x0": ("RGB", (2, 4))}, sums))[0] == "hand_over"


def test_grey_is_not_taken_for_colour_nor_an_array_for_a_picture(tmp_path) -> None:
    for outer in ("GRAYSCALE", "GRAYSCALE_FLOAT16"):
        made = pipeline([pixels_sum(tmp_path, "RGB")], {"x0": (outer, (2, 4))}, {"sums": ("FLOAT32", [3])})
        with pytest.raises(MilError, match=f"reads 'x0' as RGB image 2×4, it is given as {outer} image 2×4: the model is damaged"):
            Program.load(saved(made, tmp_path))


def test_results_of_several_shapes_are_looked_at_between_stages(tmp_path) -> None:
    """A stage's result has to have one of the shapes that it is declared with; what is fixed has its own anyway."""

    def made(*lengths: int) -> Any:
        stages = [scale(2, "x", "y"), scale(3, "y", "z")]
        for described in (stages[0].description.output[0], *stages[1].description.input, *stages[1].description.output):
            for length in lengths:
                described.type.multiArrayType.enumeratedShapes.shapes.add(shape=[length])
            described.type.multiArrayType.shape[:] = lengths[:1]
        return pipeline(stages, {"x": ROW}, {"z": ("DOUBLE", [])})

    program = Program.load(saved(made(2, 3), tmp_path))
    assert [operation.kind for operation in program.operations] == ["scaler", "hand_over", "scaler", "hand_over"]
    assert program.predict({"x": [1.0, 2, 3]})["z"].tolist() == [6, 12, 18]
    with pytest.raises(MilError, match="input 'y' has shape 3, the package takes 2 or 4"):
        run(made(2, 4), tmp_path, x=[1.0, 2, 3])


def test_a_range_is_no_contradiction_to_a_fixed_shape(tmp_path) -> None:
    second = scale(3, "y", "z")
    second.description.input[0].type.multiArrayType.shape[:] = [9]
    second.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=9)
    made = pipeline([scale(2, "x", "y"), second], {"x": ROW}, {"z": ROW})
    assert run(made, tmp_path, x=[1.0, 2, 3])["z"].tolist() == [6, 12, 18]
    # Ranks have to be the same all the same.
    second.description.input[0].type.multiArrayType.shape[:] = [9, 9]
    second.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=9)
    with pytest.raises(MilError, match="reads 'y' as DOUBLE array"):
        Program.load(saved(pipeline([scale(2, "x", "y"), second], {"x": ROW}, {"z": ROW}), tmp_path))


@pytest.mark.parametrize(("colour", "expected"), [("GRAYSCALE", [[0, 2, 255]]), ("GRAYSCALE_FLOAT16", [[-1, 1.5, 300]])])
def test_a_picture_between_stages_is_one_of_pixels(colour: str, expected: list[list[float]], tmp_path) -> None:
    """Eight bits are rounded to even and held between 0 and 255, as in the pixel buffer that Core ML hands over."""
    kind, image, shape = ("FLOAT32", [1, 1, 1, 3]), (colour, (1, 3)), (1, 1, 1, 3)
    first = written_program({"x": kind}, {"p": image}, {"x": shape}, operation("mul", shape, ("p",), x="x", y=[0.5]))
    second = written_program({"p": image}, {"y": kind}, {"p": shape}, operation("mul", shape, ("y",), x="p", y=[1.0]))
    result = run(pipeline([first, second], {"x": kind}, {"y": kind}), tmp_path, x=np.float32([-2, 3, 600]).reshape(shape))
    assert result["y"].reshape(1, 3).tolist() == expected


def test_the_pipelines_own_default_counts_before_the_stages(tmp_path) -> None:
    made = pipeline([scale(2, "x", "y")], {"x?": ROW}, {"y": ROW})
    made.description.input[0].type.multiArrayType.doubleDefaultValue = 2.5
    stage = made.pipeline.models[0].description.input[0].type
    stage.isOptional, stage.multiArrayType.doubleDefaultValue = True, 7
    assert Program.load(saved(made, tmp_path)).predict({})["y"].tolist() == [5, 5, 5]
    made.description.input[0].type.isOptional = False
    made.description.input[0].type.multiArrayType.ClearField("doubleDefaultValue")
    assert Program.load(saved(made, tmp_path)).predict({})["y"].tolist() == [14, 14, 14]
