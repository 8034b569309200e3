"""The factor that lies between the depth of two networks.

Of depth that is known up to a scale, or inverse depth up to scale and shift, each network has a unit of its own. Between a float network
and what was made of it a factor is drift as any other, and a phone shows it; between two networks that were trained apart it means nothing,
and may be much of their fidelity. ``fidelity.BETWEEN`` says what brings one's map to the other's.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.evaluation.align import scale_and_shift
from fcrn_mobile.validation.fidelity import BETWEEN, relative_error, same_size

__all__ = ["Fit", "FitMeter"]

#: A fidelity below this is a small drift, whatever it consists of.
_SMALL = 0.01
#: A factor is much of a fidelity of which no more than this share is left without it.
_REST = 0.75


@dataclass(frozen=True)
class Fit:
    """Over images; what is NaN on one of them is NaN.

    Attributes:
        depth: what the maps mean.
        factor: median of the candidate's map over the reference's, see ``FitMeter``.
        least, most: its range.
        as_given, aligned: mean abs_rel to the reference's map before and after every image was brought there.
    """

    depth: Depth
    factor: float
    least: float
    most: float
    as_given: float
    aligned: float

    @property
    def is_much(self) -> bool:
        """Whether much of fidelity is the factor."""
        return math.isfinite(self.factor) and self.as_given >= _SMALL and self.aligned <= _REST * self.as_given

    @property
    def text(self) -> str:
        """The factor, as the end of a sentence about a candidate."""
        what, shift = ("inverse depth", " but for a shift") if self.depth == "inverse" else ("depth", "")
        if not math.isfinite(self.factor):
            return f"no factor brings its {what} to the reference's on every image"
        return f"its {what} is {self.factor:.4g} times the reference's{shift} ({self.least:.4g} to {self.most:.4g} over images)"

    def to_json(self) -> dict[str, Any]:
        """As the command line writes it."""
        return {
            "alignment": BETWEEN[self.depth],
            "factor": self.factor,
            "factor_min": self.least,
            "factor_max": self.most,
            "abs_rel_as_given": self.as_given,
            "abs_rel_aligned": self.aligned,
        }


@dataclass
class FitMeter:
    """Streaming, an image at a time.

    Attributes:
        depth: what the maps mean.
    """

    depth: Depth
    _rows: list[tuple[float, ...]] = field(default_factory=list)

    def update(self, candidate: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
        """Count one image's maps, both h×w, the candidate's of any size.

        The factor is median(c) / median(r); of inverse depth 1 / s with the s that brings the candidate's map there (least squares).
        """
        c, r = (values.astype(np.float64) for values in (same_size(candidate, reference), reference))
        scale, shift = scale_and_shift(c, r, BETWEEN[self.depth])
        with np.errstate(invalid="ignore", over="ignore"):
            errors = (relative_error(each, r, self.depth) for each in (c, scale * c + shift))
            self._rows.append((1 / scale if scale else math.nan, *errors))

    def compute(self) -> Fit:
        """Over the images so far, at least one."""
        factors, as_given, aligned = np.array(self._rows).T
        figures = np.median(factors), factors.min(), factors.max(), as_given.mean(), aligned.mean()
        return Fit(self.depth, *map(float, figures))
