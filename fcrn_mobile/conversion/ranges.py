"""Ranges of activations: a float program run over calibration images in the MIL runtime, every image counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quantize.clipping import BINS, histogram, mse_clip, percentile_clip

__all__ = ["Range", "measure_ranges", "measured", "shared"]


@dataclass(frozen=True)
class Range:
    """Smallest and largest value of a tensor that are kept; what lies outside is clipped."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        """The larger of both, without its sign."""
        return max(abs(self.low), abs(self.high))

    def joined(self, other: "Range") -> "Range":
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    def clipped(self, magnitude: float) -> "Range":
        """What is left within ±magnitude."""
        return Range(max(self.low, -magnitude), min(self.high, magnitude))


def measure_ranges(
    program: DepthProgram, images: Sequence[NDArray[np.uint8]], method: str, percentile: float = 100, on_image: OnStep | None = None
) -> dict[str, Range]:
    """Run a float program over images and choose the range of each tensor that quantization needs.

    Args:
        program: in float32 arithmetic.
        images: H×W×3 uint8 of any size, stretched to the program's.
        method: ``minmax``, over all images; ``percentile`` of the magnitudes; ``mse``, least expected squared error.
        percentile: of that method, above 0 to 100.
        on_image: progress; the last two methods see every image twice.

    Returns:
        Name of a tensor → its range. Tensors that share values, as those before and after a ``pad``, share one range: a
        second quantization with the same scale changes nothing.

    Raises:
        InputError: a tensor that is not finite.
    """
    names = measured(program)
    total = len(images) * (1 if method == "minmax" else 2)
    ranges: dict[str, Range] = {}

    def extend(name: str, value: Tensor) -> None:
        extremes = _extremes(name, value)
        ranges[name] = ranges[name].joined(extremes) if name in ranges else extremes

    _run(program, images, names, extend, lambda done: on_image(done, total) if on_image else None)
    if method == "minmax":
        return shared(ranges, program)
    counts = {name: np.zeros(BINS) for name in ranges}

    def count(name: str, value: Tensor) -> None:
        counts[name] += histogram(value, ranges[name].magnitude)

    _run(program, images, names, count, lambda done: on_image(len(images) + done, total) if on_image else None)
    for name, extremes in ranges.items():
        peak = extremes.magnitude
        clip = mse_clip(counts[name], peak) if method == "mse" else percentile_clip(counts[name], peak, percentile)
        ranges[name] = extremes.clipped(clip)
    return shared(ranges, program)


def measured(program: Program) -> frozenset[str]:
    """Names of the tensors that quantized operators read or give."""
    names: set[str] = set()
    for operation in program.operations:
        operator = OPERATORS[operation.kind]
        if operator.quantizable:
            names |= operation.references
        if operator.quantizable or operator.activation:
            names |= {info.name for info in operation.outputs}
    return frozenset(names)


def shared(ranges: dict[str, Range], program: Program) -> dict[str, Range]:
    """Ranges in which tensors that share values have the range of all of them.

    As coremltools does with the inputs and outputs of ``concat``, here for every operator that only moves values. A ReLU
    that directly follows one belongs to it: its input is quantized already.
    """
    group: dict[str, str] = {}

    def root(name: str) -> str:
        while group.get(name, name) != name:
            name = group[name]
        return name

    for operation in program.operations:
        roots = {root(name) for name in operation.references}
        if OPERATORS[operation.kind].shares_range or (operation.kind == "relu" and all(name in group for name in operation.references)):
            first = min(roots)
            group |= dict.fromkeys((*roots, *operation.references, *(info.name for info in operation.outputs)), first)
    union: dict[str, Range] = {}
    for name, extremes in ranges.items():
        union[root(name)] = union[root(name)].joined(extremes) if root(name) in union else extremes
    return {name: union[root(name)] for name in ranges}


def _extremes(name: str, value: Tensor) -> Range:
    low, high = (float(extreme) for extreme in torch.aminmax(value))
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"tensor '{name}' is not finite on a calibration image: quantize a network whose float program runs")
    return Range(low, high)


def _run(
    program: DepthProgram,
    images: Sequence[NDArray[np.uint8]],
    names: frozenset[str],
    visit: Callable[[str, Tensor], None],
    on_image: Callable[[int], None],
) -> None:
    """Show every named tensor of every image to ``visit``."""
    for index, image in enumerate(images, 1):
        values = program.start(program.taking(image))
        for name in names & values.keys():
            visit(name, values[name])
        for operation in program.steps(values):
            for info in operation.outputs:
                if info.name in names:
                    visit(info.name, values[info.name])
        on_image(index)
