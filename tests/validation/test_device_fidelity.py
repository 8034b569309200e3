"""What the app is given to compare with, and what it wrote, held to a budget."""

import copy
import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from fcrn_mobile.conversion.export import export
from fcrn_mobile.conversion.recipe import Recipe
from fcrn_mobile.data import open_source
from fcrn_mobile.data.framing import Frame
from fcrn_mobile.network.checkpoints import Checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from fcrn_mobile.package.reading import package_hash
from fcrn_mobile.runtimes import open_runtime
from fcrn_mobile.validation.device_fidelity import device_schema
from tests.journeys.command import Result, refused

__all__: list[str] = []

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures/fidelity_report.json"

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))
    checkpoint = Checkpoint(name="tiny", network=network.eval(), sha256="0123456789abcdef" * 4)
    path = tmp_path_factory.mktemp("package") / "tiny.mlpackage"
    export(checkpoint, Recipe(budget={"fidelity": "0.02"}), path)
    return path


@pytest.fixture
def report(package: Path) -> dict[str, Any]:
    """The app's, of the package: the one that Swift writes in its tests."""
    content: dict[str, Any] = json.loads(REPORT.read_text())
    return content | {"exported_sha256": package_hash(package)}


def write(folder: Path, content: Any) -> str:
    path = folder / "phone.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_the_schema_is_one_that_the_apps_report_fits() -> None:
    Draft202012Validator.check_schema(device_schema())
    Draft202012Validator(device_schema()).validate(json.loads(REPORT.read_text()))


def test_the_phone_gets_the_pixels_that_the_host_ran(package: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "Models").mkdir()
    assert call("ios-install", str(package), "--models", "Models").returncode == 0
    installed = tmp_path / "Models/tiny.mlpackage"
    content = json.loads((tmp_path / "Models/tiny.fidelity.json").read_text())
    assert content["exported_sha256"] == package_hash(package)
    assert content["package_sha256"] == package_hash(installed) != package_hash(package)
    assert (content["tolerance_abs_rel"], content["unit"], content["input_size"]) == (0.02, "metres", [64, 96])
    assert content["hosts"]["float16"] == "MIL runtime, simulated float16 arithmetic"
    images = {sample.name: sample.image for sample in (open_source("sample")[index] for index in range(len(open_source("sample"))))}
    assert 1 < len(content["frames"]) == len({frame["name"] for frame in content["frames"]})
    for frame in content["frames"]:
        image = images[frame["name"]]
        pixels = np.frombuffer(b64decode(frame["rgb"]), np.uint8).reshape(64, 96, 3)
        np.testing.assert_array_equal(pixels, Frame((image.shape[0], image.shape[1]), (64, 96), "crop").fill(image))
    # The copy in the app, asked for the whole picture, crops it itself: the same pixels, and so the same depth.
    for arithmetic in ("float32", "float16"):
        output = np.frombuffer(b64decode(frame[arithmetic]), "<f4").reshape(content["output_size"])
        whole = open_runtime(str(installed), "mil", arithmetic).predict(image)
        np.testing.assert_array_equal(whole[np.isfinite(whole)], output.ravel())
    assert not np.array_equal(*(np.frombuffer(b64decode(frame[arithmetic]), "<f4") for arithmetic in ("float32", "float16")))


def test_host_outputs_can_be_left_out_and_older_ones_dont_stay(package: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "Models").mkdir()
    typed = ("ios-install", str(package), "--models", "Models", "--force")
    assert "its outputs for them here" in call(*typed).stdout
    assert call(*typed, "--no-fidelity").returncode == 0
    assert [path.name for path in (tmp_path / "Models").iterdir()] == ["tiny.mlpackage"]


