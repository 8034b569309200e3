"""What a run validates itself by; part of its record, and read without torch."""

from dataclasses import dataclass

__all__ = ["Monitor", "monitor_of"]


@dataclass(frozen=True)
class Monitor:
    """The validation metric by which a run chooses its best checkpoint and lowers the learning rate of ``plateau``.

    Attributes:
        metric: its key.
        direction: which way is better; ``lower`` for all there are.
    """

    metric: str
    direction: str = "lower"


def monitor_of(quantized: bool, has_depth: bool) -> Monitor:
    """The drift in fine-tuning for a quantization; else abs_rel, or the objective's own loss where validation has no depth."""
    if quantized:
        return Monitor("fidelity")
    return Monitor("abs_rel" if has_depth else "loss")
