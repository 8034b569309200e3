"""``fcrn-mobile compare`` as a user types it, on runs trained on the built-in sample."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcrn_mobile.cli import main
from tests.journeys.command import Result, fcrn, refused

TINY = "--data sample --preset fcrn-plain --input-size 32x48 --widths 16,8,8,8 --encoder-weights random --schedule constant --print-freq 1"

Call = Callable[..., Result]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs that differ in learning rate and epochs, one of them tracked by MLflow."""
    folder = tmp_path_factory.mktemp("runs")
    result = fcrn("train", *TINY.split(), "--epochs", "3", "--lr", "3e-3", "--track", "mlflow", "--out", "runs/fast", cwd=folder)
    assert result.returncode == 0, result.stderr
    # A line per epoch, and nothing of MLflow's own talk.
    assert len(result.stderr.splitlines()) == 3, result.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fcrn-mobile", "train", *TINY.split(), "--epochs", "2", "--out", str(folder / "runs" / "slow")])
        main.run()
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """A copy of the two runs to work on, in the folder where ``call`` runs commands."""
    return Path(shutil.copytree(trained / "runs", tmp_path / "runs"))


def logged(run: Path, name: str) -> list[float]:
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


def rows(text: str, title: str) -> dict[str, list[str]]:
    """A printed table: first cell → the others, without its header."""
    part = text.split(title)[1].split("\n\n")[0]
    return {cells[0]: cells[1:] for line in part.splitlines()[2:] if (cells := re.split(r"  +", line.strip())) != [""]}


def test_two_runs_stand_side_by_side(call: Call, runs: Path) -> None:
    result = call("compare", "runs/slow", "runs/fast")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert rows(result.stdout, "Settings that differ") == {"epochs": ["2", "3"], "lr": ["0.001", "0.003"]}
    for title in ("Validation, best epoch by abs_rel", "Validation, last epoch"):
        printed = rows(result.stdout, title)
        assert list(printed) == ["slow", "fast"]
        for name, cells in printed.items():
            abs_rel = logged(runs / name, "val/abs_rel")
            shown = min(abs_rel) if "best" in title else abs_rel[-1]
            assert float(cells[1]) == pytest.approx(shown, abs=6e-5)
            epoch = abs_rel.index(shown)
            assert cells[0] == (f"{epoch + 1} of {len(abs_rel)}" if "best" in title else str(len(abs_rel)))
            for cell, key in zip(cells[2:], ("rmse", "log10", "delta1", "delta2", "delta3"), strict=True):
                assert float(cell) == pytest.approx(logged(runs / name, f"val/{key}")[epoch], abs=6e-5)


def test_the_json_holds_every_setting_and_curve(call: Call, runs: Path) -> None:
    machine = json.loads(call("compare", "runs/slow", "runs/fast", "--json", "-").stdout)
    assert machine["differences"] == {"epochs": [2, 3], "lr": [0.001, 0.003]}
    for run in machine["runs"]:
        record = json.loads((runs / run["name"] / "run.json").read_text())
        given = {key: value for key, value in (record["hyper"] | record["network"]).items() if value is not None}
        assert {key: run["settings"][key] for key in given} == given
        assert (run["settings"]["data"], run["settings"]["val_frames"]) == ("sample#train", 4)
        assert run["curves"]["epoch"] == list(range(1, run["epochs"] + 1))
        for curve, column in (("train/loss", "train/loss_epoch"), ("val/abs_rel", "val/abs_rel")):
            assert run["curves"][curve] == pytest.approx(logged(runs / run["name"], column), rel=1e-6)
        assert run["best"]["abs_rel"] == pytest.approx(min(run["curves"]["val/abs_rel"]), rel=1e-5)
        assert run["last"]["delta1"] == run["curves"]["val/delta1"][-1]


def test_the_curves_are_drawn_and_never_overwritten_unasked(call: Call, runs: Path, tmp_path: Path) -> None:
    result = call("compare", "runs/slow", "runs/fast", "--figure", "curves.png")
    assert result.returncode == 0, result.stderr
    assert "written: curves.png" in result.stdout
    picture = np.asarray(Image.open(tmp_path / "curves.png").convert("RGB"))
    assert picture.shape[1] > 1200
    # The first two colours of matplotlib's cycle: a line for each run.
    for colour in ((31, 119, 180), (255, 127, 14)):
        assert (picture == colour).all(axis=2).sum() > 300
    refused(call("compare", "runs/slow", "runs/fast", "--figure", "curves.png"), "curves.png", "exists", "--force")
    assert call("compare", "runs/slow", "runs/fast", "--figure", "curves.png", "--force").returncode == 0


