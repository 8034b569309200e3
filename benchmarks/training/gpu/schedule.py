"""The one-cycle schedule (Smith 2018, arXiv 1803.09820) as torch's ``OneCycleLR`` has it, over as many steps as there is time for."""

import math
import time
from dataclasses import dataclass

#: Defaults of ``OneCycleLR``: the share of steps in which the rate rises, first and last rate over the peak, and Adam's first beta.
RISE, FIRST, LAST = 0.3, 1 / 25, 1 / 25e4
BETAS = (0.95, 0.85)


def one_cycle(position: float, total: float, peak: float) -> tuple[float, float]:
    """Learning rate and Adam's first beta at a position from 0 to ``total`` - 1 of a run of ``total`` steps."""
    top, end = RISE * total - 1, total - 1
    if position <= top:
        share, start, stop, betas = position / top, peak * FIRST, peak, BETAS
    else:
        share, start, stop, betas = (position - top) / (end - top) if end > top else 1.0, peak, peak * LAST, BETAS[::-1]
    share = (1 + math.cos(math.pi * min(1.0, share))) / 2
    return stop + (start - stop) * share, betas[1] + (betas[0] - betas[1]) * share


@dataclass
class Plan:
    """Where a run stands in its schedule.

    Attributes:
        total: steps of the schedule when it was planned.
        left: steps that are still to be done.
        position: in the schedule, 0 to ``total`` - 1.
        stride: what a step moves it by; above 1 where there is less time than was planned for.
    """

    total: int
    left: int
    position: float = 0.0
    stride: float = 1.0

    @classmethod
    def of(cls, steps: int) -> "Plan":
        return cls(steps, steps)

    def step(self) -> None:
        """One step was done."""
        self.left -= 1
        self.position = min(self.position + self.stride, self.total - 1.0)

    def fit(self, steps: int) -> None:
        """End after ``steps`` more steps, or as many as were planned if these are fewer; the rest of the schedule goes over them."""
        rest = self.total - 1 - self.position
        self.left = max(1, min(steps, math.ceil(rest) + 1))
        self.stride = rest / max(1, self.left - 1)


class Clock:
    """The time that a run may take, in seconds; None for as long as it takes."""

    def __init__(self, seconds: float | None) -> None:
        self.start = time.monotonic()
        self.seconds = seconds

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        return math.inf if self.seconds is None else self.seconds - self.elapsed

    def share(self, part: float) -> "Clock":
        """A clock that begins now, for a part of what is left."""
        return Clock(None if self.seconds is None else part * self.left)
