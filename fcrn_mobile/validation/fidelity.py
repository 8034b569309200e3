"""How close a candidate's output is to the reference's own output, truth left aside.

Boundaries: compression blurs edges before it moves means. So the boundary F1 of Depth Pro (``evaluation/formulas.py``) is taken of the
candidate's map with the reference's own as the truth: of two neighbours in a row or a column, one is in front where the ratio of their
depths exceeds t; F1(t) = 2·both / (reference's + candidate's), and its mean over ten t from 1.05 to 1.25, each weighted by itself. Where
neither has an edge at a t they agree, and F1(t) = 1 there. A factor for the whole map changes nothing.
``boundary_drift`` is 1 - F1: 0 for equal edges, 1 where none is left.

Inverse depth is known up to scale and shift: its zero means nothing, and no value can be divided by. So it is measured in the mean absolute
deviation of the reference's map from its median, s = mean |r - median(r)| (Ranftl et al. 2019, MiDaS, arXiv 1907.01341, equation 5):
``abs_rel`` is mean |c - r| / s, and an edge is where two neighbours differ by more than s·ln t, as the logarithms of two depths of ratio t
do by ln t. A flat map has no such unit: ``abs_rel`` to it is 0 for an equal map, else infinite.

A network and what was made of it share one unit, whatever it is: a candidate's map is taken as it is. Two networks that were trained apart
do not: ``BETWEEN`` says what brings the candidate's map to the reference's first, image by image, where that is asked for.
"""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.depth_contract import UNITS, Depth
from fcrn_mobile.evaluation.align import LINE, MEDIAN, NONE, scale_and_shift
from fcrn_mobile.evaluation.budget import BOUNDARY, FIDELITY
from fcrn_mobile.evaluation.edges import edge_density
from fcrn_mobile.evaluation.formulas import EDGE_RATIOS

__all__ = [
    "BETWEEN",
    "FORMULAS",
    "MIN_DEPTH",
    "Fidelity",
    "FidelityValues",
    "boundary_drift",
    "brought",
    "formula",
    "relative_error",
    "same_size",
]

MIN_DEPTH = 1e-3  # metres; keeps relative errors finite where the reference predicts nothing
_OF_DEPTH = "mean |candidate - reference| / reference of the depth maps"
#: Meaning of depth → what fidelity is, for people.
FORMULAS: dict[Depth, str] = {
    "metres": _OF_DEPTH,
    "scale": _OF_DEPTH,
    "inverse": "mean |candidate - reference| / mean |reference - its median| of the maps of inverse depth",
}
#: Meaning of depth → how the map of one network is brought to that of another: ``align.scale_and_shift``, the other's map as the target.
BETWEEN: dict[Depth, str] = {"metres": MEDIAN, "scale": MEDIAN, "inverse": LINE}
#: The same for people, behind what fidelity is.
_BROUGHT = {
    NONE: "",
    MEDIAN: ", the candidate's brought to the reference's median first, image by image",
    LINE: ", the candidate's brought to the reference's by scale and shift first (least squares), image by image",
}
#: Deviations from the median that count, so that their exponential is finite.
_FARTHEST = 300.0


