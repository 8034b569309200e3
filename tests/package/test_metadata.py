"""What an artefact says of itself, written and read by one record."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcrn_mobile
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE
from fcrn_mobile.package.metadata import Metadata, key

SOURCES = Path(fcrn_mobile.__file__).parent
NAMES = [field.name for field in fields(Metadata)]


@given(st.fixed_dictionaries({}, optional={name: st.text(max_size=5) for name in NAMES}))
def test_what_is_written_is_read_again(values: dict[str, str]) -> None:
    written = Metadata(**values)
    assert written.to_dict() == {f"fcrn_mobile.{name}": value for name, value in values.items()}
    assert Metadata.from_dict(written.to_dict() | {"author": "x", "fcrn_mobile.later": "y", "version": "z"}) == written


@pytest.mark.parametrize(
    ("units", "metric"),
    [({"fcrn_mobile.output_units": METRES}, True), ({"fcrn_mobile.output_units": UP_TO_SCALE}, False), ({}, True), ({"author": "x"}, True)],
)
def test_depth_up_to_scale_is_not_metric(units: dict[str, str], metric: bool) -> None:
    assert Metadata.from_dict(units).is_metric == metric


def test_a_recipe_is_an_object_or_nothing() -> None:
    assert Metadata().settings() == {}
    assert Metadata(recipe='{"name": "a"}').settings() == {"name": "a"}
    for text in ("", "{", "x"):
        with pytest.raises(json.JSONDecodeError):
            Metadata(recipe=text).settings()
    for text in ("[]", "7", "null", '"a"'):
        with pytest.raises(TypeError, match="it is not JSON of an export"):
            Metadata(recipe=text).settings()


def test_no_other_module_spells_a_key() -> None:
    assert key("recipe") == "fcrn_mobile.recipe"
    spelled = re.compile(rf"fcrn_mobile\.(?:{'|'.join(NAMES)})[\"']")
    assert spelled.search("told['fcrn_mobile.recipe']")
    found = [path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if spelled.search(path.read_text(encoding="utf-8"))]
    assert found == []
