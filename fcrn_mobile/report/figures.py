"""Pictures of depth maps: near is bright, far is dark, one scale per row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

COLOURS = "magma_r"
DIFFERENCE_COLOURS = "viridis"


@dataclass(frozen=True)
class Row:
    """One scene of the comparison.

    Attributes:
        image: H×W×3 uint8.
        depths: title → metres h×w; 0 where unknown.
        difference: |candidate - reference| in metres, h×w.
    """

    image: NDArray[np.uint8]
    depths: dict[str, NDArray[np.float32]]
    difference: NDArray[np.float32]


def save_comparison(rows: Sequence[Row], difference_title: str, path: Path) -> None:
    """Draw image, depth maps and difference of several scenes under one colour bar each for depth and difference."""
    titles = ["image", *rows[0].depths, difference_title]
    far = max(float(depth.max()) for row in rows for depth in row.depths.values())
    largest = max(float(row.difference.max()) for row in rows) or 1e-6
    figure = Figure(figsize=(2.6 * len(titles), 2.05 * len(rows) + 0.9), layout="constrained")
    axes = figure.subplots(len(rows), len(titles), squeeze=False)
    extent = (0, 1, 0, 1)
    for row, line in zip(rows, axes, strict=True):
        aspect = row.image.shape[0] / row.image.shape[1]
        line[0].imshow(row.image, extent=extent, aspect=aspect)
        for axis, depth in zip(line[1:], row.depths.values(), strict=False):
            shown = np.ma.masked_where(depth <= 0, depth)
            depth_picture = axis.imshow(shown, cmap=COLOURS, vmin=0, vmax=far, extent=extent, aspect=aspect)
        difference_picture = line[-1].imshow(row.difference, cmap=DIFFERENCE_COLOURS, vmin=0, vmax=largest, extent=extent, aspect=aspect)
        for axis in line:
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=11)
    figure.colorbar(depth_picture, ax=axes[:, 1:-1], location="bottom", label="depth in metres", shrink=0.6, aspect=50, pad=0.03)
    figure.colorbar(difference_picture, ax=axes[:, -1], location="bottom", label="difference in metres", shrink=0.9, aspect=16, pad=0.03)
    figure.savefig(path, dpi=110)


def colour_map(depth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Depth h×w → h×w×3 uint8, from the 2nd to the 98th percentile of its finite values; not finite is gray."""
    finite = np.isfinite(depth)
    near, far = np.percentile(depth[finite], (2, 98)) if finite.any() else (0.0, 1.0)
    scaled = np.clip((np.where(finite, depth, near) - near) / max(far - near, 1e-6), 0, 1)
    colours = (matplotlib.colormaps[COLOURS](scaled)[..., :3] * 255).astype(np.uint8)
    colours[~finite] = 128
    return colours


def save_side_by_side(image: NDArray[np.uint8], depth: NDArray[np.float32], path: Path) -> None:
    """The image and its colour-mapped depth at the image's size, side by side, as PNG."""
    height, width = image.shape[:2]
    coloured = Image.fromarray(colour_map(depth)).resize((width, height), Image.Resampling.BILINEAR)
    Image.fromarray(np.hstack((image, np.asarray(coloured)))).save(path)
