"""Edges of depth maps at each network's own size and at the truth's: precision, recall and F1, with 95 % intervals.

    python benchmarks/training/edges.py MODEL... --data SPEC [--bootstrap BY]

``boundary_f1`` of ``evaluate`` looks for edges in the prediction enlarged bilinearly to the truth's size, which spreads a jump over several
pixels. Here the truth is also brought to the prediction's size by nearest neighbours, and the prediction left as it is. An edge is a pair
of neighbouring pixels whose depths differ by more than 5 to 25 %, ten thresholds weighted by their ratio; each image counts alike.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.cli.common import print_table
from fcrn_mobile.data import Source, open_source
from fcrn_mobile.evaluation.edges import edge_density
from fcrn_mobile.evaluation.focus import focus_on
from fcrn_mobile.evaluation.formulas import EDGE_RATIOS
from fcrn_mobile.evaluation.intervals import bootstrap, scenes
from fcrn_mobile.evaluation.metrics import DepthMetrics, align, protocol, valid_mask
from fcrn_mobile.runtimes import Runtime, open_runtime

RULE = protocol("eigen")


def main() -> None:
    """Predict, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--bootstrap", default="images", metavar="BY", help="as of evaluate")
    options = parser.parse_args()
    source = open_source(options.data)
    rows = [[model, *cells] for model in options.models for cells in table(edges(open_runtime(model), source), options.bootstrap)]
    print_table(f"{len(source)} frames of {options.data}", ["depth", "seen at", "precision", "recall", "F1", "95 %"], rows)


@dataclass
class Seen:
    """Edges of all frames at one size.

    Attributes:
        metrics: whose ``boundary_f1`` is the F1.
        shares: precision and recall of each frame, NaN where there is nothing to divide by.
    """

    metrics: DepthMetrics = field(default_factory=lambda: DepthMetrics(RULE, sums={}))
    shares: list[tuple[float, float]] = field(default_factory=list)

    def update(self, prediction: NDArray[np.float32], depth: NDArray[np.float32], name: str) -> None:
        """One more frame; both in metres, the prediction of any size."""
        self.metrics.update(prediction, depth, name)
        brought = align(prediction, *depth.shape, RULE)
        self.shares.append(precision_recall(brought.astype(np.float64), depth.astype(np.float64), valid_mask(depth, RULE)))


def edges(runtime: Runtime, source: Source) -> dict[str, Seen]:
    """By size of the truth in words: brought to the prediction's, and its own."""
    result: dict[str, Seen] = {}
    focus = focus_on(runtime, source)
    for index in range(len(source)):
        sample = source[index]
        prediction = focus(runtime.predict(sample.image), sample.image.shape[:2])
        for depth in (nearest(sample.depth, *prediction.shape), sample.depth):
            result.setdefault("×".join(map(str, depth.shape)), Seen()).update(prediction, depth, sample.name)
    return result


def nearest(depth: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The pixel under the middle of each pixel of the new size."""
    rows = ((np.arange(height) + 0.5) * depth.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * depth.shape[1] / width).astype(int)
    return depth[rows[:, None], columns]


def precision_recall(prediction: NDArray[np.float64], depth: NDArray[np.float64], counted: NDArray[np.bool_]) -> tuple[float, float]:
    """Common edges over those of the prediction and over those of the truth, weighted by the thresholds' ratios as ``boundary_f1`` is."""
    true, predicted, both = edge_density(prediction, depth, counted)
    weights = np.array(EDGE_RATIOS)
    with np.errstate(invalid="ignore"):
        return float(weights @ both / (weights @ predicted)), float(weights @ both / (weights @ true))


def table(found: dict[str, Seen], by: str) -> Iterable[list[str]]:
    """A row's cells for each size."""
    for size, seen in found.items():
        low, high = bootstrap(seen.metrics, scenes(list(seen.metrics.per_image), by)).metrics["boundary_f1"]
        shares = np.nanmean(np.array(seen.shares), axis=0)
        yield [size, *(f"{value:.4f}" for value in (*shares, seen.metrics.compute()["boundary_f1"])), f"{low:.4f} to {high:.4f}"]


if __name__ == "__main__":
    main()
