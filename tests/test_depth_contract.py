"""The contract of a depth model: read from TOML and metadata, and refused in one line where it says what cannot be."""

import json
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.depth_contract import UNITS, DepthContract, config_beside, read_contract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint
from fcrn_mobile.network.training_record import METRES, UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import Metadata

_NUMBERS = st.floats(-1000, 1000)
_TRIPLES = st.tuples(_NUMBERS, _NUMBERS, _NUMBERS)
_STDS = st.tuples(*[st.floats(1e-3, 10)] * 3)
_SIDES = st.integers(1, 64)


@st.composite
def contracts(draw: st.DrawFn) -> DepthContract:
    multiple = draw(st.integers(1, 32))
    sizes = tuple((high * multiple, wide * multiple) for high, wide in draw(st.lists(st.tuples(_SIDES, _SIDES), max_size=3)))
    normalised, focal = draw(st.booleans()), draw(st.one_of(st.none(), st.floats(1, 5000)))
    width = None if focal is None else draw(st.integers(1, 5000) if not sizes else st.one_of(st.none(), st.integers(1, 5000)))
    return DepthContract(
        depth=draw(st.sampled_from(["metres", "scale", "inverse"])),
        sizes=sizes,
        multiple=multiple,
        channels=draw(st.sampled_from(["RGB", "BGR"])),
        layout=draw(st.sampled_from(["channels-first", "channels-last"])),
        mean=draw(_TRIPLES) if normalised else None,
        std=draw(_STDS) if normalised else None,
        framing=draw(st.sampled_from(["stretch", "crop", "letterbox"])),
        output=draw(st.one_of(st.none(), st.text(min_size=1))),
        focal_length=focal,
        focal_width=width,
    )


@given(contracts())
@settings(deadline=None)
def test_json_reads_back_what_was_written(contract: DepthContract) -> None:
    assert DepthContract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


@given(contracts())
@settings(deadline=None)
def test_metadata_read_back_what_was_written(contract: DepthContract) -> None:
    written = Metadata.from_dict(Metadata(**contract.to_metadata()).to_dict())
    assert written.depth_contract() == replace(contract, focal_width=contract.camera and contract.camera[1])
    assert written.is_metric == contract.is_metric == (contract.depth == "metres")


def test_toml_is_read_into_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "model.toml"
    file.write_text(
        'depth = "inverse"\noutput = "disparity"\n'
        "mean = [0.485, 0.456, 0.406]\nstd = 0.225\nsizes = [[384, 512], [256, 256]]\nmultiple = 32\n"
        'channels = "BGR"\nlayout = "channels-last"\nframing = "letterbox"\nfocal_length = 500\n'
    )
    contract = read_contract(file)
    assert contract == DepthContract(
        "inverse", ((384, 512), (256, 256)), 32, "BGR", "channels-last", (0.485, 0.456, 0.406), (0.225,) * 3, "letterbox", "disparity", 500
    )
    assert contract.camera == (500, 512)
    assert config_beside(tmp_path / "model.mlpackage") == file
    assert config_beside(tmp_path / "other.mlpackage") is None


def test_what_the_docstring_shows_is_read(tmp_path: Path) -> None:
    import fcrn_mobile.depth_contract as module

    shown = (module.__doc__ or "").partition("::")[2]
    assert set(tomllib.loads(shown)) == {"depth", "output", "mean", "std", "sizes"}
    assert DepthContract.from_dict(tomllib.loads(shown)).depth == "inverse"


@given(st.tuples(*[st.floats(1e-3, 1)] * 3), _TRIPLES)
@settings(deadline=None)
def test_scale_and_bias_are_mean_and_std_of_the_same_pixels(scale: tuple[float, ...], bias: tuple[float, ...]) -> None:
    contract = DepthContract.from_dict({"depth": "metres", "scale": list(scale), "bias": list(bias)})
    pixels = np.arange(0, 256, 51, dtype=np.float64)[:, None]
    mean, std = np.asarray(contract.mean), np.asarray(contract.std)
    np.testing.assert_allclose((pixels / 255 - mean) / std, pixels * scale + bias, rtol=1e-9, atol=1e-6)


