"""What is written of a model's metrics: a part that nobody asked for is not there."""

import numpy as np

from fcrn_mobile.data.cameras import TrainingCamera
from fcrn_mobile.evaluation.evaluation import Evaluation
from fcrn_mobile.evaluation.focus import Focus
from fcrn_mobile.evaluation.intervals import Intervals
from fcrn_mobile.evaluation.metrics import DepthMetrics, protocol
from fcrn_mobile.evaluation.standing import Standing


def test_intervals_are_written_where_there_are_any() -> None:
    metrics = DepthMetrics(protocol("full"))
    metrics.update(np.full((2, 2), 3.0, np.float32), np.full((2, 2), 2.0, np.float32), "a")
    standing = Standing({"abs_rel": 0.5, "delta1": 0.0}, None, ("doubt",))
    plain = Evaluation("net", "torch", "sample", metrics, standing)
    value = plain.to_json()
    assert value["metrics"]["abs_rel"] == 0.5
    assert (value["median_map"], value["fails"], value["warnings"]) == (None, False, ("doubt",))
    assert not {"intervals", "baselines", "camera"} & set(value)
    assert list(plain.columns) == ["model"]
    intervals = Intervals("images", 3, {"abs_rel": (0.4, 0.6)})
    asked = Evaluation("net", "torch", "sample", metrics, standing, "1 frame left out", None, intervals)
    assert asked.to_json()["intervals"] == intervals
    focus = Focus(TrainingCamera("a", 10.0, 20), TrainingCamera("b", 15.0, 20))
    metrics.focus = focus
    assert Evaluation("net", "torch", "sample", metrics, standing).to_json()["camera"]["depth_scaled_by"] == 1.5
    assert asked.warnings == ("doubt", "1 frame left out")
