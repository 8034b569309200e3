from pathlib import Path

import pytest

from fcrn_mobile.conversion.recipe import Recipe, read_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.validation.budget import parse_limit

SHIPPED = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.precision == path.stem
    assert [parse_limit(f"{metric}={amount}").metric for metric, amount in recipe.budget.items()] == ["fidelity"]


def test_every_key_is_read(tmp_path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        'name = "n"\nprecision = "int8"\ninput_size = [64, 96]\noutput = "array"\ntarget = "iOS18"\n'
        'compute_units = "all"\nform = "fused"\nbudget = { abs_rel = "1%", fidelity = 0.05 }\n'
    )
    budget = {"abs_rel": "1%", "fidelity": "0.05"}
    assert read_recipe(path) == Recipe("n", "int8", (64, 96), "array", "iOS18", "all", "fused", budget)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('precission = "fp16"', "unknown key 'precission': allowed are budget, compute_units"),
        ('precision = "fp8"', "precision is 'fp8': use one of fp32, fp16, int8"),
        ("input_size = [224]", "input_size is [224]: give [height, width]"),
        ("input_size = [8, 8]", "from 32 to 4096"),
        ('target = "iOS12"', "target is 'iOS12'"),
        ("name = 3", "name is 3"),
        ("budget = 3", "budget is 3"),
        ("= broken", "not valid TOML"),
    ],
)
def test_a_bad_recipe_names_file_key_and_remedy(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_recipe(path)
    assert message in str(error.value)
    assert "bad.toml" in str(error.value)


def test_a_missing_recipe_is_named(tmp_path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_recipe(tmp_path / "none.toml")
