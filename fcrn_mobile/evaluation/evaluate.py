"""Metrics of one model against the true depth of a source."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.source import Source
from fcrn_mobile.evaluation.focus import focus_on
from fcrn_mobile.evaluation.meaning import check_whole, depth_of, settled
from fcrn_mobile.evaluation.metrics import DepthMetrics, EvaluationProtocol
from fcrn_mobile.evaluation.standing import StandingMeter
from fcrn_mobile.progress import OnStep

__all__ = ["Predictor", "evaluate"]


class Predictor(Protocol):
    """What turns an image into depth: every runtime, and a baseline."""

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 RGB → h×w float32 metres, or depth of the meaning that its contract says."""
        ...


def evaluate(
    model: Predictor,
    source: Source,
    rule: EvaluationProtocol,
    on_frame: OnStep | None = None,
    standing: StandingMeter | None = None,
    resampled: bool = False,
) -> DepthMetrics:
    """Metrics of one model over all frames of a source, its depth in metres for the source's camera where both are known, see ``focus``.

    Args:
        model: a runtime or a baseline.
        source: frames with true depth.
        rule: the metrics' protocol; its alignment is that of the model's depth where it names none.
        on_frame: progress.
        standing: looks at each image too.
        resampled: keep what ``intervals.bootstrap`` needs.

    Raises:
        InputError: a model that sees a part of pictures alone, a frame without a valid pixel, a prediction that cannot be brought to the
            truth, or no alignment of depth that is not in metres.
    """
    check_whole(model, source)
    depth, focus = depth_of(model), focus_on(model, source)
    rule = settled(rule, depth, getattr(model, "name", "the model"))
    metrics = DepthMetrics(rule, depth == "inverse", sums={} if resampled else None)
    for index in range(len(source)):
        sample = source[index]
        picture = sample.image.shape[:2]
        prediction = focus(model.predict(sample.image), picture)
        metrics.focus = focus.at(picture) if index == 0 else metrics.focus
        metrics.update(prediction, sample.depth, sample.name)
        if standing:
            standing.update(prediction, sample.depth)
        if on_frame:
            on_frame(index + 1, len(source))
    return metrics
