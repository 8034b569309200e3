import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.command import refused
from tests.mil.build import mb, save_program
from tests.validation.planted import save_small


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Packages of the small network in both precisions."""
    folder = tmp_path_factory.mktemp("small")
    for precision in ("FLOAT32", "FLOAT16"):
        save_small(folder, precision, precision)
    save_small(folder, "larger", "FLOAT16", size=(32, 32))
    return folder


def test_the_built_in_network_against_its_int8_package(call, packages, tmp_path: Path) -> None:
    words = ("diagnose", "builtin", str(packages["int8"]), "--data", "sample", "--images", "2")
    result = call(*words, "--figure", "drift.png", "--json", "drift.json")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    value = json.loads((tmp_path / "drift.json").read_text())
    assert set(value) >= {
        "suspect",
        "steepest",
        "worst",
        "fidelity",
        "images",
        "arithmetic",
        "unmatched",
        "ops",
        "reference",
        "candidate",
        "data",
    }
    assert (value["images"], value["arithmetic"], value["unmatched"]) == (2, "float16", {"candidate": 1, "reference": 0})
    ops = {op["name"]: op for op in value["ops"]}
    own = [ops[name]["own"]["drift"] for name in value["worst"]]
    assert own == sorted(own, reverse=True)
    assert value["suspect"]["name"] == value["worst"][0]
    # Errors of many operators add as independent ones do, roughly.
    assert 0.5 < math.sqrt(sum(drift**2 for drift in own)) / value["fidelity"]["abs_rel"] < 2
    # The worst stand in the table, by the names that a recipe may use; the verdict names the first of them.
    lines = [line.split() for line in result.stdout.splitlines()]
    for name in value["worst"][:15]:
        row = next(line for line in lines if line and line[0] == ops[name]["weights"])
        assert float(row[1]) == pytest.approx(ops[name]["own"]["drift"], abs=1e-6)
    for words_shown in (
        "simulated float16",
        "not on a device",
        "verdict: look at",
        value["suspect"]["weights"],
        "[[ops]]",
        "written: drift.png",
    ):
        assert words_shown in result.stdout
    assert Image.open(tmp_path / "drift.png").width > 1000


def test_the_json_stands_alone_on_standard_output(call, small: Path) -> None:
    out = call(
        "diagnose", str(small / "FLOAT32.mlpackage"), str(small / "FLOAT16.mlpackage"), "--data", "sample", "--images", "1", "--json", "-"
    ).stdout
    assert json.loads(out)["suspect"]["reason"] == "rounding"


def test_a_package_against_itself_has_no_drift(call, small: Path, tmp_path: Path) -> None:
    path = str(small / "FLOAT32.mlpackage")
    result = call("diagnose", path, path, "--data", "sample", "--images", "1", "--arithmetic", "float32", "--figure", "same.png")
    assert result.returncode == 0, result.stderr
    assert "verdict: no drift" in result.stdout
    assert (tmp_path / "same.png").exists()


def test_an_existing_picture_is_kept_without_force(call, small: Path, tmp_path: Path) -> None:
    words = ("diagnose", str(small / "FLOAT32.mlpackage"), str(small / "FLOAT16.mlpackage"), "--data", "sample", "--images", "1")
    (tmp_path / "mine.png").write_bytes(b"mine")
    refused(call(*words, "--figure", "mine.png"), "mine.png", "exists", "--force")
    assert (tmp_path / "mine.png").read_bytes() == b"mine"
    assert call(*words, "--figure", "mine.png", "--force").returncode == 0
    assert Image.open(tmp_path / "mine.png").width > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]


def test_bad_use_is_one_line(call, small: Path, tmp_path: Path) -> None:
    single, half, larger = (str(small / f"{name}.mlpackage") for name in ("FLOAT32", "FLOAT16", "larger"))
    plain = save_program(tmp_path, lambda x0: mb.relu(x=x0), [np.zeros((1, 3), np.float32)])
    (tmp_path / "empty" / "rgb").mkdir(parents=True)
    (tmp_path / "empty" / "depth").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for line, words in [
        (f"{single} net.onnx --data sample", ["net.onnx", ".mlpackage"]),
        (f"{single} builtin --data sample", ["builtin", ".mlpackage"]),
        (f"{single} none.mlpackage --data sample", ["none.mlpackage"]),
        (f"net.onnx {half} --data sample", ["net.onnx", "builtin", ".safetensors"]),
        (f"none.safetensors {half} --data sample", ["none.safetensors"]),
        (f"{single} {larger} --data sample", ["24×32", "32×32"]),
        (f"{single} {plain} --data sample", ["op.mlpackage", "'x0'", "--model-config"]),
        (f"builtin {plain} --data sample", ["op.mlpackage", "'x0'", "--model-config"]),
        (f"builtin {larger} --data sample", ["operators are in the reference", "same network"]),
        (f"{single} {half} --data folder:empty", ["empty"]),
        (f"{single} {half} --data folder:nowhere", ["nowhere"]),
        (f"{single} {half} --data sample --arithmetic fp8", ["fp8", "float16"]),
        (f"{single} {half} --data sample --images 0", ["--images"]),
        (f"{single} {half} --data sample --figure drift.txt", ["drift.txt", ".png"]),
        (f"{single} {half} --data sample --figure no/drift.png", ["no", "create it"]),
    ]:
        refused(call("diagnose", *line.split()), *words)
        assert sorted(tmp_path.rglob("*")) == before, line
