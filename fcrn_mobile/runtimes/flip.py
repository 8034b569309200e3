"""Post-processing by flip: every picture is predicted as it is and mirrored (Godard et al. 2017, arXiv 1609.03677)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.runtimes.runtime import Runtime

__all__ = ["FlipProcessed", "flip_processed"]

#: The share of the width at either side that is taken from one of the two predictions alone.
_BORDER = 0.05
#: Depth below this many metres counts as this much: its inverse has to be finite.
_NEAREST = 1e-3


class FlipProcessed:
    """A runtime that predicts twice and joins both predictions; it is half as fast."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.name = f"{runtime.name}, flip-processed"
        self.path: Path = runtime.path
        self.backend = runtime.backend
        self.contract = runtime.contract
        self.input_size = runtime.input_size
        self.metadata = runtime.metadata

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """H×W×3 uint8 → h×w float32."""
        own, mirrored = (self.runtime.predict(view) for view in (image, np.ascontiguousarray(image[:, ::-1])))
        if self.contract.depth == "inverse":
            return flip_processed(own, mirrored)
        return np.reciprocal(flip_processed(_inverse(own), _inverse(mirrored)))


def flip_processed(inverse: NDArray[np.float32], mirrored: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inverse depth (or disparity) of a picture joined with that of its mirror image.

    What the right camera of a rig doesn't see lies at the left of things, and at the right of them in the mirror image.

    Args:
        inverse: of a picture, h×w.
        mirrored: of the mirrored picture, h×w, still mirrored.

    Returns:
        The mirror image's in the leftmost 5 % of the columns, the picture's own in the rightmost 5 %, between them their mean.
    """
    back = mirrored[:, ::-1]
    border = round(_BORDER * inverse.shape[1])
    result: NDArray[np.float32] = ((inverse + back) / 2).astype(np.float32)
    result[:, :border] = back[:, :border]
    result[:, inverse.shape[1] - border :] = inverse[:, inverse.shape[1] - border :]
    return result


def _inverse(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.reciprocal(np.maximum(depth, np.float32(_NEAREST)))
