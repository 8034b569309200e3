"""Where half precision and the Neural Engine's traits part: the first operator whose results differ by more than rounding."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.overflow import overflow_at

__all__ = ["TOLERANCE", "Parting", "first_parting"]

#: Root mean square of the difference to that of the result; roundings that add up over a network stay below.
TOLERANCE = 0.02


@dataclass(frozen=True)
class Parting:
    """The first operator whose results differ.

    Attributes:
        name: of its result.
        operator: what computed it.
        image: index of the image.
        difference: root mean square of the difference over that of the result in float16; infinite where one alone is not finite.
        limit: what is named where values lie past a published limit, though the results may be close on the whole; empty else.
    """

    name: str
    operator: str
    image: int
    difference: float
    limit: str = ""

    def __str__(self) -> str:
        return f"'{self.name}' ({self.operator}), image {self.image}: {self.limit or f'its values differ by {self.difference:.1%}'}"


def first_parting(
    package: Path,
    images: Iterable[NDArray[np.uint8]],
    arithmetic: Arithmetic | str = "ane",
    config: Path | None = None,
    size: tuple[int, int] | None = None,
) -> Parting | None:
    """Run a package in ``float16`` and as the Neural Engine does, operator by operator side by side.

    Args:
        package: .mlpackage or .mlmodel that makes depth.
        images: H×W×3 uint8, in turn until one parts.
        arithmetic: the second of the two.
        config: its model config.
        size: height and width of the pictures; None: its usual ones.

    Returns:
        The first operator on the first image that parts; None where all agree within ``TOLERANCE``.

    Raises:
        InputError: see ``DepthProgram.load``.
    """
    half = DepthProgram.load(package, "float16", model_config=config, size=size)
    engine = DepthProgram.load(package, arithmetic, model_config=config, size=size)
    for index, image in enumerate(images):
        values, others = half.start(half.taking(image)), engine.start(engine.taking(image))
        for operation, _ in zip(half.every_step(values), engine.every_step(others), strict=False):
            past = overflow_at(operation, others, engine.arithmetic)
            for info in operation.outputs:
                difference = _difference(values[info.name], others[info.name])
                if difference > TOLERANCE or (past and past.trait):
                    return Parting(info.name, operation.kind, index, difference, past.trait if past else "")
    return None


def _difference(expected: object, actual: object) -> float:
    """Root mean square of the difference over that of the first; what is not finite in both alike is equal."""
    if not (isinstance(expected, Tensor) and isinstance(actual, Tensor) and expected.is_floating_point() and expected.numel()):
        return 0.0
    if expected.shape != actual.shape:
        return torch.inf
    equal = (expected == actual) | (expected.isnan() & actual.isnan())
    if not bool((equal | (expected.isfinite() & actual.isfinite())).all()):
        return torch.inf
    finite = expected.isfinite()
    first, second = expected[finite].double(), actual[finite].double()  # differences of float16 may be none
    apart, whole = (float(torch.linalg.vector_norm(each)) for each in (first - second, first))
    return apart / whole if whole else (torch.inf if apart else 0.0)
