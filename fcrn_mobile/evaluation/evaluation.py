"""A model's metrics beside those of what needs no network, as they are reported."""

from dataclasses import dataclass
from typing import Any

from fcrn_mobile.evaluation.baselines import Baselines
from fcrn_mobile.evaluation.intervals import Intervals
from fcrn_mobile.evaluation.metrics import DepthMetrics
from fcrn_mobile.evaluation.standing import Standing

__all__ = ["Evaluation", "LearnedBaselines"]


@dataclass(frozen=True)
class LearnedBaselines:
    """Baselines with the spec of the data that they were learned from, and the metrics of each by its name."""

    data: str
    maps: Baselines
    metrics: dict[str, DepthMetrics]


@dataclass(frozen=True)
class Evaluation:
    """One model on one data set.

    Attributes:
        model, backend: by name.
        data: the source's spec.
        metrics: of the model.
        standing: what it is worth beside the data's own median map.
        left_out: a line on frames that could not be read and were left out; empty for none.
        baselines, intervals: None if nobody asked for them.
    """

    model: str
    backend: str
    data: str
    metrics: DepthMetrics
    standing: Standing
    left_out: str = ""
    baselines: LearnedBaselines | None = None
    intervals: Intervals | None = None

    @property
    def columns(self) -> dict[str, DepthMetrics]:
        """Metrics of the model and of each baseline, by name."""
        return {"model": self.metrics} | (self.baselines.metrics if self.baselines else {})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes the figures doubtful, a sentence each."""
        return self.standing.warnings + ((self.left_out,) if self.left_out else ())

    def to_json(self) -> dict[str, Any]:
        """The result as the command line writes it."""
        value: dict[str, Any] = {"model": self.model, "backend": self.backend, "data": self.data, "metrics": self.metrics.compute()}
        value |= {"median_map": self.standing.median_map, "fails": self.standing.fails, "warnings": self.warnings}
        if self.intervals:
            value["intervals"] = self.intervals
        value |= {"rule": self.metrics.rule.to_json()} | self.metrics.focus.to_json()
        if self.baselines:
            maps = {name.replace(" ", "_"): column.compute() for name, column in self.baselines.metrics.items()}
            learned = self.baselines.maps
            value["baselines"] = {
                "data": self.baselines.data,
                "frames": learned.frames,
                "median_frames": learned.median_frames,
                **maps,
            }
        return value
