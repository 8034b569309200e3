"""What an export adds to a recipe: images to correct on, and what a checkpoint has learned."""

from typing import Any

import pytest

from fcrn_mobile.conversion.completed import SAMPLE, completed, short_recipe
from fcrn_mobile.conversion.recipe import Calibration, make_recipe
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.quantized import Quantization

INT4 = {"precision": "int4", "block_size": 32, "otherwise": "int8"}
GROUPED = {"precision": "palette4", "granularity": "per_grouped_channel", "group_size": 8}


def test_the_sample_is_its_training_part() -> None:
    assert Calibration("sample#train", 20, 0, "minmax", 99.99) == SAMPLE


def checkpoint(settings: dict[str, Any] | None = None) -> Checkpoint:
    return Checkpoint(
        "net", FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8))), quantization=Quantization(settings, {}, {}) if settings else None
    )


@pytest.mark.parametrize("name", ["int8", "int4", "palette8", "palette6", "palette4", "palette3", "palette2"])
def test_a_short_name_is_corrected_as_its_recipe_is(name: str) -> None:
    recipe = completed(checkpoint(), short_recipe(name, checkpoint()))
    assert recipe.correct is not None and recipe.correct.sees_images
    assert recipe.calibration == SAMPLE


@pytest.mark.parametrize("name", ["fp16", "fp32", "palette1", "sparse50", "sparse50-int8", "palette4-int8", "w8a8", "a8"])
def test_a_short_name_that_corrections_do_not_help_stays(name: str) -> None:
    recipe = completed(checkpoint(), short_recipe(name, checkpoint()))
    assert recipe == make_recipe({"precision": name}, "test")
    assert recipe.correct is None and recipe.calibration is None


@pytest.mark.parametrize("correct", [{}, {"rounding": True}, {"bias": True, "rounding": False}, {"equalise": True}])
def test_a_recipe_without_images_is_corrected_on_the_sample(correct: dict[str, bool]) -> None:
    recipe = make_recipe({"precision": "int8", "correct": correct}, "test")
    assert completed(checkpoint(), recipe).calibration == SAMPLE
    left = completed(checkpoint(), recipe, correct=False)
    assert left == make_recipe({"precision": "int8"}, "test"), "no correction, and nothing else changed"


def test_a_number_of_images_alone_is_that_of_the_sample() -> None:
    asked = make_recipe({"precision": "int8", "correct": {}}, "test").calibrated_on(None, images=3, seed=5)
    assert completed(checkpoint(), asked).calibration == Calibration("sample#train", 3, 5)


@pytest.mark.parametrize(
    "values",
    [
        {"precision": "int8"},
        {"precision": "int8", "correct": {}, "calibration": {"data": "folder:mine#train", "images": 3}},
        {"precision": "int8", "correct": {"rounding": False, "bias": False, "scale": True}},
        {"precision": "w8a8", "correct": {}},
    ],
)
def test_other_recipes_stay_as_they_are(values: dict[str, Any]) -> None:
    recipe = make_recipe(values, "test")
    assert completed(checkpoint(), recipe) == recipe


def test_uncorrected_activations_keep_their_images() -> None:
    calibration = {"data": "sample#train", "images": 3}
    left = completed(checkpoint(), make_recipe({"precision": "w8a8", "correct": {}, "calibration": calibration}, "test"), correct=False)
    assert left.correct is None and left.calibration == Calibration(**calibration)  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [INT4, GROUPED, {"precision": "int8"}, {"precision": "w8a8"}])
def test_a_short_name_takes_what_the_checkpoint_learned(settings: dict[str, Any]) -> None:
    learned, expected = checkpoint(settings), make_recipe(settings, "test")
    for name in (settings["precision"], None):
        assert completed(learned, short_recipe(name, learned)) == expected
    # So does the same from Python, whose short recipe is for the oldest system that tables per tensor run on.
    assert completed(learned, make_recipe({"precision": settings["precision"]}, "test")) == expected


def test_options_that_are_written_out_are_not_replaced() -> None:
    other = make_recipe(GROUPED | {"group_size": 16}, "test")
    assert completed(checkpoint(GROUPED), other) == other
