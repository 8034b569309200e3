"""What an artefact says of itself, written and read by one record."""

import json
import re
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fcrn_mobile
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE
from fcrn_mobile.package.metadata import NO_CONFIGS, Metadata, ModelConfigs, key, model_contract

SOURCES = Path(fcrn_mobile.__file__).parent
NAMES = [field.name for field in fields(Metadata)]


@given(st.fixed_dictionaries({}, optional={name: st.text(max_size=5) for name in NAMES}))
def test_what_is_written_is_read_again(values: dict[str, str]) -> None:
    written = Metadata(**values)
    assert written.to_dict() == {f"fcrn_mobile.{name}": value for name, value in values.items()}
    assert Metadata.from_dict(written.to_dict() | {"author": "x", "fcrn_mobile.later": "y", "version": "z"}) == written


@pytest.mark.parametrize(
    ("units", "metric"),
    [
        ({"fcrn_mobile.output_units": METRES}, True),
        ({"fcrn_mobile.output_units": UP_TO_SCALE}, False),
        ({"fcrn_mobile.output_units": "inverse depth, up to scale and shift"}, False),
        ({}, True),
        ({"author": "x"}, True),
    ],
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


@pytest.mark.parametrize(("data", "told"), [("sample#train", "sample#train"), (None, "unknown"), ("", "unknown")])
def test_a_network_tells_what_it_learned_from(data: str | None, told: str) -> None:
    network: Any = SimpleNamespace(training=SimpleNamespace(data=data, camera=None), contract=DepthContract("scale"), sha256="ab")
    written = Metadata.of(network, "1.2")
    assert written == Metadata(
        version="1.2", checkpoint_sha256="ab", training_data=told, **{**DepthContract("scale").to_metadata(), "camera": None}
    )


def test_a_camera_that_a_network_was_trained_with_goes_before_that_of_its_data() -> None:
    camera = {"relative_focal": 0.9}
    network: Any = SimpleNamespace(training=SimpleNamespace(data="sample", camera=camera), contract=DepthContract(), sha256="ab")
    assert json.loads(Metadata.of(network, "1").camera or "") == camera


def test_a_config_beside_a_model_speaks_where_its_metadata_are_silent(tmp_path: Path) -> None:
    model, other = tmp_path / "net.mlpackage", tmp_path / "other.toml"
    model.mkdir()
    own = Metadata(**DepthContract("inverse").to_metadata()).to_dict()
    assert model_contract(model, {}) is None
    assert model_contract(None, {}) is None
    model.with_suffix(".toml").write_text('depth = "scale"\n')
    other.write_text('depth = "metres"\n')

    def depth(*arguments: Any) -> str:
        contract = model_contract(*arguments)
        assert contract is not None
        return contract.depth

    assert depth(model, {}) == "scale"
    assert depth(model, own) == "inverse", "what it says itself counts before the file beside it"
    assert depth(None, own) == "inverse"
    assert depth(model, {}, other) == depth(model, own, other) == depth(None, {}, other) == "metres"
    assert model_contract(None, {}) is None
    for name, said in ((model, str(model)), (None, "the model")):
        with pytest.raises(InputError, match=f"metadata of '{re.escape(said)}': "):
            model_contract(name, own | {key("contract"): "{"})


@pytest.mark.parametrize(
    ("data", "contract", "told"),
    [
        ("nyu-h5:a", DepthContract(), (518.9, 640)),
        ("nyu-h5:a", DepthContract("scale"), None),
        ("folder:a", DepthContract(), None),
        ("folder:a", DepthContract(focal_length=500.0, focal_width=640), None),
        ("nyu-h5:a", DepthContract(focal_length=500.0, focal_width=640), (518.9, 640)),
        (None, DepthContract(focal_length=500.0, focal_width=640), (500.0, 640)),
        (None, DepthContract(), None),
    ],
)
def test_a_camera_is_that_of_the_data_or_where_none_are_known_of_the_contract(data: Any, contract: DepthContract, told: Any) -> None:
    network: Any = SimpleNamespace(training=SimpleNamespace(data=data, camera=None), contract=contract, sha256="ab")
    camera = json.loads(Metadata.of(network, "1").camera or "{}")
    assert (camera["focal_px"], camera["width_px"]) == told if told else camera == {}


@pytest.mark.parametrize(
    ("written", "contract"),
    [
        (Metadata(), None),
        (Metadata(source_sha256="ab"), None),
        (Metadata(version="1", recipe="{}", source_sha256="ab"), None),
        (Metadata(version="1"), DepthContract()),
        (Metadata(output_units=UP_TO_SCALE, source_sha256="ab"), DepthContract("scale")),
        (Metadata(training_data="nyu-h5:a"), DepthContract(focal_length=518.9, focal_width=640)),
        (Metadata(training_data="nyu-h5:a", output_units=METRES), DepthContract(focal_length=518.9, focal_width=640)),
        (Metadata(training_data="nyu-h5:a", output_units=UP_TO_SCALE), DepthContract("scale")),
        (Metadata(training_data="nyu-h5:a", camera="{}"), DepthContract()),
        (
            Metadata(training_data="nyu-h5:a", camera='{"focal_px": 500, "width_px": 320}'),
            DepthContract(focal_length=500, focal_width=320),
        ),
        (Metadata(training_data="", version="1"), DepthContract()),
        (Metadata(training_data="folder:a"), DepthContract()),
    ],
)
def test_what_an_artefact_says_of_its_depth(written: Metadata, contract: DepthContract | None) -> None:
    assert written.depth_contract() == contract


def test_a_config_is_found_however_a_model_is_written() -> None:
    configs = ModelConfigs({Path("a/net.mlpackage"): Path("own.toml")})
    assert configs.of("a/net.mlpackage") == configs.of("a//net.mlpackage/") == configs.of(Path("a/net.mlpackage")) == Path("own.toml")
    assert configs.of("net.mlpackage") is None
    assert NO_CONFIGS.of("a/net.mlpackage") is None
