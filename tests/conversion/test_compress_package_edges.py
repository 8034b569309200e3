"""What a package is refused for before anything of it is changed, and what is done to it step by step."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coremltools.proto.Model_pb2 import Model

import fcrn_mobile
from fcrn_mobile.conversion import compress_package as module
from fcrn_mobile.conversion import float_package
from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.correct_table import Correct
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Calibration, Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.package.metadata import key


def package(size: tuple[int, int] | None = (64, 96), kind: str = "array", **more: Any) -> Any:
    feature = SimpleNamespace(kind=kind)
    path = Path("net.mlpackage")
    facts = {"problem": None, "written": {}, "path": path, "picture_size": size, "picture_sizes": (), "outputs": [feature]}
    return SimpleNamespace(**(facts | {"target": "iOS16", "sha256": "ab"} | more))


def test_a_recipe_takes_the_size_that_the_package_has() -> None:
    for asked in (None, (64, 96)):
        recipe = package_recipe(package(), Recipe(precision="int8", input_size=asked))
        assert (recipe.input_size, recipe.output, recipe.target, recipe.form) == ((64, 96), "array", "iOS16", "four")
    assert package_recipe(package(kind="image"), Recipe(precision="int8", target="iOS17")).target == "iOS17"
    with pytest.raises(InputError, match=r"96×64 pixels, 'net\.mlpackage' takes 64×96: leave input_size out"):
        package_recipe(package(), Recipe(precision="int8", input_size=(96, 64)))
    with pytest.raises(InputError, match="is not known to take a picture: leave input_size out"):
        package_recipe(package(None), Recipe(precision="int8", input_size=(96, 64)))


def test_what_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "small.mlpackage"
    out.mkdir()
    with pytest.raises(InputError, match="exists"):
        compress_package(package(), Recipe(precision="int8"), out)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "functions", "said"),
    [
        ("neuralNetwork", (), "is a neural network"),
        ("pipeline", (), "is a pipeline"),
        ("glmRegressor", (), "is a glmRegressor model, which has no weights"),
        ("mlProgram", ("near", "far"), "has the functions far, near: compress the package of each"),
    ],
)
def test_what_is_no_program_of_one_function_is_refused(
    kind: str, functions: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    getattr(model, kind).SetInParent()
    for name in functions:
        model.mlProgram.functions[name].SetInParent()
    monkeypatch.setattr(float_package, "read_specification", lambda path: (model, None))
    with pytest.raises(InputError, match=said):
        open_float_package(Path("net.mlpackage"))


MADE = {key("recipe"): json.dumps({"name": "net", "precision": "fp16", "form": "fused", "scale": 2})}
SIZES = ((64, 96), (96, 64))


def test_a_recipe_takes_what_an_export_chose_and_asks_for_nothing_else() -> None:
    made, several = package(written=MADE), package(picture_sizes=SIZES)
    for values in ({}, {"form": "fused"}, {"scale": 2}):
        recipe = package_recipe(made, make_recipe({"precision": "int8"} | values, "test"))
        assert (recipe.form, recipe.scale, recipe.input_size, recipe.input_sizes) == ("fused", 2, (64, 96), ())
    for values in ({}, {"input_sizes": SIZES}, {"input_sizes": SIZES[::-1]}):
        recipe = package_recipe(several, make_recipe({"precision": "int8"} | values, "test"))
        assert (recipe.form, recipe.scale, recipe.input_size, recipe.input_sizes) == ("four", None, None, SIZES)
    for of, values, said in (
        (made, {"scale": 3}, "has a scale"),
        (several, {"scale": 2}, "has a scale"),
        (several, {"form": "fused"}, 'asks for form = "fused"'),
        (several, {"input_sizes": [*SIZES, (64, 64)]}, "has input_sizes"),
        (made, {"input_sizes": SIZES}, "has input_sizes"),
    ):
        with pytest.raises(InputError, match=f"recipe 'mine' {said}"):
            package_recipe(of, make_recipe({"name": "mine", "precision": "int8"} | values, "test"))


def test_of_several_outputs_one_that_is_a_picture_counts() -> None:
    features = [SimpleNamespace(kind="array"), SimpleNamespace(kind="image")]
    assert package_recipe(package(outputs=features), Recipe(precision="int8")).output == "image"


BLIND = package(None, problem="it takes 'x'")


@pytest.mark.parametrize(
    "values",
    [
        {"correct": {"rounding": True}},
        {"correct": {"bias": True}},
        {"correct": {"rounding": False, "bias": True}},
        {"correct": {"scale": True}, "calibration": {"data": "sample#train"}},
        {"activations": "int8"},
        {"activations": "int8", "calibration": {"data": "sample#train"}},
    ],
)
def test_nothing_is_measured_where_no_picture_goes_in(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="nothing can be measured on images: it takes 'x'"):
        package_recipe(BLIND, make_recipe({"precision": "int8"} | values, "test"))


def test_what_needs_no_picture_is_corrected_all_the_same() -> None:
    recipe = make_recipe({"precision": "int8", "correct": {"scale": True}, "calibration": {"images": 3}}, "test")
    blind, seeing = (package_recipe(each, recipe) for each in (BLIND, package()))
    assert (blind.correct, blind.calibration) == (Correct(scale=True, rounding=False, bias=False), None)
    assert (seeing.correct, seeing.calibration) == (Correct(scale=True), Calibration("sample#train", 3))
    assert package_recipe(package(), recipe, correct=False).correct is None
    assert package_recipe(BLIND, Recipe(precision="int8")).correct is None
    for calibration in ({}, {"images": 3}):
        unnamed = make_recipe({"precision": "w8a8", "calibration": calibration}, "test")
        with pytest.raises(InputError, match="whose ranges are measured on images"):
            package_recipe(package(), unnamed)
    named = make_recipe({"precision": "w8a8", "calibration": {"data": "sample#train"}}, "test")
    assert package_recipe(package(), named).calibration == Calibration("sample#train")


def weights(**counts: int) -> list[Any]:
    return [SimpleNamespace(stored=stored) for stored, count in counts.items() for _ in range(count)]


@pytest.fixture
def compressing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What becomes of a float package, with all steps replaced; the result has these weights."""
    steps: list[Any] = []

    def run(after: list[Any], recipe: Recipe, text: str = "", images: Any = None, **options: Any) -> Any:
        steps.clear()
        model = SimpleNamespace(short_description=text, user_defined_metadata={"theirs": "a", key("version"): "old"})
        source = package(
            weights=weights(fp16=2, fp32=1), model=model, prepared=lambda recipe: "model", written={key("recipe"): '{"precision": "fp16"}'}
        )
        result = SimpleNamespace(short_description="", user_defined_metadata={"its": "b"}, save=lambda path: Path(path).mkdir())
        monkeypatch.setattr(module, "measuring_images", lambda recipe: images)
        monkeypatch.setattr(module, "equalise_program", lambda model, recipe: f"equal {model}")
        monkeypatch.setattr(module, "compressed", lambda *asked: steps.append(asked) or result)
        monkeypatch.setattr(module, "read_weights", lambda model: (after, None))
        compress_package(source, recipe, tmp_path / "out.mlpackage", **options)
        return SimpleNamespace(steps=steps, text=result.short_description, metadata=result.user_defined_metadata)

    return run


