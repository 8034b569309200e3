"""What is known of one operator's drift."""

import math
from dataclasses import dataclass

from fcrn_mobile.validation.own_drift import OwnDrift

__all__ = ["HALF_PRECISION_DB", "OpDrift"]

#: Signal-to-noise ratio, dB, of values rounded to float16: 10·log10(E[m²]·3·2²²) for magnitudes m·2^e, m spread logarithmically over
#: 1..2, so that E[m²] = 3/(2·ln 2); rounding to 10 bits behind the point leaves a uniform error of variance 2⁻²²/3.
HALF_PRECISION_DB = 10 * math.log10(3 / (2 * math.log(2)) * 3 * 2**22)


@dataclass(frozen=True)
class OpDrift:
    """One operator of the candidate.

    Attributes:
        index: its place in the candidate's order.
        name: of its result, without what half precision appends; ``candidate_name`` with it.
        kind: MIL's name of the operator.
        weights: what the network calls them; empty if it has none.
        matched: whether the reference has it too; without a counterpart there is no ``snr_db`` and no ``own``.
        snr_db: of its result against the reference's, see ``signals.snr_db``; infinite if equal, minus infinite if not finite.
        input_snr_db: the lowest of its inputs.
        own: what it causes alone; None if its weights are as in the reference and its inputs are not quantized.
        not_finite, beyond: share of its values that are not finite, and that run over (see ``arithmetic.largest``).
        clipped: share of values that its quantized inputs could not hold, the largest of them; of a ``quantize`` its own.
    """

    index: int
    name: str
    candidate_name: str
    kind: str
    weights: str
    matched: bool
    snr_db: float | None
    input_snr_db: float
    own: OwnDrift | None
    not_finite: float
    beyond: float
    clipped: float

    @property
    def fall_db(self) -> float:
        """By how much the ratio falls from its worst input to its result; above what float16 leaves, nothing counts as a fall."""
        if self.snr_db is None or self.input_snr_db == -math.inf:
            return 0.0
        return max(min(self.input_snr_db, HALF_PRECISION_DB) - min(self.snr_db, HALF_PRECISION_DB), 0.0)

    @property
    def own_drift(self) -> float:
        """Its own drift for ranking: 0 without one, infinite if the output is not finite."""
        if self.own is None:
            return 0.0
        return self.own.drift if math.isfinite(self.own.drift) else math.inf
