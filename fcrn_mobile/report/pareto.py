"""Picture of a search: size against drift of the assignments it found, of the uniform schemes, and of the one it chose."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fcrn_mobile.depth_contract import Depth
from fcrn_mobile.evaluation.budget import FIDELITY
from fcrn_mobile.palette import ACCENT, BAD, BESIDE, LINE, PLATE
from fcrn_mobile.tuning.result import Point, Tuning
from fcrn_mobile.validation.fidelity import FORMULAS

__all__ = ["save_pareto"]

#: Width of the chosen point's label, as a share of the axis.
_LABEL = 0.24


def save_pareto(tuning: Tuning, path: Path) -> None:
    """Draw it.

    Args:
        tuning: what to draw.
        path: of the picture; its suffix names the format.
    """
    figure = Figure(figsize=(9.5, 6), layout="constrained")
    axis = figure.subplots()
    points = [point for point in tuning.points if point.drift > 0 and math.isfinite(point.drift)]
    front = sorted((point for point in points if point.kind == "front"), key=lambda point: point.size_bytes)
    axis.plot(*_places(front), color=LINE, marker=".", label="mixed, predicted on the images searched on")
    uniform = [point for point in points if point.kind in ("uniform", "float")]
    axis.plot(*_places(uniform), "s", color=BESIDE, markersize=6, label="uniform, measured there (float32; fp16 as it is)")
    stars = [point for point in points if point.kind == "chosen"]
    verdict = "chosen" if tuning.held else "nearest, budget BROKEN"
    label = f"{verdict}: measured on {tuning.verified} unseen images"
    axis.plot(*_places(stars), "*", color=ACCENT, markersize=17, markeredgecolor="white", label=label)
    for check in tuning.chosen.drift.checks:
        if check.limit.metric == FIDELITY:
            axis.axhline(check.limit.amount, color=BAD, linewidth=1, linestyle="--", label=f"budget {check.limit.text}")
    _scales(axis, tuning.chosen.drift.fidelity.depth)
    _name(axis, uniform, [point.name for point in uniform])
    share = tuning.chosen.drift.size_bytes / tuning.float_bytes
    labels = [f"{point.size_bytes / 1e6:.2f} MB, {share:.3f} of fp32\ndrift {point.drift:.4f}" for point in stars]
    _name(axis, stars, labels, below=True)
    _make_room(axis, stars)
    axis.legend(loc="upper right", fontsize=9)
    axis.set_title(f"{tuning.chosen.recipe.name}: precision per operator, {len(tuning.chosen.fit.choice)} weights", parse_math=False)
    figure.savefig(path, dpi=110)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [point.size_bytes / 1e6 for point in points], [point.drift for point in points]


def _scales(axis: Axes, meaning: Depth) -> None:
    axis.set_yscale("log")
    axis.margins(x=0.08, y=0.12)
    axis.set_xlabel("package, MB")
    axis.set_ylabel(f"{textwrap.fill(f'drift: {FORMULAS[meaning]}', 64)}\n(simulated float16, not run on a device)")
    axis.grid(alpha=0.3, which="both")


def _make_room(axis: Axes, stars: Sequence[Point]) -> None:
    """The label to the left of the chosen point must not run over the axis."""
    low, high = axis.get_xlim()
    leftmost = min((point.size_bytes / 1e6 for point in stars), default=high)
    share = (leftmost - low) / (high - low)
    if share < _LABEL:
        axis.set_xlim(left=(leftmost - _LABEL * high) / (1 - _LABEL))


def _name(axis: Axes, points: Sequence[Point], names: Sequence[str], below: bool = False) -> None:
    for point, name in zip(points, names, strict=True):
        place = {"xytext": (-9, -9), "ha": "right", "va": "top"} if below else {"xytext": (7, 4)}
        axis.annotate(name, (point.size_bytes / 1e6, point.drift), textcoords="offset points", fontsize=9, bbox=PLATE, **place)
