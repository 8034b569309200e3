"""How close a candidate's output is to the reference's own output, truth left aside."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["MIN_DEPTH", "Fidelity", "FidelityValues", "same_size"]

MIN_DEPTH = 1e-3  # metres; keeps relative errors finite where the reference predicts nothing


@dataclass(frozen=True)
class FidelityValues:
    """Averages over images.

    Attributes:
        abs_rel: mean |c-r|/r, values below 1 mm counted as 1 mm, as in the metrics.
        psnr_db: mean of 20·log10(max|r|/√mean (c-r)²) per image; inf for equal outputs.
        max_abs: largest |c-r| of all images, metres.
        cosine: mean cosine of the angle between the outputs as vectors.
    """

    abs_rel: float
    psnr_db: float
    max_abs: float
    cosine: float


@dataclass
class Fidelity:
    """Streaming comparison; NaN in a candidate makes its values NaN."""

    _rows: list[tuple[float, float, float, float]] = field(default_factory=list)

    def update(self, candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
        """Count one image's outputs, both h×w metres (the candidate's is resized if it has another size); returns its abs_rel."""
        c, r = same_size(candidate, reference).astype(np.float64), reference.astype(np.float64)
        error = c - r
        with np.errstate(invalid="ignore", over="ignore"):
            mse = float(np.mean(error**2))
            # Not numpy.linalg.norm: BLAS splits the sum over threads that then fight with torch's (24 ms instead of 0.05 ms seen).
            norms = math.sqrt(float(np.sum(c**2)) * float(np.sum(r**2)))
            row = (
                float(np.mean(np.abs(np.maximum(c, MIN_DEPTH) - np.maximum(r, MIN_DEPTH)) / np.maximum(r, MIN_DEPTH))),
                _psnr(float(np.abs(r).max()), mse),
                float(np.abs(error).max()),
                float(np.sum(c * r) / norms) if norms else math.nan,
            )
        self._rows.append(row)
        return row[0]

    def compute(self) -> FidelityValues:
        """Averages so far."""
        columns = np.array(self._rows).T
        return FidelityValues(
            abs_rel=float(columns[0].mean()),
            psnr_db=float(columns[1].mean()),
            max_abs=float(columns[2].max()),
            cosine=float(columns[3].mean()),
        )


def same_size(candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> NDArray[np.float32]:
    """The candidate's output at the size of the reference's, bilinearly."""
    if candidate.shape == reference.shape:
        return candidate
    height, width = reference.shape
    return np.asarray(Image.fromarray(candidate).resize((width, height), Image.Resampling.BILINEAR))


def _psnr(peak: float, mse: float) -> float:
    if mse == 0:
        return math.inf
    return 20 * math.log10(peak / math.sqrt(mse)) if peak > 0 and math.isfinite(mse) else math.nan
