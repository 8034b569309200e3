"""``fcrn-mobile compare`` on runs that chose their best epochs by different metrics, from records written by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fcrn_mobile.report.curves import panels
from fcrn_mobile.runs.comparison import read_runs
from tests.journeys.command import Result

Call = Callable[..., Result]

DEPTH = {"abs_rel": [0.5, 0.3, 0.4], "rmse": [1.5, 1.4, 1.3], "delta1": [0.2, 0.4, 0.3]}
LOSS = {"loss": [0.09, 0.08, 0.085], "scenes": [3, 3, 3]}
FIDELITY = {"fidelity": [0.3, 0.2, 0.1]} | DEPTH


def write_run(folder: Path, metrics: dict[str, list[float]], best: int, monitor: dict[str, str] | None, **hyper: Any) -> None:
    """A finished run of three epochs as training leaves it; without a monitor, as older versions did."""
    folder.mkdir(parents=True)
    record: dict[str, Any] = {"network": {"preset": "fcrn-lite0"}, "hyper": {"epochs": 3, **hyper}, "data": "sample", "command": "x"}
    if monitor:
        record |= {"monitor": monitor, "extended_at": []}
    (folder / "run.json").write_text(json.dumps(record))
    names = [*(f"val/{name}" for name in metrics), "train/loss_epoch"]
    lines = [",".join(["epoch", "step", *names])]
    for epoch in range(3):
        lines.append(",".join(map(str, [epoch, epoch, *(values[epoch] for values in metrics.values()), 1 - epoch / 10])))
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    kept = {name: values[best - 1] for name, values in metrics.items()}
    training = {"epoch": best, "step": best, "hyperparameters": {}, "monitor": monitor}
    save_file({"w": torch.zeros(1)}, folder / "best.safetensors", {"training": json.dumps(training), "metrics": json.dumps(kept)})


def recorded(metric: str) -> dict[str, str]:
    return {"metric": metric, "direction": "lower"}


def printed(result: Result) -> str:
    """All words that were printed, however lines are filled."""
    assert result.returncode == 0, result.stderr
    return " ".join(result.stdout.split())


@pytest.mark.parametrize("old", [False, True], ids=["recorded", "older"])
@pytest.mark.parametrize(
    ("metric", "metrics", "best", "hyper", "columns"),
    [
        ("loss", LOSS, 2, {"objective": "video"}, ["loss"]),
        ("abs_rel", DEPTH, 2, {}, ["abs_rel", "rmse", "delta1"]),
        ("fidelity", FIDELITY, 3, {"quantization": "int4"}, ["fidelity", "abs_rel", "rmse", "delta1"]),
    ],
)
def test_runs_are_compared_by_what_they_monitored(
    metric: str,
    metrics: dict[str, list[float]],
    best: int,
    hyper: dict[str, Any],
    columns: list[str],
    old: bool,
    call: Call,
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, metrics, best, None if old else recorded(metric), **hyper)
    text, names = printed(call("compare", "a", "b")), " ".join(columns)
    assert text.startswith(f"no setting differs Validation, best epoch by {metric} run best epoch {names} a ")
    assert f" a {best} of 3 {' '.join(f'{metrics[name][best - 1]:.4f}' for name in columns)} b " in text
    assert f"Validation, last epoch run epoch {names} a 3 {' '.join(f'{metrics[name][2]:.4f}' for name in columns)} b " in text
    machine = json.loads(call("compare", "a", "b", "--json", "-").stdout)
    assert [run["monitor"] for run in machine["runs"]] == [recorded(metric)] * 2


def test_runs_with_metrics_of_their_own_say_each_which(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "true", DEPTH, 2, recorded("abs_rel"), objective="supervised")
    write_run(tmp_path / "video", LOSS, 2, recorded("loss"), objective="video")
    text = printed(call("compare", "true", "video"))
    assert "Validation, each run's best epoch by its own metric run best epoch by abs_rel loss rmse delta1 true " in text
    assert " true 2 of 3 abs_rel 0.3000 – 1.4000 0.4000 video 2 of 3 loss – 0.0800 – – " in text
    assert "these losses do not compare" in text


def test_losses_of_equally_set_objectives_compare(call: Call, tmp_path: Path) -> None:
    for name, lr in (("slow", 0.1), ("fast", 0.2)):
        write_run(tmp_path / name, LOSS, 2, recorded("loss"), objective="video", lr=lr)
    result = call("compare", "slow", "fast")
    assert "do not compare" not in result.stdout
    write_run(tmp_path / "other", LOSS, 2, recorded("loss"), objective="video", lr=0.2, ssim=0.5)
    assert "these losses do not compare" in call("compare", "slow", "other").stdout


def test_an_old_run_and_a_new_one_differ_in_no_setting_for_that(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "old", DEPTH, 2, None)
    write_run(tmp_path / "new", DEPTH, 2, recorded("abs_rel"))
    assert call("compare", "old", "new").stdout.startswith("no setting differs\n")


def test_the_curves_are_of_what_was_monitored(call: Call, tmp_path: Path) -> None:
    write_run(tmp_path / "a", LOSS, 2, recorded("loss"), objective="video")
    write_run(tmp_path / "b", LOSS, 1, recorded("loss"), objective="video")
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    assert panels(runs) == {"train/loss": "training loss", "val/loss": "validation loss (lower is better)"}
    assert np.isfinite([run.curves["val/loss"][run.best_epoch - 1] for run in runs]).all()
    write_run(tmp_path / "c", FIDELITY, 3, recorded("fidelity"))
    assert list(panels(read_runs([tmp_path / "a", tmp_path / "c"]))) == [
        "train/loss",
        "val/loss",
        "val/fidelity",
        "val/abs_rel",
        "val/delta1",
    ]
    assert call("compare", "a", "b", "--figure", "curves.png").returncode == 0
