"""What every artefact says of itself, and how a library's error becomes one line."""

import json
from pathlib import Path

import pytest

import fcrn_mobile
from fcrn_mobile.conversion.artefact import conversion_errors, provenance, recipe_of
from fcrn_mobile.conversion.recipe import Recipe, make_recipe
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import key


@pytest.fixture(scope="module")
def network() -> FCRN:
    return FCRN(preset("fcrn-plain", widths=(8, 8, 8, 8)))


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n  \n  three  \nfour"), "ValueError: three"),
        (KeyError(), "KeyError: no message"),
        (RuntimeError("x" * 500), f"RuntimeError: {'x' * 200}"),
    ],
)
def test_what_a_library_raises_is_one_line(network: FCRN, raised: Exception, told: str) -> None:
    with pytest.raises(InputError) as error, conversion_errors("net", Recipe(name="mine")):
        raise raised
    assert str(error.value).startswith(f"'net' cannot be converted with recipe 'mine' ({told}): try another --precision")
    assert error.value.__cause__ is raised


@pytest.mark.parametrize("raised", [InputError("mine"), OSError("disk"), MemoryError("all"), KeyboardInterrupt()])
def test_other_errors_stay_what_they_are(network: FCRN, raised: BaseException) -> None:
    with pytest.raises(type(raised)) as error, conversion_errors("net", Recipe()):
        raise raised
    assert error.value is raised


def test_the_provenance_tells_version_recipe_network_checkpoint_data_and_units(network: FCRN) -> None:
    recipe = make_recipe({"precision": "w8a8", "name": "mine", "calibration": {"data": "folder:/home/me/rooms#train", "images": 3}}, "t")
    told = provenance(Checkpoint("net", network, TrainingRecord(data="nyu", depth=UP_TO_SCALE), sha256="ab"), recipe, coreml=True)
    settings = json.loads(told.pop("fcrn_mobile.recipe"))
    assert told == {
        "fcrn_mobile.version": fcrn_mobile.__version__,
        "fcrn_mobile.network": "fcrn-plain",
        "fcrn_mobile.checkpoint_sha256": "ab",
        "fcrn_mobile.training_data": "nyu",
        "fcrn_mobile.output_units": UP_TO_SCALE,
    }
    assert "/home" not in settings["calibration"]["data"] and settings["calibration"]["data"].endswith("rooms#train")
    assert settings["calibration"]["images"] == 3
    assert {"output", "target", "compute_units", "activations"} < set(settings)
    assert recipe.calibration is not None and recipe.calibration.data == "folder:/home/me/rooms#train", "the recipe is not changed"


def test_what_only_core_ml_knows_is_left_out_elsewhere(network: FCRN) -> None:
    told = provenance(Checkpoint("net", network), Recipe(precision="fp32"), coreml=False)
    assert (told["fcrn_mobile.training_data"], told["fcrn_mobile.output_units"]) == ("unknown", METRES)
    assert set(json.loads(told["fcrn_mobile.recipe"])) == {"name", "precision", "input_size", "form", "budget"}


def test_a_calibration_whose_data_are_still_to_be_named_has_none(network: FCRN) -> None:
    recipe = make_recipe({"precision": "int8", "correct": {}, "calibration": {"images": 3}}, "t")
    told = json.loads(provenance(Checkpoint("net", network), recipe, coreml=True)["fcrn_mobile.recipe"])
    assert "data" not in told["calibration"] and told["calibration"]["images"] == 3


@pytest.mark.parametrize("written", ["{", "[]", '"int8"', "[" * 100_000, '{"budget": ["0.02"]}', '{"budget": 1}'])
def test_a_recipe_that_is_none_is_named_and_its_beginning_shown(written: str) -> None:
    with pytest.raises(InputError) as error:
        recipe_of({key("recipe"): written}, Path("a.mlpackage"))
    assert str(error.value) == f"'a.mlpackage' has a recipe in its metadata that is not readable ('{written[:40]}'): export it again"


def test_a_recipe_is_read_and_none_is_empty() -> None:
    assert recipe_of({}, Path("a.mlpackage")) == {}
    assert recipe_of({key("recipe"): '{"precision": "int8", "budget": {"abs_rel": "1%"}}'}, Path("a")) == {
        "precision": "int8",
        "budget": {"abs_rel": "1%"},
    }
