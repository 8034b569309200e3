"""Charts of a report as SVG for a page: no names inside (the page has the legend), no addresses, text as text."""

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from fcrn_mobile.evaluation.budget import FIDELITY
from fcrn_mobile.latency.latency import Latency
from fcrn_mobile.latency.reports import DeviceReport, timeline
from fcrn_mobile.palette import EDGE, GRID, INK, SERIES, THERMAL
from fcrn_mobile.validation.result import Validation

__all__ = ["MARKS", "drift_per_image", "latency_histograms", "latency_over_time", "save_latency_over_time", "size_against_drift", "style"]

#: Character in the legend → matplotlib's marker.
MARKS = {"●": "o", "■": "s", "▲": "^", "◆": "D", "▼": "v", "★": "*"}
#: Ratio of largest to smallest value from which an axis is logarithmic.
_LOG_FROM = 8.0
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fcrn-mobile",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": EDGE,
    "xtick.color": INK,
    "ytick.color": INK,
}


def style(index: int) -> tuple[str, str]:
    """Colour and legend character of the candidate or model with this index."""
    return SERIES[index % len(SERIES)], list(MARKS)[index % len(MARKS)]


@matplotlib.rc_context(_SETTINGS)
def drift_per_image(validation: Validation, ringed: Sequence[int] = ()) -> str:
    """Every image's drift over the reference's own error on it, without true depth over its number, from 1.

    Dashed: budgets of fidelity; ringed: indices of the frames shown.
    """
    figure, axis = _chart()
    values = []
    for index, candidate in enumerate(validation.candidates):
        colour, mark = style(index)
        errors = [image.reference if validation.rule else number for number, image in enumerate(candidate.per_image, 1)]
        points = np.array([(error, image.fidelity) for error, image in zip(errors, candidate.per_image, strict=True)], dtype=float)
        axis.plot(*points.T, MARKS[mark], color=colour, markersize=4.5, alpha=0.75, markeredgewidth=0)
        shown = points[[i for i in ringed if i < len(points)]]
        axis.plot(*shown.T, "o", color=INK, markersize=8.5, fillstyle="none", markeredgewidth=0.9)
        limits = [check.limit.amount for check in candidate.checks if check.limit.metric == FIDELITY]
        for limit in limits:
            axis.axhline(limit, color=colour, linestyle="--", linewidth=1)
        values += [*points[:, 1], *limits]
    _scale(axis, "y", values)
    axis.set_xlabel("reference's abs_rel to the truth" if validation.rule else "image")
    if not validation.rule:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylabel("drift: fidelity to the reference")
    return _svg(figure)


@matplotlib.rc_context(_SETTINGS)
def size_against_drift(validation: Validation) -> str:
    """Mean fidelity over size; dotted: the reference's size."""
    figure, axis = _chart()
    for index, candidate in enumerate(validation.candidates):
        colour, mark = style(index)
        axis.plot(candidate.size_bytes / 1e6, candidate.fidelity.abs_rel, MARKS[mark], color=colour, markersize=8)
    axis.axvline(validation.reference_size_bytes / 1e6, color=INK, linestyle=":", linewidth=1)
    _scale(axis, "y", [candidate.fidelity.abs_rel for candidate in validation.candidates])
    axis.set_xlim(left=0)
    axis.set_xlabel("size, MB")
    axis.set_ylabel("drift: mean fidelity to the reference")
    return _svg(figure)


@matplotlib.rc_context(_SETTINGS)
def latency_histograms(latencies: Sequence[Latency], colours: Sequence[str]) -> str:
    """Timed predictions of each model in its colour, one below the other over one axis; the line is the median."""
    figure = Figure(figsize=(4.1, 0.7 + 0.75 * len(latencies)), layout="constrained")
    axes = figure.subplots(len(latencies), 1, sharex=True, squeeze=False)[:, 0]
    samples = [sample for latency in latencies for sample in latency.samples_ms]
    low, high = min(samples), max(samples)
    logarithmic = low > 0 and high / low > _LOG_FROM
    high = high if high > low else low + 1
    bins = np.geomspace(low, high, 49) if logarithmic else np.linspace(low, high, 49)
    for axis, latency, colour in zip(axes, latencies, colours, strict=True):
        axis.hist(latency.samples_ms, bins, color=colour, alpha=0.75)
        axis.axvline(latency.median_ms, color=INK, linewidth=1)
        axis.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        axis.spines[["top", "right"]].set_visible(False)
    if logarithmic:
        axes[-1].set_xscale("log")
        _plain_log_ticks(axes[-1], "x")
    figure.supylabel("predictions", fontsize=9)
    axes[-1].set_xlabel("ms per image")
    return _svg(figure)


