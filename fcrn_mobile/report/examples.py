"""One picture of example frames: image, true depth and prediction of each, all depths under one colour bar."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from fcrn_mobile.data.source import valid_pixels
from fcrn_mobile.palette import depth_colours
from fcrn_mobile.report.figures import SPARSE
from fcrn_mobile.runs.examples import Example
from fcrn_mobile.text import printable

__all__ = ["draw_examples"]

_TITLES = ("image", "true depth", "prediction")


def draw_examples(examples: Sequence[Example], title: str) -> NDArray[np.uint8]:
    """Draw a row per example; the colours reach from 0 to the farthest true depth, so that pictures of several epochs compare.

    Args:
        examples: at least one.
        title: above all of it, taken literally.

    Returns:
        H×W×3 uint8.
    """
    depths = [example.true[np.isfinite(example.true)] for example in examples]
    far = max(float(depth.max(initial=0.0)) for depth in depths) or 1.0
    shape = max((example.true.shape for example in examples), key=lambda size: size[0] / size[1])
    figure = Figure(figsize=(3 * 2.6 + 0.9, len(examples) * 2.6 * shape[0] / shape[1] + 0.7), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(len(examples), len(_TITLES), squeeze=False)
    for example, line in zip(examples, axes, strict=True):
        line[0].imshow(example.image)
        _show(line[1], np.ma.masked_where(~valid_pixels(example.true), example.true), far)
        picture = _show(line[2], np.ma.masked_where(~np.isfinite(example.predicted), example.predicted), far)
        # The network sees the whole frame, whatever its size.
        height, width = example.true.shape
        picture.set_extent((-0.5, width - 0.5, height - 0.5, -0.5))
        for axis in line:
            axis.set_axis_off()
    for axis, name in zip(axes[0], _TITLES, strict=True):
        axis.set_title(name, fontsize=10)
    figure.suptitle(printable(title), fontsize=11, parse_math=False)
    bar = figure.colorbar(picture, ax=axes, location="right", aspect=22, pad=0.01)
    bar.set_label("metres (gray: unknown)", fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _show(axis: Axes, depth: np.ma.MaskedArray, far: float) -> AxesImage:
    if 0 < depth.count() < SPARSE * depth.size:
        rows, places = np.nonzero(~np.ma.getmaskarray(depth))
        axis.scatter(places, rows, c=depth[rows, places], cmap=depth_colours(), vmin=0, vmax=far, s=1.5, linewidths=0)
    return axis.imshow(depth, cmap=depth_colours(), vmin=0, vmax=far, interpolation="nearest")
