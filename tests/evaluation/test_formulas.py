"""A depth metric is one record: with it it is evaluated, budgeted, tabled and reported, and no other place knows its name."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fcrn_mobile
from fcrn_mobile.evaluation.budget import check, parse_limit
from fcrn_mobile.evaluation.formulas import METRICS, Metric, compared, shown
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from tests.journeys.command import Result, refused

#: Modules that pick single metrics for a sentence or a picture.
OF_SENTENCES = {"curves.py", "callbacks.py", "standing.py", "evaluate.py"}


@pytest.fixture
def bias(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much too far predictions are, on average."""
    means = (lambda errors: errors.error.mean(), lambda errors: errors.depth.mean())
    monkeypatch.setitem(METRICS, "bias", Metric("bias", means, lambda error, depth: error / depth, "of d", shown=True))


@pytest.mark.usefixtures("bias")
def test_a_record_is_all_that_a_metric_needs(call: Callable[..., Result], tmp_path: Path) -> None:
    metrics = DepthMetrics(protocol("laina"))
    for name, prediction, size in (("a", 1.0, (4, 4)), ("b", 4.0, (2, 4))):
        metrics.update(np.full(size, prediction, np.float32), np.full(size, 2.0, np.float32), name)
    assert [metrics.per_image[name]["bias"] for name in "ab"] == [-0.5, 1.0]
    # Pooled: 16 pixels that are a metre too near, 8 that are two too far, over 24 of two metres.
    assert metrics.compute()["bias"] == pytest.approx((-16 + 16) / 48, abs=1e-12)
    assert not check(parse_limit("bias=0.1"), {"bias": 0.1}, {"bias": 0.21}, {}).held

    result = call("evaluate", "builtin", "--data", "sample#val", "--per-image", "images.csv")
    assert result.returncode == 0, result.stderr
    assert "bias (of d)" in result.stdout
    assert (tmp_path / "images.csv").read_text().splitlines()[0].endswith(",boundary_f1,bias")
    words = ["validate", "builtin", "builtin", "--data", "sample#val", "--budget", "bias=0.5", "--html", "page.html"]
    result = call(*words)
    assert result.returncode == 0, result.stderr
    assert "\nbias " in result.stdout
    assert "of d" in (tmp_path / "page.html").read_text()
    result = call(*words[:-2], "--json", "-")
    (candidate,) = json.loads(result.stdout)["candidates"]
    assert candidate["change"]["bias"] == 0
    refused(
        call(*words[:5], "--budget", "slope=1"),
        "write METRIC=AMOUNT with one of fidelity, boundary_drift, abs_rel",
        "delta3, boundary_f1, bias, rmse_pooled",
    )


def test_which_way_is_better_decides_what_a_budget_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METRICS, "hits", Metric("hits", (lambda errors: (errors.ratio < 2).mean(),), higher_is_better=True))
    assert check(parse_limit("hits=0.1"), {"hits": 0.5}, {"hits": 0.9}, {}).held
    assert not check(parse_limit("hits=0.1"), {"hits": 0.5}, {"hits": 0.3}, {}).held


def test_the_metrics_and_what_is_said_of_them_are_as_ever() -> None:
    names = ["abs_rel", "sq_rel", "rmse", "rmse_log", "log10", "silog", "mae", "irmse", "imae", "delta1", "delta2", "delta3"]
    names.append("boundary_f1")
    assert list(METRICS) == names
    assert list(compared()) == [*names, "rmse_pooled"]
    assert shown() == ["abs_rel", "rmse", "log10", "delta1", "delta2", "delta3"]
    units = {"sq_rel": "m", "rmse": "m", "rmse_pooled": "m", "mae": "m", "irmse": "1/km", "imae": "1/km"}
    better = dict.fromkeys(("delta1", "delta2", "delta3", "boundary_f1"), "higher is better")
    assert {name for name, metric in compared().items() if metric.direction == "higher"} == set(better)
    assert {metric.direction for metric in compared().values()} == {"higher", "lower"}
    assert {name: metric.hint for name, metric in compared().items() if metric.hint} == units | better


def test_no_other_module_lists_the_metrics() -> None:
    for file in Path(fcrn_mobile.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Dict | ast.Tuple | ast.List | ast.Set) and file.name not in OF_SENTENCES:
                words = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
                assert len(words & METRICS.keys()) < 2 or file.name == "formulas.py", f"{file}:{node.lineno}"
