"""The operator to look at first, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fcrn_mobile.validation.op_drift import OpDrift

__all__ = ["Suspect", "find_suspect"]

#: Share of clipped values from which a quantized input is said to saturate.
_SATURATED = 0.001
#: Signal-to-noise ratio, dB, that weights keep in float16 (about 74) and in no coarser format (8 bits: 50 at best).
_HALF_PRECISION = 62.0
#: If all own drifts together (as independent errors add) explain less than this part of the drift, weights are not the cause.
_EXPLAINED = 1 / 3


@dataclass(frozen=True)
class Suspect:
    """Where the drift comes from first of all.

    Attributes:
        name, weights: of the operator, as in ``OpDrift``.
        reason: ``overflow``: values beyond half precision; ``saturation``: quantized inputs cut off values; ``activations``: they are
            too coarse; ``outlier channel``: one channel's weights take the resolution from the others; ``weights``: they are too coarse
            throughout; ``rounding``: half precision itself, of results or weights.
        detail: the figures behind it, for people.
    """

    name: str
    weights: str
    reason: str
    detail: str

    @property
    def called(self) -> str:
        """Its weights' name and its own, for people."""
        return f"{self.weights} ({self.name})" if self.weights else self.name

    @property
    def remedy(self) -> str:
        """What a recipe can do about it, or the calibration."""
        if self.reason == "saturation":
            return "calibrate with more images, or with a method that cuts off less"
        if self.reason == "activations":
            return f'[[ops]] match = "{self.weights or self.name}" activations = "fp16" in the recipe'
        precision = "fp32" if self.reason in ("overflow", "rounding") else "fp16"
        return f'[[ops]] match = "{self.weights or self.name}" precision = "{precision}" in the recipe'


def find_suspect(ops: Sequence[OpDrift], drift: float) -> Suspect | None:
    """The first operator that runs over; else the one whose own drift is largest; else the one where noise sets in.

    Args:
        ops: all operators, in order.
        drift: mean abs_rel of the candidate's output to the reference's.

    Returns:
        None if nothing drifts.
    """
    over = next((op for op in ops if op.beyond > 0), None)
    if over:
        share = f"{over.beyond:.2%}" if over.beyond >= 1e-4 else f"{over.beyond:.1e}"
        return Suspect(over.name, over.weights, "overflow", f"{share} of its values run over half precision")
    if drift == 0:
        return None
    worst = max(ops, key=lambda op: op.own_drift)
    explained = math.sqrt(sum(op.own_drift**2 for op in ops))
    if worst.own is None or explained < _EXPLAINED * drift:
        steepest = max((op for op in ops if op.matched), key=lambda op: op.fall_db)
        part = f"the operators' own drifts add up to {explained:.2g} of {drift:.2g}"
        return Suspect(steepest.name, steepest.weights, "rounding", f"{part}; the ratio falls most here, by {steepest.fall_db:.1f} dB")
    reason, detail = _reason(worst)
    return Suspect(worst.name, worst.weights, reason, f"alone it causes {worst.own.drift:.2g} of abs_rel; {detail}")


def _reason(op: OpDrift) -> tuple[str, str]:
    own = op.own
    assert own is not None
    if own.activations is not None and not own.activations < 0.5 * own.drift:
        if op.clipped >= _SATURATED:
            return "saturation", f"its quantized input cuts off {op.clipped:.2%} of the values"
        return "activations", f"{own.activations:.2g} of it by its quantized input"
    if own.outlier:
        outlier = own.outlier
        which = f"{outlier.axis} channel {outlier.channel} of {outlier.channels}"
        return "outlier channel", f"{which} peaks {outlier.ratio:.0f} times higher than the median channel and shares its scale"
    if own.weight_snr_db > _HALF_PRECISION:
        return "rounding", f"its weights are no coarser than float16, they keep {own.weight_snr_db:.1f} dB"
    return "weights", f"its weights keep {own.weight_snr_db:.1f} dB"
