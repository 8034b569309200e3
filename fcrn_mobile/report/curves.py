"""Training curves of several runs in one picture."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fcrn_mobile.evaluation.formulas import METRICS
from fcrn_mobile.runs.history import History

__all__ = ["DOTTED", "panels", "save_curves"]

#: Up to so many epochs each has a dot.
DOTTED = 20
#: Metrics drawn besides what the runs chose their best epochs by.
_DRAWN = ("abs_rel", "delta1")
#: Characters that the titles of all panels have room for.
_TITLES = 144
_RING = "ring: epoch of the best checkpoint"


def save_curves(runs: Sequence[History], path: Path) -> None:
    """Draw training loss, what the runs monitor, abs_rel and delta1 over the epochs; a ring marks the best checkpoint's epoch.

    Args:
        runs: at least one.
        path: of the picture; its suffix names the format.
    """
    longest = max(len(run.epochs) for run in runs)
    columns = 2 if max(len(run.name) for run in runs) > 40 else 4
    figure = Figure(figsize=(13.2, 4.1 + 0.24 * -(-len(runs) // columns)), layout="constrained")
    shown = panels(runs)
    axes = figure.subplots(1, len(shown))
    for axis, (curve, title) in zip(axes, shown.items(), strict=True):
        for index, run in enumerate(runs):
            _draw(axis, run, curve, index, "o" if longest <= DOTTED else None)
        axis.set_title(textwrap.fill(_title(title, runs) if curve == "train/loss" else title, _TITLES // len(shown)), fontsize=11)
        axis.set_xlabel("epoch", fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    lines, names = axes[0].get_legend_handles_labels()
    legend = figure.legend(lines, names, loc="outside lower center", ncols=columns, frameon=False, fontsize=10, title=_RING)
    for text in legend.get_texts():
        text.set_parse_math(False)
    figure.savefig(path, dpi=110)


def panels(runs: Sequence[History]) -> dict[str, str]:
    """Curve → title and which way is better, of those that any of the runs has."""
    metrics = {run.monitor.metric: run.monitor.direction for run in runs} | {name: METRICS[name].direction for name in _DRAWN}
    titles = {f"val/{metric}": f"validation {metric} ({direction} is better)" for metric, direction in metrics.items()}
    return {"train/loss": "training loss"} | {curve: title for curve, title in titles.items() if any(curve in run.curves for run in runs)}


def _draw(axis: Axes, run: History, curve: str, index: int, marker: str | None) -> None:
    values = run.curves.get(curve, [float("nan")] * len(run.epochs))
    # Dashes too tell lines apart where ten colours do not.
    style = ("-", "--", ":", "-.")[index // 10 % 4]
    (line,) = axis.plot(run.epochs, values, color=f"C{index % 10}", linestyle=style, marker=marker, markersize=3.5, linewidth=1.7)
    # A name that begins with an underscore would be left out of the legend.
    line.set_label(f"\u200b{run.name}" if run.name.startswith("_") else run.name)
    if curve.startswith("val/") and run.best_epoch in run.epochs:
        best = values[run.epochs.index(run.best_epoch)]
        axis.plot(run.best_epoch, best, "o", color=line.get_color(), markersize=9, fillstyle="none", markeredgewidth=1.6)


def _title(title: str, runs: Sequence[History]) -> str:
    """The losses' names, where they say that the lines do not compare."""
    losses = list(dict.fromkeys(run.loss for run in runs))
    return f"{title} ({losses[0]})" if len(losses) == 1 else f"{title}: {', '.join(losses)} (not comparable)"
