"""Every operator's result in a candidate against the float program's: noise, overflow, saturation, pooled over images."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.evaluation.meaning import depth_of
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.execution import Values
from fcrn_mobile.mil.operation import Operation, Reference
from fcrn_mobile.progress import OnStep
from fcrn_mobile.quantize.blocks import along
from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues
from fcrn_mobile.validation.quantized import gains

__all__ = ["Signal", "measure_signals", "snr_db"]


@dataclass
class Signal:
    """Sums over the results of one operator and over all images.

    Attributes:
        power: Σ r² of the reference's values.
        noise: Σ (c - r)², not finite where c is not.
        elements: how many values the candidate's operator gave.
        not_finite: how many of them are infinite or not a number.
        beyond: how many run over (see ``arithmetic.largest``), those not finite included.
        clipped: how many a ``quantize`` could not hold: they lay beyond its integers' ends.
    """

    power: float = 0.0
    noise: float = 0.0
    elements: int = 0
    not_finite: int = 0
    beyond: int = 0
    clipped: int = 0

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio of the candidate's values, see ``snr_db``."""
        return snr_db(self.power, self.noise)

    def share(self, count: int) -> float:
        """A count of values as a share of all."""
        return count / self.elements if self.elements else 0.0


def snr_db(power: float, noise: float) -> float:
    """10·log10(Σ r² / Σ (c - r)²), r the reference's values and c the candidate's, in dB.

    The definition that torch.ao.ns.fx.utils.compute_sqnr has (there as 20·log10 of the norms' ratio). Infinite for equal values,
    minus infinity where c is not finite, or where r is all zero and c is not.
    """
    if noise == 0:
        return math.inf
    return 10 * math.log10(power / noise) if power > 0 and math.isfinite(noise) else -math.inf


def measure_signals(
    reference: DepthProgram,
    candidate: DepthProgram,
    pairs: Mapping[int, int],
    images: Sequence[NDArray[np.uint8]],
    on_image: OnStep | None = None,
) -> tuple[list[Signal], FidelityValues]:
    """Run both programs side by side.

    Args:
        reference, candidate: of the same input size.
        pairs: see ``matching.match``.
        images: H×W×3 uint8 RGB of any size, at least one.
        on_image: progress.

    Returns:
        For every operator of the candidate what its results are like, ``power`` and ``noise`` of matched ones only; fidelity of the
        candidate's output to the reference's.
    """
    signals = [Signal() for _ in candidate.operations]
    fidelity = Fidelity(depth_of(reference))
    positions = set(pairs.values())
    factors = gains(candidate)
    for done, image in enumerate(images, 1):
        expected, values = (program.start(program.taking(image)) for program in (reference, candidate))
        ahead = enumerate(reference.steps(expected))
        # Both run in step, so that only results whose turn has not come yet are kept.
        truths: dict[int, list[Tensor]] = {}
        for index, operation in enumerate(candidate.steps(values)):
            results = _tensors(operation, values)
            _count(signals[index], operation, candidate.arithmetic, results, values)
            while index in pairs and pairs[index] not in truths:
                position, other = next(ahead)
                if position in positions:
                    truths[position] = _tensors(other, expected)
            for result, truth in zip(results, truths.pop(pairs.get(index, -1), ()), strict=False):
                _add(signals[index], result, truth, factors.get(operation.name, 1.0))
        for _ in ahead:
            pass
        fidelity.update(candidate.depth(candidate.results(values)), reference.depth(reference.results(expected)))
        if on_image:
            on_image(done, len(images))
    return signals, fidelity.compute()


def _tensors(operation: Operation, values: Values) -> list[Tensor]:
    return [values[info.name] for info in operation.outputs if isinstance(values[info.name], Tensor)]


def _add(signal: Signal, result: Tensor, truth: Tensor, factor: float) -> None:
    if result.is_floating_point() and truth.is_floating_point():
        signal.power += _energy(truth)
        signal.noise += _energy((result if factor == 1 else result / factor) - truth)


def _energy(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values, dtype=torch.float64)) ** 2


def _count(signal: Signal, operation: Operation, arithmetic: Arithmetic, results: list[Tensor], values: Values) -> None:
    signal.elements += sum(result.numel() for result in results)
    if operation.kind == "quantize":
        signal.clipped += _clipped(operation, results[0], values)
    for info, result in zip(operation.outputs, results, strict=False):
        if result.is_floating_point():
            signal.not_finite += int((~result.isfinite()).sum())
            bound = arithmetic.largest(operation.kind, info.dtype)
            # Not "> bound": a NaN compares as false, and counts.
            signal.beyond += result.numel() - int((result.abs() <= bound if math.isfinite(bound) else result.isfinite()).sum())


def _clipped(operation: Operation, result: Tensor, values: Values) -> int:
    """How many inputs of a ``quantize`` lie more than half a step beyond the ends of its integers."""
    arguments = {key: values[a.name] if isinstance(a, Reference) else a for key, a in operation.arguments.items()}
    rank, axis = arguments["input"].dim(), arguments.get("axis")
    steps = arguments["input"] / along(arguments["scale"], rank, axis)
    if arguments.get("zero_point") is not None:
        steps = steps + along(arguments["zero_point"], rank, axis).to(steps.dtype)
    ends = torch.iinfo(result.dtype)
    return int(((steps < ends.min - 0.5) | (steps > ends.max + 0.5)).sum())
