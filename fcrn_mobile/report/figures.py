"""Pictures of depth maps: near is bright, far is dark, one scale per row."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.palette import DIFFERENCE, depth_colours
from fcrn_mobile.text import printable

__all__ = ["SPARSE", "Row", "colour_map", "coloured", "save_comparison", "save_panel", "save_side_by_side"]

#: Share of known pixels below which each becomes a dot: single pixels of LiDAR would vanish when the picture is scaled down.
SPARSE = 0.25


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
            depth_picture = axis.imshow(shown, cmap=depth_colours(), vmin=0, vmax=far, extent=extent, aspect=aspect)
        difference_picture = line[-1].imshow(row.difference, cmap=DIFFERENCE, vmin=0, vmax=largest, extent=extent, aspect=aspect)
        for axis in line:
            axis.set_axis_off()
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=11)
    figure.colorbar(depth_picture, ax=axes[:, :-1], location="bottom", label="depth in metres", shrink=0.6, aspect=50, pad=0.03)
    figure.colorbar(difference_picture, ax=axes[:, -1], location="bottom", label="difference in metres", shrink=0.9, aspect=16, pad=0.03)
    figure.savefig(path, dpi=110)


def save_panel(
    image: NDArray[np.uint8], true: NDArray[np.float32], predicted: NDArray[np.float32], counted: NDArray[np.bool_], title: str, path: Path
) -> None:
    """Image, true depth, prediction and |difference| of one scene, all three in metres under one colour bar.

    Args:
        image: H×W×3 uint8.
        true: H×W metres; gray where not finite or not positive.
        predicted: H×W metres, aligned as the metrics saw it; gray where not finite.
        counted: H×W, where the metrics looked; elsewhere the difference is gray.
        title: above all of it, taken literally.
        path: of the picture; its suffix names the format.
    """
    mask = valid_pixels(true)
    finite = np.isfinite(predicted)
    maps = {
        "true depth": np.ma.masked_where(~mask, true),
        "predicted depth": np.ma.masked_where(~finite, predicted),
        "|difference| where it counts": np.ma.masked_where(~(counted & finite), np.abs(predicted - np.where(mask, true, 0))),
    }
    # The range of what counts: one stray pixel, or a capped prediction off the crop, must not darken the rest.
    far = max(float(true[counted].max()), float(predicted[counted & finite].max(initial=0.0)))
    height, width = true.shape
    # Driving scenes are so wide that four in a row would be mere strips.
    columns = 4 if width < 2 * height else 2
    side = 12.4 / columns
    figure = Figure(figsize=(13.2, 4 // columns * (side * height / width + 0.3) + 0.5), layout="constrained")
    axes = figure.subplots(4 // columns, columns).ravel()
    axes[0].imshow(image)
    axes[0].set_title("image", fontsize=11)
    for axis, (name, values) in zip(axes[1:], maps.items(), strict=True):
        picture = axis.imshow(values, cmap=depth_colours(), vmin=0, vmax=far, interpolation="nearest")
        axis.set_title(name, fontsize=11)
        if values.count() < SPARSE * values.size:
            rows, places = np.nonzero(~np.ma.getmaskarray(values))
            axis.scatter(places, rows, c=values[rows, places], cmap=depth_colours(), vmin=0, vmax=far, s=2.5, linewidths=0)
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(printable(title), fontsize=12, parse_math=False)
    bar = figure.colorbar(picture, ax=axes, location="right", aspect=22, pad=0.01)
    bar.set_label("metres (gray: not counted)", fontsize=9)
    figure.savefig(path, dpi=110)


def colour_map(depth: NDArray[np.float32], inverse: bool = False) -> NDArray[np.uint8]:
    """Depth h×w, or inverse depth → h×w×3 uint8, from the 2nd to the 98th percentile of its finite values; not finite is gray."""
    finite = depth[np.isfinite(depth)]
    near, far = np.percentile(finite, (98, 2) if inverse else (2, 98)) if finite.size else (0.0, 1.0)
    return coloured(depth, float(near), float(far))


def coloured(depth: NDArray[np.float32], near: float, far: float) -> NDArray[np.uint8]:
    """Depth h×w → h×w×3 uint8, the map spanning two depths, or two inverse depths, of which ``near`` is larger; not finite is gray."""
    finite = np.isfinite(depth)
    span = far - near if abs(far - near) > 1e-6 else 1e-6
    scaled = np.clip((np.where(finite, depth, near) - near) / span, 0, 1)
    colours: NDArray[np.uint8] = depth_colours()(np.ma.masked_where(~finite, scaled), bytes=True)[..., :3]
    return colours


def save_side_by_side(image: NDArray[np.uint8], depth: NDArray[np.float32], path: Path, inverse: bool = False) -> None:
    """The image and its colour-mapped depth, or inverse depth, at the image's size, side by side, as PNG."""
    height, width = image.shape[:2]
    picture = Image.fromarray(colour_map(depth, inverse)).resize((width, height), Image.Resampling.BILINEAR)
    Image.fromarray(np.hstack((image, np.asarray(picture)))).save(path)