def test_runs_of_equal_settings_say_so(call: Call, runs: Path) -> None:
    shutil.copytree(runs / "slow", runs / "again")
    result = call("compare", "runs/slow", "runs/again")
    assert result.returncode == 0
    assert result.stdout.startswith("no setting differs\n")
    assert json.loads(call("compare", "runs/slow", "runs/again", "--json", "-").stdout)["differences"] == {}


def test_runs_of_one_name_go_by_their_paths(call: Call, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "slow", tmp_path / "other" / "slow")
    result = call("compare", "runs/slow", "other/slow")
    assert list(rows(result.stdout, "Validation, last epoch")) == ["runs/slow", "other/slow"]


def test_metrics_on_other_data_are_not_passed_off_as_comparable(call: Call, runs: Path) -> None:
    words = [*TINY.split(), "--epochs", "1", "--protocol", "full", "--out", "runs/full"]
    assert call("train", *words).returncode == 0
    result = call("compare", "runs/slow", "runs/full")
    assert rows(result.stdout, "Settings that differ")["protocol"] == ["eigen", "full"]
    assert "protocol differs: these metrics do not compare" in result.stdout


def test_a_resumed_run_keeps_its_first_epochs(call: Call, runs: Path) -> None:
    before = logged(runs / "slow", "val/abs_rel")
    record = json.loads((runs / "slow" / "run.json").read_text())
    record["hyper"]["epochs"] = 4
    (runs / "slow" / "run.json").write_text(json.dumps(record))
    assert call("train", "--resume", "runs/slow").returncode == 0
    machine = json.loads(call("compare", "runs/slow", "runs/fast", "--json", "-").stdout)
    curves = machine["runs"][0]["curves"]
    assert curves["epoch"] == [1, 2, 3, 4]
    assert curves["val/abs_rel"][:2] == before
    assert None not in curves["train/loss"]


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("runs/slow", ["'runs/slow'", "two or more"]),
        ("runs/slow runs/slow/", ["'runs/slow'", "twice"]),
        ("runs/slow nowhere", ["'nowhere'", "no run.json", "--out"]),
        ("runs/slow runs", ["'runs'", "no run.json"]),
        ("runs/slow runs/fast --figure curves.gif", ["curves.gif", ".png"]),
        ("runs/slow runs/fast --figure nowhere/curves.png", ["nowhere", "--figure", "create it"]),
        ("", ["RUN", "compare --help"]),
    ],
)
def test_bad_use_is_one_line(call: Call, runs: Path, words: str, answers: list[str]) -> None:
    refused(call("compare", *words.split()), *answers)


@pytest.mark.parametrize(
    ("damage", "answers"),
    [
        (lambda run: (run / "best.safetensors").unlink(), ["no finished epoch", "--resume"]),
        (lambda run: (run / "metrics.csv").unlink(), ["no finished epoch", "--resume"]),
        (lambda run: (run / "metrics.csv").write_text("epoch,step,train/loss_step\n0,0,3.4\n"), ["no finished epoch"]),
        (lambda run: (run / "metrics.csv").write_text("epoch,step,val/abs_rel\n0,0,much\n"), ["metrics.csv", "much"]),
        (lambda run: (run / "metrics.csv").write_bytes(b"\xff\xfe\x00"), ["metrics.csv"]),
        (lambda run: (run / "run.json").write_text("{"), ["run.json", "damaged"]),
        (lambda run: (run / "run.json").write_text("[]"), ["run.json", "damaged"]),
        (lambda run: (run / "best.safetensors").write_bytes(b"\0" * 99), ["best.safetensors", "damaged"]),
    ],
)
def test_a_run_that_is_damaged_or_has_no_finished_epoch_is_named(
    call: Call, runs: Path, damage: Callable[[Path], object], answers: list[str]
) -> None:
    damage(runs / "fast")
    refused(call("compare", "runs/slow", "runs/fast"), "runs/fast", *answers)


def test_half_a_line_that_a_killed_process_left_is_passed_over(call: Call, runs: Path) -> None:
    whole = call("compare", "runs/slow", "runs/fast").stdout
    with (runs / "fast" / "metrics.csv").open("a") as file:
        file.write("3,0.00")
    assert call("compare", "runs/slow", "runs/fast").stdout == whole
