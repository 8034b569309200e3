"""Every colour of pictures, charts, videos and pages. Colour maps are matplotlib's, by name."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = [
    "ACCENT",
    "BAD",
    "BAR_GROUND",
    "BESIDE",
    "DEPTH",
    "DIFFERENCE",
    "DOUBT",
    "EDGE",
    "GOOD",
    "GRID",
    "INK",
    "INVERSE_DEPTH",
    "INVERSE_SIGNED_DIFFERENCE",
    "LINE",
    "PAGE",
    "PANEL",
    "PLAIN",
    "PLATE",
    "REFERENCE",
    "SERIES",
    "SIGNED_DIFFERENCE",
    "SOFT",
    "THERMAL",
    "UNKNOWN",
    "depth_colours",
]

#: Depth: near is bright, far is dark. The app has the same map, and the same colour of what is unknown.
DEPTH = "magma_r"
#: The same of inverse depth.
INVERSE_DEPTH = "magma"
UNKNOWN = "#808080"
#: Size of a difference; signed differences: blue is nearer than the reference, red farther, white equal.
DIFFERENCE = "viridis"
SIGNED_DIFFERENCE = "RdBu_r"
#: The same of inverse depth.
INVERSE_SIGNED_DIFFERENCE = "RdBu"
#: Of a video's colour bar: the farthest depth is black.
BAR_GROUND = "#303030"

#: Text, quieter text, lines between things and at their edges, the ground of panels.
INK, SOFT, GRID, EDGE, PANEL = "#1d2733", "#4d5966", "#d5dbe1", "#8a949e", "#f5f7f9"
#: Verdicts: held, broken or beyond what is allowed, doubtful, none.
GOOD, BAD, DOUBT, PLAIN = "#0a6b3d", "#b00020", "#9a5b00", "#475569"

#: Of candidates and models in turn. Dark enough on white for small marks (contrast 4.5 or more); the marks differ in shape too.
SERIES = ("#0b5fa5", "#b3430c", "#00704f", "#85378a", "#7a5c00")
#: Of the reference, where it stands beside candidates.
REFERENCE = SOFT
#: Of a chart with one subject: its course, what stands out in it, what it is held against.
LINE, ACCENT, BESIDE = "#2b5c8a", "#c8553d", "#7a7a7a"
#: Thermal state → background; from cool to hot, each darker than the one before.
THERMAL = {"nominal": "#eaf4ec", "fair": "#fbeebd", "serious": "#f7c98b", "critical": "#ec9a8f"}

#: Custom property of a page's style sheet → colour.
PAGE = {"ink": INK, "soft": SOFT, "line": GRID, "edge": EDGE, "panel": PANEL, "mark": SERIES[0], "unknown": UNKNOWN}
PAGE |= {"good": GOOD, "bad": BAD, "doubt": DOUBT, "plain": PLAIN}


#: Behind a text on a chart, as matplotlib takes it.
PLATE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}


@cache
def depth_colours() -> "Colormap":
    """The map of depth; masked values have the colour of what is unknown."""
    import matplotlib

    return matplotlib.colormaps[DEPTH].with_extremes(bad=UNKNOWN)
