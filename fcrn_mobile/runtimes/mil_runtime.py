"""A Core ML package on any machine, through our own MIL runtime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.data.images import fit
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import SHOWN_AS, Arithmetic
from fcrn_mobile.mil.overflow import Overflow
from fcrn_mobile.runtimes.contract import check_features, depth_map
from fcrn_mobile.runtimes.runtime import model_name


class MilRuntime:
    """Runs a package with one RGB image input and one depth output; ``arithmetic`` says how, in words for people."""

    backend = "mil"

    def __init__(self, path: Path, arithmetic: Arithmetic) -> None:
        self.name = model_name(path)
        self.path = path
        self._program = Program.load(path, arithmetic)
        self.arithmetic = SHOWN_AS[arithmetic]
        self._quoted = f"'{path}'"
        image, output = check_features(self._quoted, self._program.inputs, self._program.outputs)
        height, width = image.shape
        self.input_size = (height, width)
        self.metadata = self._program.metadata
        self._input, self._output = image.name, output.name

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        outputs = self._program.predict({self._input: fit(image, self.input_size)})
        return depth_map(outputs[self._output], self._quoted)

    def trace(self, image: NDArray[np.uint8]) -> Iterator[tuple[str, NDArray[Any]]]:
        """Every named tensor of the program, as it appears."""
        return self._program.trace({self._input: fit(image, self.input_size)})

    def first_overflow(self, image: NDArray[np.uint8]) -> Overflow | None:
        """The first tensor that is not finite on this image, or None."""
        return self._program.first_overflow({self._input: fit(image, self.input_size)})
