"""The depth metrics: one record for each, from which evaluation, budgets, tables and reports follow.

Formulas (p predicted, d true, both in metres, over valid pixels; Eigen et al. 2014, arXiv 1406.2283, and the KITTI depth
benchmark for silog, imae and irmse): abs_rel = mean |p-d|/d; sq_rel = mean (p-d)²/d; rmse = √mean (p-d)²;
rmse_log = √mean (ln p - ln d)²; log10 = mean |log10 p - log10 d|; silog = 100·√(mean e² - (mean e)²) with e = ln p - ln d;
mae = mean |p-d|; irmse and imae of 1/p - 1/d in 1/km; δk = share of pixels with max(p/d, d/p) < 1.25^k.

boundary_f1 is the scale-invariant boundary metric of Depth Pro (Bochkovskii et al. 2024, arXiv 2410.02073): of two neighbours in a row or a
column one is in front where the ratio of their depths exceeds t. Of the pairs that are so in the truth, in the prediction, and in both with
the same pixel in front, F1(t) = 2·both / (true + predicted), 0 where there are none; its mean over ten t, each weighted by itself. All four
directions are counted together, as in the article's formula; its authors' program averages the precision and recall of each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EDGE_RATIOS", "METRICS", "Errors", "Mean", "Metric", "compared", "in_tables", "means", "shown"]

#: Ratios of neighbouring depths that make an edge: ten from 1.05 to 1.25.
EDGE_RATIOS = tuple(1.05 + 0.2 * index / 9 for index in range(10))


@dataclass(frozen=True)
class Errors:
    """What is wrong at each valid pixel, arrays of one length.

    Attributes:
        depth: d, metres.
        error: p-d, metres.
        log_error: ln p - ln d.
        inverse_error: 1/p - 1/d, 1/km.
        ratio: max(p/d, d/p).
        edges: per pixel, 3×10 by ``edges.edge_density``.
    """

    depth: "NDArray[np.float64]"
    error: "NDArray[np.float64]"
    log_error: "NDArray[np.float64]"
    inverse_error: "NDArray[np.float64]"
    ratio: "NDArray[np.float64]"
    edges: "NDArray[np.float64]"


#: A mean over pixels; means of several images can be pooled, as roots cannot.
Mean = Callable[[Errors], Any]


def _itself(mean: float) -> float:
    return mean


@dataclass(frozen=True)
class Metric:
    """A depth metric.

    Attributes:
        name: its key.
        means: over pixels, from which it follows.
        value: the metric from these.
        unit: empty for one without.
        higher_is_better: which way is better.
        shown: whether tables of the command line with little room hold it; JSON and reports hold all.
    """

    name: str
    means: tuple[Mean, ...]
    value: Callable[..., float] = _itself
    unit: str = ""
    higher_is_better: bool = False
    shown: bool = False

    @property
    def direction(self) -> str:
        """Which way is better, in a word."""
        return "higher" if self.higher_is_better else "lower"

    @property
    def hint(self) -> str:
        """What stands beside it in tables: which way is better where lower is not, else the unit."""
        return "higher is better" if self.higher_is_better else self.unit


def _log_square(errors: Errors) -> Any:
    return (errors.log_error**2).mean()


def _silog(log_square: float, log: float) -> float:
    variance = log_square - log**2
    # Rounding can leave a tiny negative variance when all errors are equal.
    return 100 * math.sqrt(max(variance, 0.0)) if not math.isnan(variance) else math.nan


def _within(ratio: float) -> Mean:
    # A NaN is no hit: comparisons with it are false.
    return lambda errors: (errors.ratio < ratio).mean()


def _edges(row: int, index: int) -> Mean:
    return lambda errors: errors.edges[row, index]


def _boundary_f1(*edges: float) -> float:
    count = len(EDGE_RATIOS)
    rows = zip(EDGE_RATIOS, edges[:count], edges[count : 2 * count], edges[2 * count :], strict=True)
    # Where there is no edge there is no common one.
    return sum(ratio * 2 * both / ((true + predicted) or 1.0) for ratio, true, predicted, both in rows) / sum(EDGE_RATIOS)


_EDGES = tuple(_edges(row, index) for row in range(3) for index in range(len(EDGE_RATIOS)))

#: By name, in the order in which tables show them.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("abs_rel", (lambda e: (abs(e.error) / e.depth).mean(),), shown=True),
        Metric("sq_rel", (lambda e: (e.error**2 / e.depth).mean(),), unit="m"),
        Metric("rmse", (lambda e: (e.error**2).mean(),), math.sqrt, "m", shown=True),
        Metric("rmse_log", (_log_square,), math.sqrt),
        Metric("log10", (lambda e: abs(e.log_error).mean() / math.log(10),), shown=True),
        Metric("silog", (_log_square, lambda e: e.log_error.mean()), _silog),
        Metric("mae", (lambda e: abs(e.error).mean(),), unit="m"),
        Metric("irmse", (lambda e: (e.inverse_error**2).mean(),), math.sqrt, "1/km"),
        Metric("imae", (lambda e: abs(e.inverse_error).mean(),), unit="1/km"),
        Metric("delta1", (_within(1.25),), higher_is_better=True, shown=True),
        Metric("delta2", (_within(1.25**2),), higher_is_better=True, shown=True),
        Metric("delta3", (_within(1.25**3),), higher_is_better=True, shown=True),
        Metric("boundary_f1", _EDGES, _boundary_f1, higher_is_better=True),
    )
}


def means() -> tuple[Mean, ...]:
    """The means over pixels from which all metrics follow."""
    return tuple(dict.fromkeys(mean for metric in METRICS.values() for mean in metric.means))


def compared() -> dict[str, Metric]:
    """The metrics of a whole evaluation: those of ``METRICS``, and the rms over all pixels of all images."""
    return METRICS | {"rmse_pooled": replace(METRICS["rmse"], name="rmse_pooled")}


def in_tables() -> list[str]:
    """Names of the metrics of a whole evaluation in the order of long tables: both kinds of rms beside each other."""
    return [name for metric in METRICS for name in ((metric, "rmse_pooled") if metric == "rmse" else (metric,))]


def shown() -> list[str]:
    """Names of the metrics that small tables hold."""
    return [metric.name for metric in METRICS.values() if metric.shown]
