"""How far a program's output moves when only some of its operators change, one run of what stands before them for all trials."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.errors import InputError
from fcrn_mobile.evaluation.meaning import depth_of
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.execution import Values
from fcrn_mobile.mil.operation import every
from fcrn_mobile.progress import OnStep
from fcrn_mobile.validation.fidelity import Fidelity, FidelityValues

__all__ = ["Replacement", "Trial", "trial_drifts", "weight_drifts"]

#: Weights that stand in for a program's own: name of an operator → its argument → array of the shape that the argument has.
Replacement = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Trial:
    """A program that equals another one up to an operator.

    Attributes:
        program: the changed program.
        first: index of the first operator that differs.
    """

    program: Program
    first: int


def weight_drifts(
    reference: Program, images: Sequence[NDArray[np.uint8]], replacements: Sequence[Replacement], on_image: OnStep | None = None
) -> list[FidelityValues]:
    """Drift of the output for each of several replacements of weights: the sensitivity of operators to a compression.

    Args:
        reference: a program that maps one image to one depth map; its arithmetic is that of the trials.
        images: H×W×3 uint8 RGB of any size.
        replacements: weights of one or several operators each, such as ``{"input_17": {"weight": O×I×h×w array}}``. All trials share
            one run of the reference per image and go on from their first changed operator, so ask for all at once.
        on_image: progress.

    Returns:
        For each replacement, fidelity of its outputs to the reference's; not finite where an output is not.

    Raises:
        InputError: no image; a program of another kind; an unknown operator or argument, or an array of another shape.
    """
    order = {inside.name: index for index, operation in enumerate(reference.operations) for inside in every([operation])}
    trials = []
    for replacement in replacements:
        program = reference.with_constants(replacement)
        trials.append(Trial(program, min((order[name] for name in replacement), default=len(order))))
    return trial_drifts(reference, images, trials, on_image)


def trial_drifts(
    reference: Program, images: Sequence[NDArray[np.uint8]], trials: Sequence[Trial], on_image: OnStep | None = None
) -> list[FidelityValues]:
    """As ``weight_drifts``, for changed programs of any kind."""
    reference = DepthProgram.of(reference, "the reference")
    if not images:
        raise InputError("no images to run the programs on: give data with at least one frame")
    waiting = defaultdict(list)
    for number, trial in enumerate(trials):
        waiting[trial.first].append(number)
    fidelities = [Fidelity(depth_of(reference)) for _ in trials]
    for done, image in enumerate(images, 1):
        outputs: dict[int, NDArray[np.float32]] = {}
        values = reference.start(reference.taking(image))
        steps = reference.steps(values)
        for index in range(len(reference.operations) + 1):
            # Here the run holds what operator `index` and all later ones read.
            for number in waiting[index]:
                outputs[number] = _finish(reference, trials[number], values.copy())
            next(steps, None)
        expected = reference.depth(reference.results(values))
        for number, output in outputs.items():
            fidelities[number].update(output, expected)
        if on_image:
            on_image(done, len(images))
    return [fidelity.compute() for fidelity in fidelities]


def _finish(reference: DepthProgram, trial: Trial, values: Values) -> NDArray[np.float32]:
    """The depth of a trial, whose outputs are called as the reference's."""
    for _ in trial.program.steps(values, trial.first):
        pass
    return reference.depth(trial.program.results(values))
