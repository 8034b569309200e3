"""Residuals of the estimates as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samples import sort_of

__all__ = ["draw"]


def draw(latencies: Sequence[dict[str, Any]], path: Path) -> None:
    """Published latency against what it is over its estimate with its network left out, by chip; maps are filled.

    Args:
        latencies: of ``estimate.json``.
        path: where the SVG goes.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "estimate"
    from matplotlib import pyplot as plt

    chips = list(dict.fromkeys(row["chip"] for row in latencies))
    figure, panels = plt.subplots(3, -(-len(chips) // 3), figsize=(12, 8), sharex=True, sharey=True, layout="constrained")
    for panel, chip in zip(panels.flat, chips, strict=False):
        here = [row for row in latencies if row["chip"] == chip]
        for filled in (False, True):
            shown = [row for row in here if (sort_of(row["network"].split(", ")[0]) == "map") == filled]
            x, y = ([row["published_ms"] for row in shown], [row["published_ms"] / row["left_out_ms"] for row in shown])
            panel.scatter(x, y, s=22, facecolors="tab:blue" if filled else "none", edgecolors="tab:blue", linewidths=0.8)
        panel.axhspan(0.8, 1.25, color="0.92", zorder=0)
        panel.axhline(1, color="0.6", linewidth=0.8, zorder=0)
        panel.set(xscale="log", yscale="log", title=f"{chip} ({len(here)})")
        panel.set_yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
        panel.minorticks_off()
    for panel in list(panels.flat)[len(chips) :]:
        panel.set_visible(False)
    figure.supxlabel("published latency, ms")
    figure.supylabel("published over estimated without its network; filled: maps")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
