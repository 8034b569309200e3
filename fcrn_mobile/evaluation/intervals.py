"""How far metrics would move with other images: confidence intervals by the bootstrap over images or whole scenes.

Percentile intervals (Efron and Tibshirani 1993, An Introduction to the Bootstrap, section 13.3). Frames of one scene resemble each other,
so scenes are drawn, not frames, where they can be told apart (the cluster bootstrap: Davison and Hinkley 1997, section 3.8). Few scenes
make the intervals too narrow, and nothing here speaks of another camera or another kind of room.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.evaluation.metrics import DepthMetrics, metrics_from_moments

__all__ = ["LEVEL", "RESAMPLES", "SEED", "Intervals", "Scenes", "bootstrap", "scenes"]

#: Confidence of an interval.
LEVEL = 0.95
RESAMPLES, SEED = 2000, 0


@dataclass(frozen=True)
class Scenes:
    """What is drawn as a whole.

    Attributes:
        by: what they are, in the plural.
        labels: of each image's scene, in the order of the images.
    """

    by: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Intervals:
    """Intervals of metrics.

    Attributes:
        by, scenes: what was drawn, and how many there are.
        metrics: lower and upper end by the keys of ``DepthMetrics.compute``; NaN where an image's metric is.
        level, resamples, seed: of the bootstrap.
    """

    by: str
    scenes: int
    metrics: dict[str, tuple[float, float]]
    level: float = LEVEL
    resamples: int = RESAMPLES
    seed: int = SEED


def scenes(names: Sequence[str], by: str) -> Scenes:
    """Tell scenes apart by the names of their images.

    Args:
        names: paths below their source.
        by: ``images``, each by itself; ``folders`` of the names; a number N, for images of one folder whose numbers, the last in each
            name, have the same whole part when divided by N; ``auto``: folders where there are several, else images.

    Raises:
        InputError: another ``by``, a name without a number, or fewer than two scenes.
    """
    folders = [str(PurePosixPath(name).parent) for name in names]
    if by == "auto":
        by = "folders" if len(set(folders)) > 1 else "images"
    if by in ("images", "folders"):
        result = Scenes(by, tuple(names if by == "images" else folders))
    elif by.isdecimal() and int(by):
        numbers = [_number(name) // int(by) for name in names]
        result = Scenes(f"runs of {int(by)} numbers", tuple(f"{folder}/{number}" for folder, number in zip(folders, numbers, strict=True)))
    else:
        raise InputError(f"'{by}' tells no scenes apart: use images, folders, or how many neighbours in number are one scene, such as 10")
    if len(set(result.labels)) < 2:
        raise InputError(f"intervals need two scenes at least, and by {result.by} there is one: use other data or --bootstrap images")
    return result


def _number(name: str) -> int:
    numbers = re.findall(r"[0-9]+", PurePosixPath(name).name)
    if not numbers:
        raise InputError(f"'{name}' has no number by which its scene could be told: use --bootstrap folders or images")
    return int(numbers[-1])


def bootstrap(metrics: DepthMetrics, drawn: Scenes) -> Intervals:
    """Intervals of all metrics under their protocol.

    Args:
        metrics: of the images, with their ``sums``.
        drawn: their scenes, in the order of the images.

    Raises:
        ValueError: the metrics kept no sums.
    """
    if metrics.sums is None:
        raise ValueError("metrics without sums cannot be resampled: evaluate with resampled=True")
    _, scene = np.unique(drawn.labels, return_inverse=True)
    count = int(scene.max()) + 1
    draws = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    times = draws[:, scene].astype(np.float64)
    sums = times @ np.stack(list(metrics.sums.values()))
    pooled = [metrics_from_moments(row[1:] / row[0]) for row in sums]
    values = {"rmse_pooled": np.array([each["rmse"] for each in pooled])}
    for key in METRICS:
        images = np.array([image[key] for image in metrics.per_image.values()])
        values[key] = np.array([each[key] for each in pooled]) if metrics.rule.pooled else times @ images / times.sum(axis=1)
    return Intervals(drawn.by, count, {key: _interval(values[key]) for key in (*METRICS, "rmse_pooled")})


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
