"""What a user types, as separate processes where exit codes and a clean standard error are the point: and nothing left behind."""

import json
import os
import re
import resource
import shutil
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.command import fcrn, refused
from tests.journeys.page import blocks, read_page
from tests.report.page import Parsed

ROOT = Path(__file__).parents[2]


def processor_seconds() -> float:
    """Of all child processes so far: other work on the machine doesn't count, waiting neither."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.speed
def test_help_is_quick(tmp_path) -> None:
    times = []
    for _ in range(3):
        start = processor_seconds()
        result = fcrn("--help", cwd=tmp_path)
        times.append(processor_seconds() - start)
    assert result.returncode == 0
    assert "validate" in result.stdout
    print(f"--help {min(times):.2f} s")
    assert min(times) < 0.3


@pytest.mark.speed
def test_the_demo_shows_drift_speed_and_a_picture(tmp_path) -> None:
    # As an earlier demo left it.
    (tmp_path / "demo/fcrn-fp16.mlpackage").mkdir(parents=True)
    for older in ("fcrn-fp16.mlpackage/older", "depth.png", "report.html"):
        (tmp_path / "demo" / older).write_text("older")
    start = processor_seconds()
    result = fcrn("demo", "--runs", "3", "--json", "demo.json", cwd=tmp_path)
    print(f"demo {processor_seconds() - start:.0f} s")
    assert result.returncode == 0, result.stderr
    assert processor_seconds() - start < 90
    for word in ("fcrn-fp16", "fcrn-int8", "held", "FPS", "not on a device", "next:"):
        assert word in result.stdout
    assert result.stderr == ""
    (transcript,) = (text for language, _, text in blocks(read_page("index.md")) if language == "text")
    assert unlike(transcript, result.stdout) == []
    written = ["depth.png", "fcrn-fp16.mlpackage", "fcrn-int8.mlpackage", "report.html"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == written
    report = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert len(report) < 3_000_000
    document = Parsed(report)
    assert document.all("h1")[0].text == "fcrn-fp16 and fcrn-int8 hold their budgets"
    for line in result.stdout.splitlines():
        if line.startswith("fcrn-fp16 ") and "mil" in line:  # of the latencies
            assert all(number in document.all("table")[1].text for number in line.split()[2:5])
    assert Image.open(tmp_path / "demo" / "depth.png").width > 800
    assert not (tmp_path / "demo/fcrn-fp16.mlpackage/older").exists()
    assert set(json.loads((tmp_path / "demo.json").read_text())) == {"validation", "benchmark", "picture", "report"}


def unlike(transcript: str, output: str) -> list[tuple[str, str]]:
    """Lines of a page that a command does not print: numbers and the processor may be others there. Warnings do not count."""

    def lines(text: str) -> list[str]:
        return [" ".join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith("warning: ")]

    def shape(line: str) -> str:
        return re.sub(r"[-+]?\d+(\.\d+)?", "#", re.sub(r".*(?=, \d+ cores?, )", "processor", line))

    pairs = zip_longest(lines(transcript), lines(output), fillvalue="")
    return [(line, real) for line, real in pairs if shape(line) != shape(real)]


def test_export_then_validate_against_a_budget(call, tmp_path) -> None:
    exported = fcrn("export", "builtin", "--recipe", str(ROOT / "export/int8.toml"), "--no-correct", "--out", "m.mlpackage", cwd=tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert exported.stderr == ""
    held = call("validate", "builtin", "m.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.05", "--json", "-")
    assert held.returncode == 0, held.stderr
    (candidate,) = json.loads(held.stdout)["candidates"]
    assert candidate["verdict"] == "held"
    assert 0.001 < candidate["fidelity"]["abs_rel"] < 0.05
    broken = fcrn("validate", "builtin", "m.mlpackage", "--data", "sample#val", "--budget", "fidelity=0.001", cwd=tmp_path)
    assert broken.returncode == 1
    assert "BROKEN" in broken.stdout
    inspected = call("inspect", "m.mlpackage")
    assert inspected.returncode == 0
    assert "int8" in inspected.stdout
    refused(call("export", "builtin", "--out", "m.mlpackage"), "exists", "--force")


@pytest.mark.parametrize(("arithmetic", "name"), [("float16", "simulated float16"), ("ane", "a simulation of the Neural Engine")])
def test_a_simulation_is_called_one(packages, call, arithmetic: str, name: str) -> None:
    result = call("validate", "builtin", str(packages["fp16"]), "--data", "sample#val", "--arithmetic", arithmetic)
    assert result.returncode == 0, result.stderr
    assert f"candidates ran on mil, {name}" in result.stdout
    assert "not run on a device" in result.stdout


def test_metrics_on_real_rooms(real_data, call) -> None:
    result = call("evaluate", "builtin", "--data", f"folder:{real_data}/nyu_train795.zip#val", "--json", "-")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)["metrics"]
    assert values["images"] == 119
    assert values["abs_rel"] <= 0.20
    assert values["delta1"] >= 0.70


def test_train_on_the_sample_then_use_the_checkpoint(call) -> None:
    words = "train --data sample --encoder-weights random --widths 8,8,8,8,8 --input-size 64x96 --epochs 1 --batch-size 8 --out run"
    result = call(*words.split())
    assert result.returncode == 0, result.stderr
    used = call("export", "run/best.safetensors", "--out", "mine.mlpackage")
    assert used.returncode == 0, used.stderr


@pytest.mark.parametrize("mode", ["L", "I;16", "CMYK", "RGBA", "P"])
def test_images_of_every_mode_have_a_clear_answer(mode: str, call, tmp_path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels[..., 0].astype(np.uint16) * 256) if mode == "I;16" else Image.fromarray(pixels).convert(mode)
    path = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    picture.save(path)
    result = call("predict", "builtin", path.name, "--out", "depth")
    assert (result.returncode == 0) == (mode != "I;16"), result.stderr
    if mode != "I;16":
        assert np.asarray(Image.open(tmp_path / "depth" / "a.depth.png")).dtype in (np.uint16, np.int32)
        return
    refused(result, path.name)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_bad_input_is_one_line_and_leaves_nothing(packages, call, tmp_path) -> None:
    (tmp_path / "text.mlpackage").write_text("hello")
    cut = tmp_path / "cut.mlpackage"
    shutil.copytree(packages["fp16"], cut)
    weights = next(cut.rglob("weight.bin"))
    os.truncate(weights, weights.stat().st_size // 2)
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    (tmp_path / "typo.toml").write_text('precison = "fp16"\n')
    (tmp_path / "nopairs" / "rgb").mkdir(parents=True)
    for folder in ("rgb", "depth"):
        (tmp_path / "blind" / folder).mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(tmp_path / "blind/rgb/a.png")
    Image.fromarray(np.zeros((48, 64), np.uint16)).save(tmp_path / "blind/depth/a.png")
    before = sorted(tmp_path.rglob("*"))
    for line, words in [
        ("predict builtin missing.png --out depth", ["missing.png"]),
        ("validate builtin missing.mlpackage --data sample", ["missing.mlpackage"]),
        ("export missing.safetensors --out a.mlpackage", ["missing.safetensors"]),
        ("inspect text.mlpackage", ["text.mlpackage", "is a file"]),
        ("validate builtin text.mlpackage --data sample", ["text.mlpackage"]),
        ("validate builtin cut.mlpackage --data sample", ["weight.bin"]),
        ("predict builtin dot.png --out depth", ["dot.png"]),
        ("export builtin --recipe typo.toml --out a.mlpackage", ["typo.toml", "precison", "precision"]),
        ("export builtin --out cut.mlpackage", ["cut.mlpackage", "exists", "--force"]),
        ("evaluate builtin --data folder:nopairs", ["nopairs"]),
        ("evaluate builtin --data folder:blind", ["valid"]),
        ("evaluate builtin --data video:x", ["video:x", "sample", "folder:"]),
        ("validate builtin cut.mlpackage --data sample --budget speed=1", ["speed=1", "abs_rel"]),
        ("bench builtin --runs 0", ["--runs", "0"]),
        ("export builtin", ["--out"]),
    ]:
        refused(call(*line.split()), *words)
        assert sorted(tmp_path.rglob("*")) == before, line