def test_a_config_adds_to_what_the_file_says() -> None:
    own = DepthContract("scale", sizes=((224, 320),))
    assert DepthContract.from_dict({"focal_length": 250}, own) == DepthContract("scale", ((224, 320),), focal_length=250)
    assert DepthContract.from_dict({"depth": "metres"}, own).is_metric


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, ["depth is missing", '"inverse"']),
        ({"depth": "meters"}, ["depth is 'meters'", "metres, scale, inverse"]),
        ({"depth": ["metres"]}, ["depth is ['metres']"]),
        ({"chanels": "BGR"}, ["unknown key 'chanels'", "did you mean 'channels'?"]),
        ({"xyzzy": 1}, ["unknown key 'xyzzy'", "allowed are depth, sizes"]),
        ({"channels": "rgb"}, ["channels is 'rgb'", "RGB, BGR"]),
        ({"layout": "NCHW"}, ["layout is 'NCHW'", "channels-first, channels-last"]),
        ({"framing": "pad"}, ["framing is 'pad'", "stretch, crop, letterbox"]),
        ({"multiple": 0}, ["multiple is 0", "from 1"]),
        ({"multiple": True}, ["multiple is True"]),
        ({"sizes": 224}, ["sizes is 224", "[height, width]"]),
        ({"sizes": [224, 320]}, ["sizes has 224", "sizes = [["]),
        ({"sizes": [[224]]}, ["sizes has [224]"]),
        ({"sizes": [[224, 320.0]]}, ["sizes has [224, 320.0]"]),
        ({"sizes": [[224, -32]]}, ["sizes has [224, -32]"]),
        ({"sizes": [[224, 300]], "multiple": 32}, ["[224, 300]", "multiples of 32"]),
        ({"mean": 0.5}, ["mean is given without std"]),
        ({"std": [1, 1, 1]}, ["std is given without mean"]),
        ({"mean": [0.5, 0.5], "std": 1}, ["mean is [0.5, 0.5]", "three numbers"]),
        ({"mean": "imagenet", "std": 1}, ["mean is 'imagenet'"]),
        ({"mean": float("nan"), "std": 1}, ["mean is nan"]),
        ({"mean": 10**400, "std": 1}, ["mean is 1000"]),
        ({"mean": 0, "std": [1, 0, 1]}, ["std is [1.0, 0.0, 1.0]", "other than 0"]),
        ({"mean": 0, "std": 1, "scale": 2}, ["mean is given beside scale"]),
        ({"scale": 0}, ["scale is 0", "other than 0"]),
        ({"bias": "none"}, ["bias is 'none'"]),
        ({"output": ""}, ["output is ''"]),
        ({"output": 1}, ["output is 1"]),
        ({"focal_length": 0, "sizes": [[8, 8]]}, ["focal_length is 0", "above 0"]),
        ({"focal_length": "518.9", "sizes": [[8, 8]]}, ["focal_length is '518.9'"]),
        ({"focal_length": 518.9}, ["focal_length does not say at which width", "focal_width"]),
        ({"focal_width": 640}, ["focal_width is given without focal_length"]),
        ({"focal_length": 518.9, "focal_width": 640.5}, ["focal_width is 640.5"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_line_that_names_key_and_remedy(values: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        DepthContract.from_dict(({"depth": "metres"} if values else {}) | values)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    for word in words:
        assert word in message


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    file = tmp_path / "m.toml"
    for text, words in (('depth = "far"', "depth is 'far'"), ("depth =", "not valid TOML"), (None, "no model config at")):
        if text is None:
            file.unlink()
        else:
            file.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            read_contract(file)
        assert str(file) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_units_in_metadata_are_those_of_older_packages() -> None:
    """Files that exist, and the app, have these words."""
    assert (METRES, UP_TO_SCALE) == ("metres", "up to scale") == (UNITS["metres"], UNITS["scale"])


@pytest.mark.parametrize(
    ("written", "contract"),
    [
        ({}, None),
        ({"network": "fcrn-lite0"}, DepthContract()),
        ({"version": "0.9", "recipe": "{}", "source_sha256": "a" * 64}, None),
        ({"output_units": "metres"}, DepthContract()),
        ({"output_units": "up to scale", "training_data": "nyu-mat:a.mat"}, DepthContract("scale")),
        (
            {"output_units": "metres", "camera": '{"data": "NYU Depth V2", "focal_px": 518.9, "width_px": 640}'},
            DepthContract(focal_length=518.9, focal_width=640),
        ),
        ({"output_units": "metres", "training_data": "nyu-mat:a.mat"}, DepthContract(focal_length=518.9, focal_width=640)),
        ({"output_units": "metres", "training_data": "folder:mine"}, DepthContract()),
        ({"output_units": "metres", "camera": "Canon"}, DepthContract()),
        ({"output_units": "metres", "camera": '{"focal_px": "far", "width_px": 1}'}, DepthContract()),
        ({"output_units": "metres", "input_values": "RGB, 0..255"}, DepthContract(mean=(0, 0, 0), std=(1 / 255,) * 3)),
    ],
    ids=str,
)
def test_older_artefacts_have_a_contract(written: dict[str, str], contract: DepthContract | None) -> None:
    assert Metadata(**written).depth_contract() == contract


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"output_units": "feet"}, "depth is 'feet'"),
        ({"contract": "[1]"}, "contract is '\\[1\\]'"),
        ({"contract": "{"}, "contract is '{'"),
        ({"contract": '{"multiple": 0}'}, "multiple is 0"),
    ],
)
def test_metadata_that_say_what_cannot_be_are_refused(written: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Metadata(**written).depth_contract()


def test_checkpoints_have_a_contract() -> None:
    builtin = load_checkpoint("builtin")
    contract = builtin.contract
    assert (contract.depth, contract.channels, contract.mean, contract.std) == ("metres", "RGB", (0, 0, 0), (1, 1, 1))
    relative = replace(builtin, training=TrainingRecord(depth=UP_TO_SCALE, data="nyu-mat:a.mat")).contract
    assert relative == DepthContract("scale", mean=(0, 0, 0), std=(1, 1, 1))
    metric = replace(builtin, training=TrainingRecord(data="nyu-mat:a.mat")).contract
    assert metric.camera == (518.9, 640)


def test_sizes_and_multiples_allow_what_they_say() -> None:
    assert DepthContract().allows((7, 9))
    assert not DepthContract(multiple=14).allows((518, 520))
    assert DepthContract(multiple=14).allows((518, 252))
    assert [DepthContract(sizes=((64, 96),)).allows(size) for size in ((64, 96), (96, 64))] == [True, False]


def test_the_documentation_names_every_key_and_its_example_is_read() -> None:
    text = (Path(__file__).parents[1] / "docs" / "model-config.md").read_text(encoding="utf-8")
    table = {key for line in text.splitlines() if line.startswith("| `") for key in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert table == {item.name for item in fields(DepthContract)} | {"scale", "bias"}
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert DepthContract.from_dict(tomllib.loads(example)).output == "predicted_depth"
