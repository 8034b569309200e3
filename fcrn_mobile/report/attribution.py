"""Picture of an attribution: noise along the graph above, what each operator causes alone below."""

import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fcrn_mobile.palette import ACCENT, BAD, LINE, PLATE
from fcrn_mobile.validation.attribution import Attribution
from fcrn_mobile.validation.op_drift import OpDrift

__all__ = ["save_attribution"]

#: Operators that are numbered and named.
_NAMED = 8


def save_attribution(attribution: Attribution, title: str, path: Path) -> None:
    """Draw it.

    Args:
        attribution: what to draw: matched operators in order along x.
        title: above, taken literally.
        path: of the picture; its suffix names the format.
    """
    named = [op for op in attribution.worst if op.own_drift > 0][:_NAMED] or [attribution.steepest]
    figure = Figure(figsize=(13, 6.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    # Above the graphs alone, and in lines that fit there: the list stands beside them, as high as the page.
    above.set_title(textwrap.fill(title, 92, break_on_hyphens=False), fontsize=11, loc="left", parse_math=False)
    _draw_ratio(above, attribution, named)
    _draw_own(below, attribution, named)
    # A list beside the graph: names written at the marks would cover one another.
    figure.legend(
        handles=[above.plot([], [], " ")[0] for _ in named],
        labels=[f"{number}  {op.weights or op.name}: {_amount(op)}" for number, op in enumerate(named, 1)],
        title="largest own drift (fidelity)" if attribution.worst else "steepest fall",
        loc="outside right upper",
        fontsize=9,
        handlelength=0,
        handletextpad=0,
        alignment="left",
    )

    figure.savefig(path, dpi=110)


def _draw_ratio(axis: Axes, attribution: Attribution, named: list[OpDrift]) -> None:
    ops = attribution.matched
    places = np.array([op.index for op in ops])
    ratios = np.array([op.snr_db for op in ops], dtype=float)
    finite = np.isfinite(ratios)
    axis.plot(places[finite], ratios[finite], color=LINE, linewidth=1.2, marker=".", markersize=4)
    low, high = (float(ratios[finite].min()), float(ratios[finite].max())) if finite.any() else (0.0, 1.0)
    axis.set_ylim(low - 0.12 * (high - low) - 1, high + 0.12 * (high - low) + 1)
    over = [op for op in attribution.ops if op.beyond > 0]
    if over:
        label = f"runs over half precision, first {over[0].weights or over[0].name}"
        axis.plot([op.index for op in over], [axis.get_ylim()[0]] * len(over), "x", color=BAD, clip_on=False, label=label)
    steepest = attribution.steepest
    if steepest.fall_db > 0 and steepest.snr_db is not None and math.isfinite(steepest.snr_db):
        axis.plot(
            steepest.index, steepest.snr_db, "v", color=ACCENT, markersize=8, label=f"falls most: {steepest.weights or steepest.name}"
        )
    for number, op in enumerate(named, 1):
        if op.snr_db is not None and math.isfinite(op.snr_db):
            _number(axis, number, op.index, op.snr_db)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(loc="upper right", fontsize=9)
    axis.set_ylabel("signal-to-noise ratio (dB)\nof each result against the float program's")
    axis.grid(alpha=0.3)


def _draw_own(axis: Axes, attribution: Attribution, named: list[OpDrift]) -> None:
    ops = [op for op in attribution.worst if math.isfinite(op.own_drift)]
    if ops:
        lines = axis.stem([op.index for op in ops], [op.own_drift for op in ops], linefmt=ACCENT, markerfmt="o", basefmt=" ")
        lines.markerline.set(color=ACCENT, markersize=4)
    for number, op in enumerate(named, 1):
        if op.own is not None and math.isfinite(op.own_drift):
            _number(axis, number, op.index, op.own_drift)
    axis.set_ylim(0, 1.2 * max((op.own_drift for op in ops), default=0.0) or 1)
    axis.set_ylabel("own drift (fidelity)\nonly this operator compressed")
    axis.set_xlabel("operator, in the order of the program")
    axis.grid(alpha=0.3)


def _number(axis: Axes, number: int, x: float, y: float) -> None:
    axis.annotate(str(number), (x, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=9, fontweight="bold", bbox=PLATE)


def _amount(op: OpDrift) -> str:
    return f"{op.own_drift:.2g}" if op.own else f"{op.fall_db:.1f} dB"
