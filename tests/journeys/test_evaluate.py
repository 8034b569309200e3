"""``fcrn-mobile evaluate`` as a user types it, on the built-in sample."""

import csv
import errno
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.data import open_source
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.report import figures
from tests.journeys.command import refused


def table(text: str) -> dict[str, list[float]]:
    """The printed table: metric → its numbers, column by column."""
    lines = re.findall(r"^([a-z][a-z_0-9]+[a-z0-9]?(?: per image)?)(?: \([^)]*\))?((?: +(?:\d+\.\d+|nan))+)$", text, re.MULTILINE)
    return {name: [float(number) for number in numbers.split()] for name, numbers in lines}


def test_a_model_stands_beside_the_baselines(call) -> None:
    result = call("evaluate", "builtin", "--data", "sample#val", "--baselines")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80
    for words in ("model  mean map  median map", "4 images, protocol eigen: mean of images", "20 frames", "sample#train"):
        assert words in result.stdout
    values = table(result.stdout)
    assert set(values) == {*METRICS, "rmse per image", "rmse_pooled"} - {"rmse"}
    assert all(len(row) == 3 for row in values.values())
    machine = json.loads(call("evaluate", "builtin", "--data", "sample#val", "--baselines", "--json", "-").stdout)
    columns = [machine["metrics"], machine["baselines"]["mean_map"], machine["baselines"]["median_map"]]
    for key in METRICS:
        assert values["rmse per image" if key == "rmse" else key] == pytest.approx([column[key] for column in columns], abs=6e-5)
    assert values["rmse_pooled"] == pytest.approx([column["rmse_pooled"] for column in columns], abs=6e-5)
    assert (machine["baselines"]["data"], machine["baselines"]["frames"]) == ("sample#train", 20)


def test_the_mean_map_is_the_mean_of_the_training_part(call) -> None:
    """Against NumPy: all frames of the sample have one size, and the maps are smooth enough for their smaller size."""
    training, held_back = open_source("sample#train"), open_source("sample#val")
    mean = np.mean([training[i].depth for i in range(len(training))], axis=0)
    errors = []
    for i in range(len(held_back)):
        true = held_back[i].depth
        known = (true > 0) & (true <= 10)
        errors.append(np.mean(np.abs(mean - true)[known] / true[known]))
    out = call("evaluate", "builtin", "--data", "sample#val", "--protocol", "full", "--baselines", "sample#train", "--json", "-").stdout
    assert json.loads(out)["baselines"]["mean_map"]["abs_rel"] == pytest.approx(np.mean(errors), rel=0.01)


def test_every_image_has_a_row_and_the_columns_average_to_the_print(call, tmp_path: Path) -> None:
    result = call("evaluate", "builtin", "--data", "sample#val", "--per-image", "images.csv")
    assert result.returncode == 0, result.stderr
    assert "written: images.csv" in result.stdout
    rows = list(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()))
    assert tuple(row["name"] for row in rows) == open_source("sample#val").names
    printed = table(result.stdout)
    for key in METRICS:
        (value,) = printed["rmse per image" if key == "rmse" else key]
        assert value == pytest.approx(np.mean([float(row[key]) for row in rows]), abs=6e-5)
    before = (tmp_path / "images.csv").read_bytes()
    refused(
        call("evaluate", "builtin", "--data", "sample#val", "--per-image", "images.csv"), "images.csv", "exists", "--per-image", "--force"
    )
    assert (tmp_path / "images.csv").read_bytes() == before
    assert call("evaluate", "builtin", "--data", "sample#train", "--per-image", "images.csv", "--force").returncode == 0
    assert len((tmp_path / "images.csv").read_text().splitlines()) == 21
    assert [path.name for path in tmp_path.iterdir()] == ["images.csv"]


def test_a_full_disk_leaves_the_old_csv_and_no_half(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str, **_: str) -> int:
        path.write_bytes(text[:50].encode())
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    (tmp_path / "images.csv").write_bytes(b"old")
    monkeypatch.setattr(Path, "write_text", full)
    refused(call("evaluate", "builtin", "--data", "sample#val", "--per-image", "images.csv", "--force"), "No space left")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"images.csv": b"old"}


def test_a_pooled_protocol_still_names_both_kinds_of_rms(call) -> None:
    pooled = call("evaluate", "builtin", "--data", "sample#val", "--protocol", "laina")
    averaged = call("evaluate", "builtin", "--data", "sample#val", "--protocol", "full")
    assert "pooled over all pixels" in pooled.stdout
    for key in ("rmse per image", "rmse_pooled"):
        assert table(pooled.stdout)[key] == table(averaged.stdout)[key]
    assert table(pooled.stdout)["rmse per image"] != table(pooled.stdout)["rmse_pooled"]
    # All pixels of the sample are known, so that only roots tell pooled from averaged.
    assert table(pooled.stdout)["silog"] != table(averaged.stdout)["silog"]


