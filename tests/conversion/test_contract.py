import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from fcrn_mobile.cli.ios_install import command
from fcrn_mobile.conversion.artefact import provenance
from fcrn_mobile.conversion.contract import Port, check, read_ports, violations
from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.network import forms
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.network.training_record import UP_TO_SCALE, TrainingRecord
from fcrn_mobile.package.metadata import Metadata
from fcrn_mobile.quiet import quiet_coremltools
from fcrn_mobile.runtimes import open_runtime
from tests.journeys.command import Result, call, refused
from tests.runtimes.wrong_models import depth_of, save_image_package

__all__ = ["call"]

PICTURE, DEPTH = Port("image", "colour", (64, 96)), Port("depth", "half", (32, 48))


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    network = FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))
    return Checkpoint(name="tiny", network=network.eval(), sha256="0123456789abcdef" * 4)


@pytest.fixture(scope="module")
def package(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "tiny.mlpackage"
    export(checkpoint, Recipe(), path)
    return path


@pytest.fixture(scope="module")
def relative(checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What training on a video alone gives, exported."""
    path = tmp_path_factory.mktemp("relative") / "relative.mlpackage"
    export(replace(checkpoint, training=TrainingRecord(depth=UP_TO_SCALE)), Recipe(), path)
    return path


@pytest.fixture
def metadata(checkpoint: Checkpoint) -> dict[str, str]:
    return provenance(checkpoint, Recipe(), coreml=True)


def retitled(package: Path, out: Path, change: Callable[[dict[str, str]], object]) -> Path:
    """The package with other metadata, written by coremltools."""
    with quiet_coremltools():
        import coremltools

        model = coremltools.models.MLModel(str(package), skip_model_load=True)
        change(model.user_defined_metadata)
        model.save(str(out))
    return out


@pytest.mark.parametrize("output", ["image", "array"])
def test_what_export_writes_fits(output: str, checkpoint: Checkpoint, tmp_path: Path) -> None:
    export(checkpoint, Recipe(output=output), tmp_path / "m.mlpackage")
    assert check(tmp_path / "m.mlpackage") == []


def test_ports_are_those_that_coremltools_reads(package: Path) -> None:
    inputs, outputs, metadata = read_ports(package)
    with quiet_coremltools():
        from coremltools.models.utils import load_spec

        description = load_spec(str(package)).description
    picture, depth = description.input[0].type.imageType, description.output[0].type.imageType
    assert inputs == [Port("image", "colour", (picture.height, picture.width))]
    assert outputs == [Port("depth", "half", (depth.height, depth.width))]
    assert metadata["fcrn_mobile.output_units"] == "metres"


def test_all_violations_are_named_each_on_a_line_with_its_remedy(metadata: dict[str, str]) -> None:
    metadata["fcrn_mobile.checkpoint_sha256"] = "abc"
    metadata["fcrn_mobile.output_units"] = "feet"
    found = violations([Port("x", "array", (3, 4))], [], metadata)
    assert [line.partition(":")[0] for line in found] == [
        "its input 'x' is not a colour picture of fixed size",
        "its depth is in 'feet', neither in metres nor up to scale",
        "its checkpoint hash 'abc' is not a SHA-256",
        "it gives 0 outputs (), not one depth map",
    ]
    assert all(": export it" in line and "\n" not in line for line in found)


@pytest.mark.parametrize("size", [None, [64, 96]])
def test_a_recipe_may_leave_the_size_open_or_name_the_models(size: list[int] | None, metadata: dict[str, str]) -> None:
    metadata["fcrn_mobile.recipe"] = json.dumps(json.loads(metadata["fcrn_mobile.recipe"]) | {"input_size": size})
    assert violations([PICTURE], [DEPTH], metadata) == []


def test_depth_without_a_unit_fits_and_is_told_from_metres(package: Path, relative: Path) -> None:
    assert read_ports(relative)[2]["fcrn_mobile.output_units"] == "up to scale"
    assert check(relative) == []
    assert [Metadata.from_dict(read_ports(path)[2]).is_metric for path in (package, relative)] == [True, False]


def test_a_unit_that_the_app_does_not_know_is_named(metadata: dict[str, str]) -> None:
    metadata["fcrn_mobile.output_units"] = "Metres"
    (line,) = violations([PICTURE], [DEPTH], metadata)
    assert line == "its depth is in 'Metres', neither in metres nor up to scale: export it with fcrn-mobile"


def test_a_size_is_said_as_width_by_height(metadata: dict[str, str]) -> None:
    metadata["fcrn_mobile.recipe"] = json.dumps(json.loads(metadata["fcrn_mobile.recipe"]) | {"input_size": [64, 80]})
    assert violations([PICTURE], [DEPTH], metadata) == ["it takes 96×64 pixels, its recipe says 80×64: export it again"]


@pytest.mark.parametrize("text", ["[]", "{", "7", '{"name": 1}', "[" * 100_000])
def test_a_recipe_that_is_not_one_is_said_to_be_unreadable(text: str, metadata: dict[str, str]) -> None:
    metadata["fcrn_mobile.recipe"] = text
    (line,) = violations([PICTURE], [DEPTH], metadata)
    assert "recipe" in line and len(line) < 200


def test_ios_install_copies_the_package_whole(package: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    (tmp_path / "ios_demo/Models").mkdir(parents=True)
    result = call("ios-install", str(package), "--json", "-")
    assert result.returncode == 0, result.stderr
    installed = tmp_path / "ios_demo/Models/tiny.mlpackage"
    assert json.loads(result.stdout)["violations"] == []
    assert json.loads(result.stdout)["metric"] is True
    original = {path.relative_to(package): path.read_bytes() for path in package.rglob("*") if path.suffix != ".mlmodel" and path.is_file()}
    assert original == {path: (installed / path).read_bytes() for path in original}
    written, own = read_ports(package)[2], read_ports(installed)[2]
    assert own == written | {"fcrn_mobile.contract": '{"framing": "crop"}'}
    refused(call("ios-install", str(package)), "exists", "--force")
    assert call("ios-install", str(package), "--force").returncode == 0
    assert sorted(path.name for path in installed.parent.iterdir()) == ["tiny.fidelity.json", "tiny.mlpackage"]


def test_ios_install_brings_a_starter(checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A tiny network in place of the built-in one, whose weights take half a minute to be rounded.
    networks = {"builtin": checkpoint}
    monkeypatch.setattr(forms, "open_network", networks.__getitem__)
    (tmp_path / "Models").mkdir()
    result = CliRunner().invoke(command, ["--starter", "--models", str(tmp_path / "Models"), "--json", "-"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["violations"] == []
    assert told["model"] == "builtin"
    installed = tmp_path / "Models/fcrn-starter.mlpackage"
    assert json.loads(read_ports(installed)[2]["fcrn_mobile.recipe"])["precision"] == "int8"
    assert sorted(path.name for path in installed.parent.iterdir()) == ["fcrn-starter.fidelity.json", "fcrn-starter.mlpackage"]


def test_ios_install_takes_a_model_or_the_starter(package: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    refused(call("ios-install"), "MODEL", "--starter")
    refused(call("ios-install", str(package), "--starter"), "MODEL", "--starter")
    assert not list(tmp_path.rglob("Models"))


def test_ios_install_says_how_pictures_are_framed(package: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    (tmp_path / "Models").mkdir()
    typed = ("ios-install", str(package), "--models", "Models", "--force")
    for words, framing in (((), "crop"), (("--framing", "stretch"), "stretch"), (("--framing", "letterbox"), "letterbox")):
        result = call(*typed, *words)
        assert f"pictures are brought to its size by {framing}" in result.stdout
        assert json.loads(read_ports(tmp_path / "Models/tiny.mlpackage")[2]["fcrn_mobile.contract"]) == {"framing": framing}
    refused(call(*typed, "--framing", "fill"), "--framing 'fill' is none: use one of stretch, crop, letterbox")


def test_ios_install_names_the_camera_that_older_packages_tell_by_their_data(
    package: Path, tmp_path: Path, call: Callable[..., Result]
) -> None:
    (tmp_path / "Models").mkdir()
    old = retitled(package, tmp_path / "old.mlpackage", lambda metadata: metadata.update({"fcrn_mobile.training_data": "nyu-h5:somewhere"}))
    assert "fcrn_mobile.camera" not in read_ports(old)[2]
    assert call("ios-install", str(old), "--models", "Models").returncode == 0
    camera = json.loads(read_ports(tmp_path / "Models/old.mlpackage")[2]["fcrn_mobile.camera"])
    assert (camera["focal_px"], camera["width_px"]) == (518.9, 640)


def test_ios_install_says_when_depth_has_no_unit(package: Path, relative: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    (tmp_path / "Models").mkdir()
    result = call("ios-install", str(relative), "--models", "Models")
    assert result.returncode == 0, result.stderr
    assert "known up to a scale only: the app shows it as relative, never in metres" in result.stdout
    assert "known up to" not in call("ios-install", str(package), "--models", "Models").stdout


def test_a_package_that_does_not_fit_is_named_and_not_copied(package: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    def spoil(metadata: dict[str, str]) -> None:
        metadata["fcrn_mobile.output_units"] = "feet"
        metadata["fcrn_mobile.checkpoint_sha256"] = "abc"

    (tmp_path / "Models").mkdir()
    foreign = retitled(package, tmp_path / "feet.mlpackage", spoil)
    result = call("ios-install", str(foreign), "--models", "Models")
    assert result.returncode == 2
    first, second = result.stderr.splitlines()
    assert "doesn't fit the app: its depth is in 'feet', neither in metres nor up to scale: export it with fcrn-mobile" in first
    assert "its checkpoint hash 'abc' is not a SHA-256" in second
    assert list((tmp_path / "Models").iterdir()) == []


def test_bad_use_is_one_line(package: Path, tmp_path: Path, call: Callable[..., Result]) -> None:
    refused(call("ios-install", str(package)), "ios_demo/Models", "--models")
    refused(call("ios-install", "missing.mlpackage"), "missing.mlpackage")
    refused(call("ios-install", "model.onnx"), "model.onnx", "no .mlpackage")
    (tmp_path / "Models").mkdir()
    damaged = tmp_path / "damaged.mlpackage"
    shutil.copytree(package, damaged)
    shutil.rmtree(damaged / "Data/com.apple.CoreML/weights")
    refused(call("ios-install", str(damaged), "--models", "Models"), "weight")
    assert list((tmp_path / "Models").iterdir()) == []


def test_a_package_of_another_maker_needs_a_picture_a_map_and_what_its_depth_means(tmp_path: Path, call: Callable[..., Result]) -> None:
    (tmp_path / "Models").mkdir()
    foreign = save_image_package(tmp_path, depth_of, output="GRAYSCALE_FLOAT16")
    typed = ("ios-install", str(foreign), "--models", "Models")
    refused(call(*typed), "its metadata lack 'fcrn_mobile.output_units': export it with fcrn-mobile, or say depth in a model config")
    config = tmp_path / "own.toml"
    config.write_text('depth = "inverse"\n')
    refused(call(*typed, "--model-config", "own.toml"), "its depth is in 'inverse depth, up to scale and shift', neither in metres nor")
    assert list((tmp_path / "Models").iterdir()) == []
    config.write_text('depth = "scale"\n')
    result = call(*typed, "--model-config", "own.toml")
    assert result.returncode == 0, result.stderr
    assert "known up to a scale only" in result.stdout
    installed = tmp_path / "Models" / foreign.name
    assert read_ports(installed)[2]["fcrn_mobile.output_units"] == "up to scale"
    assert "fcrn_mobile.output_units" not in read_ports(foreign)[2]
    assert check(installed) == []
    foreign.with_suffix(".toml").write_text('depth = "metres"\n')
    assert json.loads(call(*typed, "--force", "--json", "-").stdout)["metric"] is True
    assert read_ports(installed)[2]["fcrn_mobile.output_units"] == "metres"
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    np.testing.assert_array_equal(*(open_runtime(str(path)).predict(image) for path in (foreign, installed)))
