"""What a package is refused for before anything of it is changed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coremltools.proto.Model_pb2 import Model

from fcrn_mobile.conversion import float_package
from fcrn_mobile.conversion.compress_package import compress_package, package_recipe
from fcrn_mobile.conversion.float_package import open_float_package
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.errors import InputError


def package(size: tuple[int, int] | None = (64, 96), kind: str = "array") -> Any:
    feature = SimpleNamespace(kind=kind)
    path = Path("net.mlpackage")
    return SimpleNamespace(
        problem=None, written={}, path=path, picture_size=size, picture_sizes=(), outputs=[feature], target="iOS16", sha256="ab"
    )


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
