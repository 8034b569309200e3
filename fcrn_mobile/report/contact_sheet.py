"""Frames of a source on one sheet: each picture above its depth."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from fcrn_mobile.data.source import Sample, valid_pixels
from fcrn_mobile.report.figures import coloured

__all__ = ["save_contact_sheet"]

#: Pixels across a frame, and frames across the sheet.
_WIDTH, _COLUMNS = 240, 4


def save_contact_sheet(samples: Sequence[Sample], path: Path) -> None:
    """Write a PNG; depth from the nearest to the farthest of all in one colour scale, pixels without depth gray.

    Args:
        samples: at least one, with depth or without.
        path: of the file.
    """
    valid = np.concatenate([sample.depth[valid_pixels(sample.depth)] for sample in samples])
    near, far = np.percentile(valid, (0.5, 99.5)) if valid.size else (0.0, 1.0)
    height = max(round(_WIDTH * sample.image.shape[0] / sample.image.shape[1]) for sample in samples)
    rows = -(-len(samples) // _COLUMNS)
    sheet = Image.new("RGB", (_WIDTH * min(len(samples), _COLUMNS), 2 * height * rows), "white")
    for number, sample in enumerate(samples):
        left, top = _WIDTH * (number % _COLUMNS), 2 * height * (number // _COLUMNS)
        depth = coloured(np.where(valid_pixels(sample.depth), sample.depth, np.nan).astype(np.float32), float(near), float(far))
        for offset, pixels in ((0, sample.image), (height, depth)):
            picture = Image.fromarray(pixels)
            size = (_WIDTH, round(_WIDTH * picture.height / picture.width))
            # Depth is no mean of its neighbours.
            sheet.paste(picture.resize(size, Image.Resampling.NEAREST if offset else Image.Resampling.BILINEAR), (left, top + offset))
    sheet.save(path, format="PNG")