@dataclass(frozen=True)
class FidelityValues:
    """Averages over images.

    Attributes:
        abs_rel: mean |c-r|/r, values below 1 mm counted as 1 mm, as in the metrics; of inverse depth mean |c-r|/s, see above.
        psnr_db: mean of 20·log10(max|r|/√mean (c-r)²) per image; inf for equal outputs.
        max_abs: largest |c-r| of all images, in the reference's unit.
        cosine: mean cosine of the angle between the outputs as vectors.
        boundary_drift: mean of 1 - boundary F1 to the reference's edges.
        depth: what the reference's values mean.
        alignment: what brought the candidate's values to the reference's.
    """

    abs_rel: float
    psnr_db: float
    max_abs: float
    cosine: float
    boundary_drift: float = 0.0
    depth: Depth = "metres"
    alignment: str = NONE

    @property
    def figures(self) -> dict[str, float]:
        """What budgets can be set on, by name."""
        return {FIDELITY: self.abs_rel, BOUNDARY: self.boundary_drift}

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it: the values, ``rule`` of ``abs_rel``, and ``unit`` of ``max_abs``."""
        values = {key: value for key, value in asdict(self).items() if key not in ("depth", "alignment")}
        return values | {"rule": formula(self.depth, self.alignment), "unit": UNITS[self.depth]}


@dataclass
class Fidelity:
    """Streaming comparison; NaN in a candidate makes its values NaN.

    Attributes:
        depth: what the reference's values mean.
        alignment: what brings the candidate's to them, see ``BETWEEN``; none usually.
    """

    depth: Depth = "metres"
    alignment: str = NONE
    _rows: list[tuple[float, ...]] = field(default_factory=list)

    def update(self, candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> FidelityValues:
        """Count one image's outputs, both h×w of that meaning (the candidate's is resized if it has another size); returns its figures."""
        r = reference.astype(np.float64)
        c = brought(same_size(candidate, reference).astype(np.float64), r, self.alignment)
        error = c - r
        with np.errstate(invalid="ignore", over="ignore"):
            mse = float(np.mean(error**2))
            # Not numpy.linalg.norm: BLAS splits the sum over threads that then fight with torch's (24 ms instead of 0.05 ms seen).
            norms = math.sqrt(float(np.sum(c**2)) * float(np.sum(r**2)))
            row = (
                relative_error(c, r, self.depth),
                _psnr(float(np.abs(r).max()), mse),
                float(np.abs(error).max()),
                float(np.sum(c * r) / norms) if norms else math.nan,
                boundary_drift(c, r, self.depth),
            )
        self._rows.append(row)
        return FidelityValues(*row, depth=self.depth, alignment=self.alignment)

    def compute(self) -> FidelityValues:
        """Averages so far."""
        columns = np.array(self._rows).T
        return FidelityValues(
            abs_rel=float(columns[0].mean()),
            psnr_db=float(columns[1].mean()),
            max_abs=float(columns[2].max()),
            cosine=float(columns[3].mean()),
            boundary_drift=float(columns[4].mean()),
            depth=self.depth,
            alignment=self.alignment,
        )


def formula(depth: Depth, alignment: str = NONE) -> str:
    """What fidelity is, for people."""
    return FORMULAS[depth] + _BROUGHT[alignment]


def brought(candidate: NDArray[np.float64], reference: NDArray[np.float64], alignment: str) -> NDArray[np.float64]:
    """A candidate's map brought to the reference's, both h×w; NaN where nothing brings it there."""
    if alignment == NONE:
        return candidate
    scale, shift = scale_and_shift(candidate, reference, alignment)
    return scale * candidate + shift


def boundary_drift(candidate: NDArray[np.float64], reference: NDArray[np.float64], depth: Depth = "metres") -> float:
    """1 - boundary F1 of a candidate's output to the reference's own, both h×w, see above; below 1 mm counts as 1 mm, NaN gives NaN."""
    if not (np.isfinite(candidate).all() and np.isfinite(reference).all()):
        return math.nan
    if depth == "inverse":
        # Of exponentials the ratio exceeds t where the values differ by more than ln t.
        median, unit = float(np.median(reference)), _deviation(reference)
        with np.errstate(over="ignore"):
            own, expected = (np.exp(np.clip((x - median) / unit, -_FARTHEST, _FARTHEST)) for x in (candidate, reference))
    else:
        own, expected = (np.maximum(x, MIN_DEPTH) for x in (candidate, reference))
    true, predicted, both = edge_density(own, expected, np.ones(reference.shape, bool))
    edges = true + predicted
    scores = np.divide(2 * both, edges, out=np.ones_like(edges), where=edges > 0)
    return 1 - float(np.average(scores, weights=EDGE_RATIOS))


def same_size(candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """The candidate's output at the size of the reference's, bilinearly."""
    if candidate.shape == reference.shape:
        return candidate
    height, width = reference.shape
    return np.asarray(Image.fromarray(candidate).resize((width, height), Image.Resampling.BILINEAR))


def relative_error(candidate: NDArray[np.float64], reference: NDArray[np.float64], depth: Depth) -> float:
    """Mean |c-r| relative to the reference: pixel by pixel, or of inverse depth to its deviation, see above."""
    if depth == "inverse":
        return float(np.mean(np.abs(candidate - reference) / _deviation(reference)))
    c, r = np.maximum(candidate, MIN_DEPTH), np.maximum(reference, MIN_DEPTH)
    return float(np.mean(np.abs(c - r) / r))


def _deviation(values: NDArray[np.float64]) -> float:
    """Mean absolute deviation from the median; of a flat map the smallest number that can be divided by."""
    return max(float(np.mean(np.abs(values - np.median(values)))), float(np.finfo(np.float64).tiny))


def _psnr(peak: float, mse: float) -> float:
    if mse == 0:
        return math.inf
    return 20 * math.log10(peak / math.sqrt(mse)) if peak > 0 and math.isfinite(mse) else math.nan
