"""Which operator a package's drift comes from: noise along the graph, each operator's own part of it, overflow and saturation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fcrn_mobile
from fcrn_mobile.data.source import Source, evenly
from fcrn_mobile.errors import InputError
from fcrn_mobile.mil import Program
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.depth_program import DepthProgram
from fcrn_mobile.mil.operation import Operation
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.progress import OnStep
from fcrn_mobile.validation.fidelity import FidelityValues
from fcrn_mobile.validation.matching import match, plain_name, weight_name
from fcrn_mobile.validation.op_drift import OpDrift
from fcrn_mobile.validation.own_drift import OwnDrift, own_drifts
from fcrn_mobile.validation.signals import Signal, measure_signals
from fcrn_mobile.validation.suspect import Suspect, find_suspect

__all__ = ["Attribution", "attribute", "spread"]


@dataclass(frozen=True)
class Attribution:
    """A candidate's drift, operator by operator.

    Attributes:
        ops: all operators of the candidate, in order.
        fidelity: of its output to the reference's.
        suspect: where to look first; None if the output does not drift.
        reference_only: how many operators of the reference have no counterpart.
        images: how many were run.
        arithmetic: the candidate's policy; own drifts are in float32.
    """

    ops: tuple[OpDrift, ...]
    fidelity: FidelityValues
    suspect: Suspect | None
    reference_only: int
    images: int
    arithmetic: Arithmetic

    @property
    def matched(self) -> tuple[OpDrift, ...]:
        """The operators that the reference has too."""
        return tuple(op for op in self.ops if op.matched)

    @property
    def worst(self) -> tuple[OpDrift, ...]:
        """The operators with a drift of their own, largest first."""
        return tuple(sorted((op for op in self.ops if op.own), key=lambda op: -op.own_drift))

    @property
    def steepest(self) -> OpDrift:
        """The operator where the signal-to-noise ratio falls most, the first of several."""
        return max(self.matched, key=lambda op: op.fall_db)

    def to_json(self) -> dict[str, Any]:
        """The result as the command line writes it; infinite ratios become null there."""
        return {
            "suspect": asdict(self.suspect) if self.suspect else None,
            "steepest": self.steepest.name,
            "worst": [op.name for op in self.worst],
            "fidelity": self.fidelity.to_json(),
            "images": self.images,
            "arithmetic": str(self.arithmetic),
            "unmatched": {"candidate": len(self.ops) - len(self.matched), "reference": self.reference_only},
            "ops": [asdict(op) | {"fall_db": op.fall_db} for op in self.ops],
            "versions": {"fcrn-mobile": fcrn_mobile.__version__},
        }


def attribute(reference: Program, candidate: Program, images: Sequence[NDArray[np.uint8]], on_image: OnStep | None = None) -> Attribution:
    """Attribute a candidate's drift to its operators.

    Args:
        reference: the float program, loaded with float32 arithmetic.
        candidate: another export of the same network, with the same input size, loaded with the arithmetic to look at.
        images: H×W×3 uint8 RGB of any size.
        on_image: progress; each image is gone through twice.

    Raises:
        InputError: no images; not two depth programs of one input size; almost no operator in common.
    """
    reference, candidate = DepthProgram.of(reference, "the reference"), DepthProgram.of(candidate, "the candidate")
    sizes = [program.input_size for program in (reference, candidate)]
    if sizes[0] != sizes[1]:
        raise InputError(f"the reference takes {by(sizes[0])} pixels, the candidate {by(sizes[1])}: export both for one input size")
    if not images:
        raise InputError("no images to run the programs on: give data with at least one frame")
    pairs = match(reference, candidate)
    total = 2 * len(images)
    signals, fidelity = measure_signals(reference, candidate, pairs, images, on_image and (lambda done, _: on_image(done, total)))
    own = own_drifts(reference, candidate, pairs, images, on_image and (lambda done, _: on_image(len(images) + done, total)))
    ops = _assembled(reference, candidate, pairs, signals, own)
    return Attribution(
        ops=ops,
        fidelity=fidelity,
        suspect=find_suspect(ops, fidelity.abs_rel),
        reference_only=len(reference.operations) - len(pairs),
        images=len(images),
        arithmetic=candidate.arithmetic,
    )


def _assembled(
    reference: Program, candidate: Program, pairs: Mapping[int, int], signals: Sequence[Signal], own: Mapping[int, OwnDrift]
) -> tuple[OpDrift, ...]:
    """What is known of each operator, with its inputs' ratio and clipping looked up along the graph."""
    ratio: dict[str, float] = {}
    clipped: dict[str, float] = {}
    ops: list[OpDrift] = []
    for index, (operation, signal) in enumerate(zip(candidate.operations, signals, strict=True)):
        # What the program starts from is the same in both.
        inputs = min((ratio.get(name, math.inf) for name in operation.references), default=math.inf)
        lost = max((clipped.get(name, 0.0) for name in operation.references), default=0.0)
        if operation.kind == "quantize":
            lost = signal.share(signal.clipped)
        matched = index in pairs
        for info in operation.outputs:
            ratio[info.name] = signal.snr_db if matched else inputs
            if operation.kind in ("quantize", "dequantize"):
                clipped[info.name] = lost
        ops.append(
            OpDrift(
                index=index,
                name=plain_name(operation.name),
                candidate_name=operation.name,
                kind=operation.kind,
                weights=_weights_of(operation, reference, pairs.get(index)),
                matched=matched,
                snr_db=signal.snr_db if matched else None,
                input_snr_db=inputs,
                own=own.get(index),
                not_finite=signal.share(signal.not_finite),
                beyond=signal.share(signal.beyond),
                clipped=lost,
            )
        )
    return tuple(ops)


def _weights_of(operation: Operation, reference: Program, position: int | None) -> str:
    """By the reference's name of the weights, which no compression has changed."""
    return weight_name(operation if position is None else reference.operations[position])


def spread(source: Source, count: int) -> list[NDArray[np.uint8]]:
    """Images of ``count`` frames spread evenly over a source, all if it has fewer.

    Raises:
        InputError: the source has no frame.
    """
    if not len(source):
        raise InputError("the data has no frame: give data with at least one")
    return [source[index].image for index in evenly(len(source), count)]