def test_a_report_of_the_app_is_held_to_the_packages_budget(package: Path, report: dict[str, Any], tmp_path: Path, call: Call) -> None:
    result = call("validate", str(package), "--import", write(tmp_path, report))
    # Two compute units: one gives the host's own outputs, one is off by 1 %, of 2 % that the package allows.
    assert result.returncode == 0, result.stderr
    assert "measured on the device by the app, as the file says" in result.stdout
    assert "nothing here ran on a device" in result.stdout
    assert "cpuOnly, coreml: budget fidelity=0.02 held, measured 0.00000" in result.stdout
    assert "cpuAndNeuralEngine, coreml: budget fidelity=0.02 held, measured 0.01000" in result.stdout
    broken = call("validate", str(package), "--import", "phone.json", "--budget", "fidelity=0.009", "--json", "-")
    assert broken.returncode == 1
    verdicts = {(each["compute_units"], each["host"]): each["verdict"] for each in json.loads(broken.stdout)["results"]}
    assert verdicts == {
        ("cpuOnly", "float32"): "held",
        ("cpuOnly", "float16"): "shown",
        ("cpuAndNeuralEngine", "float32"): "broken",
        ("cpuAndNeuralEngine", "float16"): "shown",
    }


def test_outputs_that_are_no_numbers_break_every_budget(package: Path, report: dict[str, Any], tmp_path: Path, call: Call) -> None:
    result = report["results"][0]
    for place in (result, result["frames"][0]):
        for key in ("abs_rel", "psnr_db", "max_abs"):
            place.pop(key, None)
    result["first_difference"] = result["frames"][0]["name"]
    assert call("validate", str(package), "--import", write(tmp_path, report), "--budget", "abs_rel=5%").returncode == 1


def test_a_report_of_another_package_is_refused(package: Path, report: dict[str, Any], tmp_path: Path, call: Call) -> None:
    report["exported_sha256"] = "0" * 64
    refused(call("validate", str(package), "--import", write(tmp_path, report)), "another package", "that was installed")
    report["package_sha256"] = package_hash(package)
    assert call("validate", str(package), "--import", write(tmp_path, report)).returncode == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, ("schema version 2", "update")),
        ({"kind": "bench"}, ("not a fidelity report", "$.kind")),
        ({"results": []}, ("not a fidelity report", "$.results")),
    ],
)
def test_a_file_of_no_known_schema_is_refused(
    change: dict[str, Any], words: tuple[str, ...], package: Path, report: dict[str, Any], tmp_path: Path, call: Call
) -> None:
    refused(call("validate", str(package), "--import", write(tmp_path, report | change)), "phone.json", *words)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": NaN}'])
def test_what_is_no_report_is_refused(text: str, package: Path, tmp_path: Path, call: Call) -> None:
    refused(call("validate", str(package), "--import", write(tmp_path, text)), "phone.json", "fidelity report of the iOS app")


def test_a_report_that_was_edited_is_refused(package: Path, report: dict[str, Any], tmp_path: Path, call: Call) -> None:
    for key, value in (("abs_rel", 0.005), ("max_abs", 0.005), ("first_difference", "nothing")):
        edited = copy.deepcopy(report)
        edited["results"][0][key] = value
        refused(call("validate", str(package), "--import", write(tmp_path, edited)), "phone.json", "result 1", "export it again")
    report["results"] = [result for result in report["results"] if result["host"] == "float16"]
    refused(call("validate", str(package), "--import", write(tmp_path, report)), "no result against the host in float32")


def test_wrong_uses_are_one_line(package: Path, report: dict[str, Any], tmp_path: Path, call: Call) -> None:
    file = write(tmp_path, report)
    refused(call("validate", str(package), "--import", "missing.json"), "missing.json", "fidelity report")
    refused(call("validate", "builtin", "--import", file), "'builtin' is no .mlpackage")
    refused(call("validate", str(package), "--import", file, "--data", "sample"), "--data", "--import")
    refused(call("validate", str(package), str(package), "--import", file), "candidates", "--import")
    refused(call("validate", str(package), "--import", file, "--junit", "a.xml"), "--junit", "--import")
    refused(call("validate", str(package)), "CANDIDATES")
    refused(call("validate", "builtin", str(package)), "--data")