SMALL, EQUAL = Recipe(precision="int8"), make_recipe({"precision": "int8", "correct": {"equalise": True, "bias": True}}, "test")


def test_a_package_is_equalised_if_asked_and_then_compressed(compressing: Callable[..., Any], tmp_path: Path) -> None:
    images: Any = SimpleNamespace(to_metadata=lambda: {"of": "images"})
    first = compressing(weights(int8=3), SMALL, on_step="step")
    assert first.steps == [("model", SMALL, None, "step")] and (tmp_path / "out.mlpackage").is_dir()
    with pytest.raises(InputError, match="exists"):
        compressing(weights(int8=3), SMALL)
    second = compressing(weights(int8=3), EQUAL, images=images, force=True)
    assert second.steps == [("equal model", EQUAL, images, None)]
    own = {"theirs": "a", "its": "b", key("version"): fcrn_mobile.__version__, key("source_sha256"): "ab"}
    assert {name: text for name, text in first.metadata.items() if name != key("recipe")} == own
    assert {name: text for name, text in second.metadata.items() if name != key("recipe")} == own | {"of": "images"}
    assert json.loads(first.metadata[key("recipe")])["precision"] == "int8"


def test_a_recipe_that_changes_no_weight_is_refused_unless_it_may(compressing: Callable[..., Any], tmp_path: Path) -> None:
    same, other = weights(fp16=2, fp32=1), weights(fp16=1, fp32=2)
    with pytest.raises(InputError, match=r"'fp16' leaves all weights of 'net.mlpackage' as they are \(fp16, fp32\)"):
        compressing(same, Recipe())
    assert not list(tmp_path.iterdir())
    for after, recipe, options in ((other, Recipe(), {}), (same, Recipe(), {"may_stay": True}), (same, Recipe(precision="a8"), {})):
        compressing(after, recipe, force=True, **options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Depth (net, fp16).", "Depth (net, int8)."), ("Depth (net, fp32).",) * 2, ("Depth in fp16).",) * 2, ("", "")],
)
def test_a_description_that_names_the_precision_names_the_new_one(text: str, expected: str, compressing: Callable[..., Any]) -> None:
    assert compressing(weights(int8=3), SMALL, text).text == expected


def test_the_suffix_of_a_package_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.onnx': a package is compressed to an \.mlpackage"):
        compress_package(package(), SMALL, tmp_path / "a.onnx")
