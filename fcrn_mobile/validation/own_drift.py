"""What each compressed operator does to the output alone: the float program with the candidate's version of just this operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcrn_mobile.mil import Program
from fcrn_mobile.mil.binding import with_constants
from fcrn_mobile.mil.operation import Operation, every
from fcrn_mobile.mil.ops import OPERATORS
from fcrn_mobile.progress import OnStep
from fcrn_mobile.validation.quantized import Rewired, gains, producers, quantize_inputs
from fcrn_mobile.validation.sensitivity import Trial, trial_drifts
from fcrn_mobile.validation.signals import snr_db

__all__ = ["Outlier", "OwnDrift", "changed_constants", "find_outlier", "own_drifts"]

#: An outlier channel peaks so many times higher than the median channel: four of int8's seven bits are lost to it.
_OUTLIER_PEAK = 16.0
#: Where it shares its scale with the others, they lose so many times more of their energy than it does.
_OUTLIER_NOISE = 16.0


@dataclass(frozen=True)
class Outlier:
    """A channel whose large weights take the resolution from the others.

    Attributes:
        channel, channels: its index, and how many there are.
        axis: ``output`` or ``input``.
        ratio: its largest magnitude over that of the median channel.
    """

    channel: int
    channels: int
    axis: str
    ratio: float


@dataclass(frozen=True)
class OwnDrift:
    """What one operator causes when only it is as in the candidate, in float32 arithmetic.

    Attributes:
        drift: mean abs_rel of the output to the reference's (``fidelity.FidelityValues``).
        activations: the same with nothing but its quantized inputs; None if they are not quantized.
        weight_snr_db: signal-to-noise ratio of its weights; infinite if they are equal.
        outlier: the channel that its compression suffers from, if there is one.
    """

    drift: float
    activations: float | None
    weight_snr_db: float
    outlier: Outlier | None


def own_drifts(
    reference: Program, candidate: Program, pairs: Mapping[int, int], images: Sequence[NDArray[np.uint8]], on_image: OnStep | None = None
) -> dict[int, OwnDrift]:
    """Own drift of every operator whose weights or quantization differ.

    Args:
        reference: float program; its arithmetic is that of the trials.
        candidate: where weights and quantization are taken from.
        pairs: see ``matching.match``.
        images: H×W×3 uint8 RGB of any size, at least one.
        on_image: progress.

    Returns:
        By index of the operator in the candidate.
    """
    given_by, factors = producers(candidate), gains(candidate)
    shapes = {info.name: info.shape for operation in reference.operations for info in operation.outputs if info.shape is not None}
    trials: list[Trial] = []
    places: dict[int, tuple[int, int | None]] = {}
    for index, position in pairs.items():
        ours, theirs = reference.operations[position], candidate.operations[index]
        if ours.kind != theirs.kind:
            continue
        weights = {mine.name: changed_constants(mine, other) for mine, other in _inside(ours, theirs)}
        rewired = quantize_inputs(ours, theirs, given_by, factors, shapes)
        activations = None
        if rewired.inserted:
            activations = len(trials)
            trials.append(_trial(reference, position, rewired))
        if any(weights.values()):
            places[index] = len(trials), activations
            (changed,) = with_constants([rewired.operation], weights)
            trials.append(_trial(reference, position, replace(rewired, operation=changed)))
        elif activations is not None:
            places[index] = activations, activations
    drifts = [values.abs_rel for values in trial_drifts(reference, images, trials, on_image)]
    result = {}
    for index, (whole, part) in places.items():
        weight = _weights(reference.operations[pairs[index]], candidate.operations[index])
        result[index] = OwnDrift(drifts[whole], None if part is None else drifts[part], *weight)
    return result


def changed_constants(ours: Operation, theirs: Operation) -> dict[str, Tensor]:
    """Floating-point constants of ``theirs`` that have the same shape as in ``ours`` and other values."""
    return {
        key: value
        for key, value in theirs.arguments.items()
        if isinstance(value, Tensor)
        and isinstance(constant := ours.arguments.get(key), Tensor)
        and value.is_floating_point()
        and value.shape == constant.shape
        and not torch.equal(value, constant)
    }


def find_outlier(weight: Tensor, compressed: Tensor, transposed: bool = False) -> Outlier | None:
    """The channel that shares a scale with others and hides that they lost their resolution.

    Args:
        weight: as it should be, output×input×…; of equal shape:
        compressed: what became of it.
        transposed: input×output×… instead.

    Returns:
        The channel that peaks highest above the median one, if by a factor of 16 at least and if the median channel lost, relative to
        its energy, 16 times as much as that channel: with a scale of its own for each they lose alike.
    """
    if weight.dim() < 2:
        return None
    outliers: list[Outlier] = []
    for axis, name in enumerate(("input", "output") if transposed else ("output", "input")):
        rows = weight.movedim(axis, 0).flatten(1).double()
        lost = (compressed.movedim(axis, 0).flatten(1).double() - rows).square().sum(1)
        peaks, energy = rows.abs().amax(1), rows.square().sum(1)
        alive = energy > 0
        if not alive.any():
            return None
        channel = int(peaks.argmax())
        ratio = float(peaks[channel] / peaks[alive].median())
        noise = lost[alive] / energy[alive]
        if ratio >= _OUTLIER_PEAK and float(noise.median()) > _OUTLIER_NOISE * float(lost[channel] / energy[channel]):
            outliers.append(Outlier(channel, len(peaks), name, ratio))
    return max(outliers, key=lambda outlier: outlier.ratio, default=None)


def _inside(ours: Operation, theirs: Operation) -> list[tuple[Operation, Operation]]:
    """The two themselves, and what runs inside of them if that is the same."""
    mine, others = list(every([ours])), list(every([theirs]))
    same = [operation.kind for operation in mine] == [operation.kind for operation in others]
    return list(zip(mine, others, strict=True)) if same else [(ours, theirs)]


def _weights(ours: Operation, theirs: Operation) -> tuple[float, Outlier | None]:
    """Signal-to-noise ratio of all changed constants together, and the outlier channel of the weights."""
    power = noise = 0.0
    for mine, other in _inside(ours, theirs):
        for key, value in changed_constants(mine, other).items():
            power += float(mine.arguments[key].double().square().sum())
            noise += float((value - mine.arguments[key]).double().square().sum())
    changed = changed_constants(ours, theirs).get("weight")
    transposed = OPERATORS[ours.kind].weight_axes == (1, 0)
    return snr_db(power, noise), None if changed is None else find_outlier(ours.arguments["weight"], changed, transposed)


def _trial(program: Program, position: int, changed: Rewired) -> Trial:
    """The program with one operator changed, and others put before it."""
    operations = (*program.operations[:position], *changed.inserted, changed.operation, *program.operations[position + 1 :])
    return Trial(replace(program, operations=operations), position)
