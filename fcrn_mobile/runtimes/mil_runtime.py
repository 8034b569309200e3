"""A Core ML package on any machine, through our own MIL runtime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.overflow import Overflow
from fcrn_mobile.runtimes.runtime import model_name

__all__ = ["MilRuntime"]


class MilRuntime:
    """Runs a package of one picture in and one depth map out; ``arithmetic`` says how, in words for people."""

    backend = "mil"
    is_concurrent = True

    def __init__(
        self, path: Path, model_config: Path | None = None, *, arithmetic: Arithmetic | str, size: tuple[int, int] | None = None
    ) -> None:
        self.name = model_name(path)
        self.path = path
        self._program = DepthProgram.load(path, arithmetic, model_config=model_config, size=size)
        self.arithmetic = self._program.arithmetic.title
        self.contract = self._program.interface.contract
        self.input_size = self._program.input_size
        self.metadata = self._program.metadata

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._program.depth(self._program.predict(self._program.taking(image)), image)

    def trace(self, image: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every named tensor of the program, as it appears."""
        return self._program.trace(self._program.taking(image))

    def first_overflow(self, image: NDArray[np.uint8]) -> Overflow | None:
        """The first tensor that is not finite on this image, or None."""
        return self._program.first_overflow(self._program.taking(image))
