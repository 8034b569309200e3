"""What ``validate --framing`` shows to models, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from fcrn_mobile.cli.main import main
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.depth_contract import DepthContract
from fcrn_mobile.errors import InputError
from fcrn_mobile.network.checkpoints import load_checkpoint, save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, FCRNConfig
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.package.writing import add_metadata


@pytest.fixture
def models(tiny_config: FCRNConfig, settle: Callable[[FCRN], FCRN], tmp_path: Path) -> tuple[str, str]:
    """A checkpoint, and a package of it that crops pictures."""
    float_file, package = tmp_path / "net.safetensors", tmp_path / "net.mlpackage"
    save_checkpoint(settle(FCRN(tiny_config)), float_file)
    export(load_checkpoint(str(float_file)), Recipe(precision="fp32"), package)
    add_metadata(package, Metadata(**DepthContract(framing="crop").to_metadata()).to_dict())
    return str(float_file), str(package)


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder with one frame of 120×160."""
    for name, values in (
        ("rgb", np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)),
        ("depth", np.full((120, 160), 2000, np.uint16)),
    ):
        (tmp_path / "scene" / name).mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / "scene" / name / "a.png")
    return f"folder:{tmp_path / 'scene'}"


def validate(*words: str) -> str:
    result = CliRunner().invoke(main, ["validate", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_model_that_crops_is_measured_on_what_it_sees(models: tuple[str, str], pictures: str, tmp_path: Path) -> None:
    data = f"{pictures}?fx=100"
    with pytest.raises(InputError, match="measure what a phone sees with validate --framing"):
        validate(*models, "--data", data)
    file = tmp_path / "drift.json"
    said = validate(
        *models, "--data", data, "--framing", "phone-portrait", "--json", str(file), "--budget", "fidelity=1", "--arithmetic", "float32"
    )
    assert "pictures were cut to phone-portrait video and framed by crop: an emulation, not run on a phone" in said
    written = json.loads(file.read_text())
    assert written["framing"] == {"view": "phone-portrait", "framing": "crop", "narrower_by": 1.0, "emulated": True}
    assert written["protocol"] == "full"
    assert written["candidates"][0]["fidelity"]["abs_rel"] < 1e-3


@pytest.mark.parametrize(
    ("more", "data", "message"),
    [
        (["--framing", "sideways"], "?fx=100", "--framing 'sideways' is none: use one of phone-portrait, phone-landscape, stretch"),
        (["--framing", "stretch"], "", "--framing stretch needs the focal length of the data's camera: add ?fx=PIXELS"),
    ],
)
def test_what_cannot_be_framed_is_one_line(more: list[str], data: str, message: str, models: tuple[str, str], pictures: str) -> None:
    with pytest.raises(InputError) as error:
        validate(*models, "--data", pictures + data, *more)
    assert message in str(error.value)


def test_models_of_other_framings_are_not_mixed(models: tuple[str, str], pictures: str) -> None:
    with pytest.raises(InputError, match="'net' and 'net' take other sizes or framings: give them one by one with --framing"):
        validate(models[0], models[1], models[0], "--data", f"{pictures}?fx=100", "--framing", "stretch")