def test_best_median_and_worst_image_are_drawn(call, tmp_path: Path) -> None:
    result = call("evaluate", "builtin", "--data", "sample#val", "--panels", "pictures")
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["best.png", "median.png", "worst.png"]
    pictures = {path.stem: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert len(set(pictures.values())) == 3
    assert Image.open(tmp_path / "pictures/worst.png").width > 1000
    refused(call("evaluate", "builtin", "--data", "sample#val", "--panels", "pictures"), "best.png", "exists", "--panels", "--force")
    assert call("evaluate", "builtin", "--data", "sample#val", "--panels", "pictures", "--force").returncode == 0


def test_a_picture_shows_what_was_measured_and_its_title_the_metrics(call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, tuple[str, float]] = {}

    def note(image: np.ndarray, true: np.ndarray, predicted: np.ndarray, counted: np.ndarray, title: str, path: Path) -> None:
        drawn[path.name.split(".")[1]] = title, np.mean(np.abs(predicted - true)[counted] / true[counted])
        path.write_bytes(b"")

    monkeypatch.setattr(figures, "save_panel", note)
    result = call("evaluate", "builtin", "--data", "sample", "--per-image", "images.csv", "--panels", "pictures", "--median-scaling")
    assert result.returncode == 0, result.stderr
    rows = sorted(csv.DictReader((tmp_path / "images.csv").read_text().splitlines()), key=lambda row: float(row["abs_rel"]))
    for rank, row in (("best", rows[0]), ("median", rows[11]), ("worst", rows[23])):
        title, abs_rel = drawn[rank]
        assert abs_rel == pytest.approx(float(row["abs_rel"]), rel=1e-5)
        for words in (f"{rank} of 24: {row['name']} ", f"abs_rel {abs_rel:.3f}", f"rmse {float(row['rmse']):.2f} m", "alignment median"):
            assert words in title


def test_scaled_metrics_say_that_they_are_not_metric(call) -> None:
    scaled = call("evaluate", "builtin", "--data", "sample#val", "--median-scaling")
    plain = call("evaluate", "builtin", "--data", "sample#val")
    assert "these metrics are not metric" in scaled.stdout
    assert "not metric" not in plain.stdout
    assert table(scaled.stdout)["abs_rel"] != table(plain.stdout)["abs_rel"]
    # A factor per image leaves the scale-invariant error as it is, but for what is clipped.
    assert table(scaled.stdout)["silog"] == pytest.approx(table(plain.stdout)["silog"], rel=1e-3)
    for words, scaling in ((["--median-scaling"], "median"), ([], "none")):
        machine = json.loads(call("evaluate", "builtin", "--data", "sample#val", *words, "--json", "-").stdout)
        assert machine["metrics"]["alignment"] == scaling


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("--data sample --baselines", ["'sample'", "#val", "--baselines SPEC"]),
        ("--data sample#val --baselines folder:nowhere", ["nowhere"]),
        ("--data sample#val --baselines sample#val", ["'sample#val'", "would have seen", "--baselines SPEC"]),
        ("--data sample#val --per-image nowhere/images.csv", ["nowhere", "--per-image", "create it"]),
        ("--data sample#val --per-image folder", ["folder", "--per-image", "name a file"]),
        ("--data sample#val --panels file", ["file", "--panels", "name a folder"]),
    ],
)
def test_bad_use_is_refused_before_any_work(call, tmp_path: Path, words: str, answers: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    refused(call("evaluate", "builtin", *words.split()), *answers)
    assert sorted(tmp_path.rglob("*")) == before


def test_intervals_stand_beside_the_metrics(call) -> None:
    words = ["evaluate", "builtin", "--data", "sample#val", "--baselines", "--bootstrap"]
    result = call(*words)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "95 %: by the bootstrap, 2000 draws of 4 images" in result.stdout
    machine = json.loads(call(*words, "--json", "-").stdout)
    intervals = machine["intervals"]
    assert (intervals["by"], intervals["scenes"], intervals["seed"]) == ("images", 4, 0)
    printed = re.findall(r"^(\w+)(?: per image)?(?: \([^)]*\))? +([\d.]+) +([\d.]+) to ([\d.]+) ", result.stdout, re.MULTILINE)
    assert [key for key, *_ in printed] == [
        key for metric in METRICS for key in ((metric, "rmse_pooled") if metric == "rmse" else (metric,))
    ]
    for key, *numbers in printed:
        assert [float(number) for number in numbers] == pytest.approx([machine["metrics"][key], *intervals["metrics"][key]], abs=6e-5)
        assert float(numbers[1]) <= float(numbers[0]) <= float(numbers[2])
    assert "intervals" not in json.loads(call(*words[:-1], "--json", "-").stdout)
    pooled = call(*words[:4], "--protocol", "laina", "--bootstrap", "images")
    assert re.search(r"^rmse per image \(m\) +[\d.]+ *$", pooled.stdout, re.MULTILINE)
    refused(call(*words, "folders"), "by folders there is one", "--bootstrap images")
