"""bench as a user types it. Reports that are imported here are made up: none is a measurement of a device."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from jsonschema import Draft202012Validator

from fcrn_mobile.latency.reports import schema
from fcrn_mobile.network.checkpoints import save_checkpoint
from fcrn_mobile.network.fcrn import FCRN, preset
from tests.conftest import settled
from tests.journeys.command import refused

FIXTURES = Path(__file__).resolve().parents[2] / "ios_demo/DepthCore/Tests/DepthCoreTests/Fixtures"


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    torch.manual_seed(0)
    save_checkpoint(settled(FCRN(preset("fcrn-lite0", widths=(16, 8, 8, 8, 8), input_size=(64, 96)))), tmp_path / "a.safetensors")
    return "a.safetensors"


def test_a_measurement_is_written_as_the_schema_has_it_and_read_again(call, tiny: str) -> None:
    result = call("bench", tiny, "--runs", "3", "--threads", "1", "--end-to-end", "--json", "a.json")
    assert result.returncode == 0, result.stderr
    for word in ("a (torch)", "a (torch, end to end)", "FPS", "peak MB", "first ms", "decode", "colour", "1 threads", "not on a device"):
        assert word in result.stdout
    assert "estimate" not in result.stdout
    content = json.loads(Path("a.json").read_text())
    Draft202012Validator(schema()).validate(content)
    alone, whole = content["results"]
    assert "stages_ms" not in alone
    assert set(whole["stages_ms"]) == {"decode", "resize", "predict", "colour"}
    assert alone["checkpoint_sha256"] == whole["checkpoint_sha256"]
    again = call("bench", "--import", "a.json")
    assert again.returncode == 0, again.stderr
    assert f"{alone['median_ms']:.1f}" in again.stdout
    assert "not measured here" in again.stdout


def test_a_model_compared_with_itself(call, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcrn_mobile.latency.turns.LAUNCHES", 2)
    result = call("bench", tiny, tiny, "--compare", "--json", "-", "--html", "page.html")
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    Draft202012Validator(schema()).validate(content)
    found = content["comparison"]
    assert found["low"] <= found["ratio"] <= found["high"]
    assert found["difference_shown"] == (not found["low"] <= 1 <= found["high"])
    assert len(content["results"]) == 2
    page = Path("page.html").read_text()
    assert f"takes {found['ratio']:.3f} of the time of" in page
    assert ("no difference shown" in page) is not found["difference_shown"]


def test_reports_of_devices_side_by_side(call, tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "bench_device.json", tmp_path / "one.json")
    content = json.loads((tmp_path / "one.json").read_text())
    content["results"][0]["recipe"]["precision"] = "int8"
    (tmp_path / "two.json").write_text(json.dumps({**content, "results": content["results"][:1]}))
    result = call("bench", "--import", "one.json", "two.json", "--figure", "over.png", "--html", "page.html", "--json", "all.json")
    assert result.returncode == 0, result.stderr
    assert "made-up figures" in result.stdout
    assert "thermal state nominal → fair" in result.stdout
    assert "warning: recipe of 'fcrn-fp16' differs" in result.stdout
    assert (tmp_path / "over.png").read_bytes().startswith(b"\x89PNG")
    assert "recipe of" in (tmp_path / "page.html").read_text()
    merged = json.loads((tmp_path / "all.json").read_text())
    assert [report["file"] for report in merged["reports"]] == ["one.json", "two.json"]
    assert len(merged["differences"]) == 1
    refused(call("bench", "--import", "one.json", "--figure", "over.png"), "over.png", "exists", "--force")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--import missing.json", ["missing.json", "cannot read"]),
        ("--import text.json", ["text.json", "not JSON"]),
        ("--import one.json --figure a.gif", ["a.gif", ".png"]),
        ("--import one.json --figure nowhere/a.png", ["nowhere", "create"]),
        ("builtin --figure a.png", ["a.png", "--import"]),
        ("builtin --compare", ["--compare takes two, not 1"]),
        ("builtin builtin --compare --runs 5", ["--runs is 5", "30"]),
        ("builtin --threads 0", ["--threads is 0"]),
        ("builtin --backend cuda", ["cuda", "openvino"]),
        ("builtin --device any", ["--device 'any'", "coreml"]),
        ("builtin --arithmetic int4", ["int4", "float16"]),
        ("", ["MODELS"]),
    ],
)
def test_bad_use_is_one_line(call, tmp_path: Path, line: str, words: list[str]) -> None:
    (tmp_path / "text.json").write_text("hello")
    shutil.copy(FIXTURES / "bench_device.json", tmp_path / "one.json")
    before = sorted(tmp_path.iterdir())
    refused(call("bench", *line.split()), *words)
    assert sorted(tmp_path.iterdir()) == before
