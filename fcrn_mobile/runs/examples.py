"""What a picture of a run's progress is drawn from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawing", "Example"]


@dataclass(frozen=True)
class Example:
    """One frame.

    Attributes:
        image: H×W×3 uint8.
        true: H×W metres; gray where not finite or not positive.
        predicted: h×w metres, any size; gray where not finite.
    """

    image: NDArray[np.uint8]
    true: NDArray[np.float32]
    predicted: NDArray[np.float32]


#: Examples and a title → H×W×3 uint8.
Drawing = Callable[[Sequence[Example], str], NDArray[np.uint8]]
