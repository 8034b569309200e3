"""A recipe written as TOML against tomllib and the recipe's own reader."""

import tomllib
from pathlib import Path

import pytest

from fcrn_mobile.conversion.recipe import Override, Recipe, make_recipe, read_recipe
from fcrn_mobile.tuning.candidates import CANDIDATES, assembled, candidates_for
from fcrn_mobile.tuning.recipe_text import recipe_text

EXPORT = sorted((Path(__file__).parents[2] / "export").glob("*.toml"))


@pytest.mark.parametrize("path", EXPORT, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_written_and_read_back(path: Path) -> None:
    recipe = read_recipe(path)
    assert make_recipe(tomllib.loads(recipe_text(recipe)), "text") == recipe


def test_overrides_calibration_and_odd_names_are_read_back(tmp_path: Path) -> None:
    values = {
        "name": 'a "quoted" näme\\ 😀',
        "precision": "w8a8",
        "input_size": [64, 96],
        "calibration": {"data": "folder:/a b/c#train", "images": 3},
        "ops": [{"match": ["head*", "*[0-9]"], "precision": "palette4", "group_size": 8, "granularity": "per_grouped_channel"}],
    }
    recipe = make_recipe(values, "test")
    text = recipe_text(recipe, ["why it is so"])
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    assert read_recipe(tmp_path / "r.toml") == recipe
    assert text.startswith("# why it is so\n")


def test_a_choice_becomes_one_override_per_scheme() -> None:
    base = Recipe(name="n", target="iOS18")
    recipe = assembled(base, CANDIDATES, {"a": "int8", "b": "palette4/8", "c": "fp16", "d": "int8"})
    assert [(o.match, o.precision) for o in recipe.ops] == [(("a", "d"), "int8"), (("b",), "palette4")]
    assert recipe.scheme_for({"c"}).name == "fp16"


def test_every_target_runs_its_candidates() -> None:
    """A recipe for the target with each of them is refused where the target does not run it."""
    for target in ("iOS16", "iOS17", "iOS18"):
        candidates = candidates_for(target)
        assert len(candidates) > 2
        assembled(Recipe(target=target), candidates, {f"weight{number}": c.name for number, c in enumerate(candidates)})
    assert candidates_for("iOS18") == CANDIDATES


@pytest.mark.parametrize(("length", "lines"), [(113, 1), (114, 3), (200, 3)])
def test_a_list_that_is_too_long_for_a_line_has_a_line_for_each(length: int, lines: int) -> None:
    """With quotes and brackets a name of 113 letters makes 117 characters."""
    name = "a" * length
    text = recipe_text(Recipe(ops=(Override((name,), "int8"),)))
    (_, _, tail) = text.partition("match = ")
    listed = tail[: tail.index("]") + 1]
    assert listed == (f'["{name}"]' if lines == 1 else f'[\n    "{name}",\n]')


def test_values_are_written_as_toml_does() -> None:
    text = recipe_text(make_recipe({"precision": "w8a8", "budget": {"fidelity": "2%"}, "calibration": {"percentile": 99.5}}, "test"))
    assert text.startswith('name = "fcrn"\nprecision = "w8a8"\n')
    assert 'budget = { fidelity = "2%" }\n' in text and "budget = {}\n" in recipe_text(Recipe())
    assert "\n\n[calibration]\nimages = 24\nseed = 0\n" in text and "percentile = 99.5\n" in text
    assert "input_size" not in text
