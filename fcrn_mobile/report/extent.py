"""How far predicted depth reaches, and how much of it is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import UnusableInputError

__all__ = ["Extent"]


@dataclass
class Extent:
    """Of the depth maps seen so far, one picture's or all frames' of a video.

    Attributes:
        near, far: smallest and largest finite value, metres; inf and -inf before the first.
        pixels, finite: how many there were, and how many of them were finite.
        inverse: whether the values are inverse depth, up to scale and shift; ``near`` is then the smallest all the same.
    """

    near: float = np.inf
    far: float = -np.inf
    pixels: int = 0
    finite: int = 0
    inverse: bool = False

    def update(self, depth: NDArray[np.float32]) -> None:
        """Count h×w metres."""
        finite = depth[np.isfinite(depth)]
        self.near = min(self.near, float(finite.min(initial=np.inf)))
        self.far = max(self.far, float(finite.max(initial=-np.inf)))
        self.pixels += depth.size
        self.finite += finite.size

    @property
    def not_finite(self) -> float:
        """Share of pixels that are NaN or infinite."""
        return 1 - self.finite / self.pixels if self.pixels else 0.0

    def check(self, name: str, cause: str = "") -> None:
        """Refuse depth that is none.

        Args:
            name: of the picture or video.
            cause: what is known of it, in words.

        Raises:
            UnusableInputError: no pixel is finite and, of depth, above zero.
        """
        if self.far > (-np.inf if self.inverse else 0):
            return
        what = "is nowhere finite" if not self.finite else f"reaches from {self.near:g} to {self.far:g}, nowhere above zero"
        remedy = "try a model of higher precision, or the checkpoint behind it"
        raise UnusableInputError(f"the depth that is predicted of '{name}' {what}{cause}: {remedy}")

    def facts(self) -> dict[str, Any]:
        """For JSON: ``metres`` (or ``inverse_depth``), smallest and largest, and ``not_finite`` where there are such pixels."""
        return {"inverse_depth" if self.inverse else "metres": [self.near, self.far]} | (
            {"not_finite": self.not_finite} if self.finite < self.pixels else {}
        )
