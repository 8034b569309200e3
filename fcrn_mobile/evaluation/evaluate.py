"""Metrics of one model against the true depth of a source."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.source import Source
from fcrn_mobile.evaluation.focus import focus_on
from fcrn_mobile.evaluation.metrics import DepthMetrics, EvaluationProtocol
from fcrn_mobile.evaluation.standing import StandingMeter
from fcrn_mobile.progress import OnStep

__all__ = ["Predictor", "evaluate"]


class Predictor(Protocol):
    """What turns an image into depth: every runtime, and a baseline."""

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 RGB → h×w float32 metres."""
        ...


def evaluate(
    model: Predictor,
    source: Source,
    rule: EvaluationProtocol,
    on_frame: OnStep | None = None,
    median_scaling: bool = False,
    standing: StandingMeter | None = None,
    resampled: bool = False,
) -> DepthMetrics:
    """Metrics of one model over all frames of a source, its depth in metres for the source's camera where both are known, see ``focus``.

    Args:
        model: a runtime or a baseline.
        source: frames with true depth.
        rule: the metrics' protocol.
        on_frame: progress.
        median_scaling: scale each prediction to the truth's median first; such metrics are not metric.
        standing: looks at each image too.
        resampled: keep what ``intervals.bootstrap`` needs.

    Raises:
        InputError: a frame without a valid pixel, or a prediction that cannot be scaled.
    """
    metrics, focus = DepthMetrics(rule, median_scaling, sums={} if resampled else None), focus_on(model, source)
    for index in range(len(source)):
        sample = source[index]
        prediction = focus(model.predict(sample.image), sample.image.shape[1])
        metrics.update(prediction, sample.depth, sample.name)
        if standing:
            standing.update(prediction, sample.depth)
        if on_frame:
            on_frame(index + 1, len(source))
    return metrics
