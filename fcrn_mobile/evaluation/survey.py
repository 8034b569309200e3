"""What a source holds, before anything is trained or measured on it: frames, depth, and what gives away a wrong unit."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.source import Source, evenly, valid_pixels
from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.units import unit_note
from fcrn_mobile.progress import OnStep

__all__ = ["EDGES", "Predict", "Survey", "survey"]

#: Depths in metres between which pixels are counted; the last part is open.
EDGES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, math.inf)

#: From a picture H×W×3 to its depth h×w.
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Survey:
    """A source's frames.

    Attributes:
        frames: that it has; ``read``: that were looked at; ``bad``: of these, what is wrong with those that cannot be read, by name.
        sizes: height × width in pixels → frames.
        with_depth: frames with a valid pixel.
        valid: share of the pixels that have depth.
        nearest, median, farthest: of all valid pixels, in metres; the median is that of the frames' medians. NaN without depth.
        histogram: share of the valid pixels between two neighbours of ``EDGES``.
        ratio: median prediction / median truth of a network, typically (the median of the frames); None without one.
        notes: what is doubtful, a sentence each.
    """

    frames: int
    read: int
    bad: dict[str, str]
    sizes: dict[str, int]
    with_depth: int
    valid: float
    nearest: float
    median: float
    farthest: float
    histogram: tuple[float, ...]
    ratio: float | None
    notes: tuple[str, ...]


@dataclass
class _Meter:
    """Counts frames; it keeps a few numbers of each."""

    sizes: Counter[str] = field(default_factory=Counter)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(EDGES) - 1, np.int64))
    pixels: int = 0
    nearest: float = math.inf
    farthest: float = -math.inf
    medians: list[float] = field(default_factory=list)

    def update(self, depth: NDArray[np.float32]) -> float:
        """Count one frame, H×W metres; returns its median, NaN where it has no depth."""
        self.sizes[f"{depth.shape[0]}×{depth.shape[1]}"] += 1
        self.pixels += depth.size
        values = depth[valid_pixels(depth)]
        if not values.size:
            return math.nan
        self.counts += np.histogram(values, EDGES)[0]
        self.nearest, self.farthest = min(self.nearest, float(values.min())), max(self.farthest, float(values.max()))
        self.medians.append(float(np.median(values)))
        return self.medians[-1]


def survey(source: Source, indices: Sequence[int], data: str, predict: Predict | None, most: int, on_frame: OnStep | None = None) -> Survey:
    """Look at frames of a source.

    Args:
        source: frames, with depth or without.
        indices: of the frames to look at.
        data: the source's spec.
        predict: a network's depth in metres of a picture; None for no comparison.
        most: frames to predict, spread evenly.
        on_frame: progress.

    Raises:
        InputError: no frame can be read.
    """
    meter, bad, ratios = _Meter(), dict[str, str](), list[float]()
    predicted = {indices[place] for place in evenly(len(indices), most)} if predict else set()
    for done, index in enumerate(indices, 1):
        try:
            sample = source[index]
        except InputError as error:
            bad[source.names[index]] = str(error)
            continue
        median = meter.update(sample.depth)
        if predict and index in predicted and math.isfinite(median):
            ratios.append(float(np.median(predict(sample.image))) / median)
        if on_frame:
            on_frame(done, len(indices))
    if len(bad) == len(indices):
        raise InputError(f"no frame of '{data}' can be read: {next(iter(bad.values()), 'it is empty')}")
    counted, ratio = int(meter.counts.sum()), float(np.median(ratios)) if ratios else None
    return Survey(
        frames=len(source),
        read=len(indices),
        bad=bad,
        sizes=dict(meter.sizes.most_common()),
        with_depth=len(meter.medians),
        valid=counted / meter.pixels,
        nearest=meter.nearest if counted else math.nan,
        median=float(np.median(meter.medians)) if counted else math.nan,
        farthest=meter.farthest if counted else math.nan,
        histogram=tuple((meter.counts / max(counted, 1)).tolist()),
        ratio=ratio,
        notes=_notes(meter, len(bad), ratio, data),
    )


def _notes(meter: _Meter, bad: int, ratio: float | None, data: str) -> tuple[str, ...]:
    frames = meter.sizes.total()
    blind = frames - len(meter.medians)
    notes = [
        unit_note(ratio, data) if ratio else "",
        f"{bad} of {bad + frames} frames cannot be read: evaluate and validate take --skip-bad" if bad else "",
        f"{blind} of {frames} frames hold no depth" if 0 < blind < frames else "",
        f"frames have {len(meter.sizes)} sizes" if len(meter.sizes) > 1 else "",
    ]
    return tuple(filter(None, notes))