@matplotlib.rc_context(_SETTINGS)
def latency_over_time(reports: Sequence[DeviceReport]) -> str:
    """Every sample of every report over the time at which it was taken; behind it the thermal state, named where it changes."""
    return _svg(_over_time(reports, names=False))


@matplotlib.rc_context({**_SETTINGS, "svg.fonttype": "path"})
def save_latency_over_time(reports: Sequence[DeviceReport], path: Path) -> None:
    """The same as a picture of its own, with the names in it; the format is that of the suffix."""
    _over_time(reports, names=True).savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _over_time(reports: Sequence[DeviceReport], names: bool) -> Figure:
    figure = Figure(figsize=(7.5, (2.6 if names else 1.9) * len(reports)), layout="constrained")
    axes = figure.subplots(len(reports), 1, squeeze=False)[:, 0]
    index = 0
    for axis, report in zip(axes, reports, strict=True):
        drawn = timeline(report)
        end = max(float(times[-1]) for _, times in drawn)
        _thermal_bands(axis, report, max([end, *(time for time, _ in report.thermal)]))
        for result, times in drawn:
            colour, mark = style(index)
            axis.plot(times, result.samples_ms, MARKS[mark], color=colour, markersize=3.5, markeredgewidth=0, label=_plain(result.label))
            axis.plot(times[[0, -1]], [result.median_ms] * 2, color=colour, linewidth=1)
            index += 1
        axis.set_xlim(left=0)
        axis.spines[["top", "right"]].set_visible(False)
        _scale(axis, "y", [sample for result, _ in drawn for sample in result.samples_ms])
        axis.set_ylabel("ms per image")
        if names:
            devices = ", ".join(dict.fromkeys(result.device for result, _ in drawn))
            axis.set_title(_plain(f"{devices} ({report.path.name})"), loc="left", fontsize=9, pad=14)
            axis.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axes[-1].set_xlabel("seconds since the benchmark began")
    return figure


def _thermal_bands(axis: Axes, report: DeviceReport, end: float) -> None:
    changes = report.thermal
    before = None
    for index, (start, state) in enumerate(changes):
        until = changes[index + 1][0] if index + 1 < len(changes) else end
        axis.axvspan(start, until, color=THERMAL[state], linewidth=0, zorder=-1)
        if state != before:
            axis.text(start, 1.0, f" {state}", transform=axis.get_xaxis_transform(), fontsize=7, va="bottom")
        before = state


def _plain(name: str) -> str:
    """A name as it is: matplotlib would read what stands between dollars as mathematics."""
    return name.replace("$", r"\$")


def _chart() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.1, 2.9), layout="constrained")
    axis = figure.subplots()
    axis.grid(color=GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def _scale(axis: Axes, which: str, values: Sequence[float]) -> None:
    """A logarithmic axis where the values spread widely, else one from 0."""
    finite = [value for value in values if math.isfinite(value)]
    positive = [value for value in finite if value > 0]
    if positive and len(positive) == len(finite) and max(positive) / min(positive) > _LOG_FROM:
        axis.set_yscale("log")
        axis.set_ylim(min(positive) / 1.5, max(positive) * 1.5)
        _plain_log_ticks(axis, which)
    else:
        axis.set_ylim(0, 1.1 * max(finite, default=0.0) or 1.0)


def _plain_log_ticks(axis: Axes, which: str) -> None:
    """0.001, 0.002, 0.005 instead of powers of ten, whose superscripts are unreadable at this size."""
    ticks = axis.yaxis if which == "y" else axis.xaxis
    ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ticks.set_major_formatter(StrMethodFormatter("{x:g}"))
    ticks.set_minor_formatter(NullFormatter())


def _svg(figure: Figure) -> str:
    """The figure as an ``<svg>`` element without a fixed size."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg))
    # What would reach beyond the chart: its own style sheet, and fonts that the page does not use.
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: inherit", svg)
    # Names of groups would stand twice in a page with two charts; nothing refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace("<svg", '<svg aria-hidden="true"', 1)
