"""Where training starts."""

import numpy as np

from fcrn_mobile.data.source import Source, evenly, valid_pixels

__all__ = ["mean_depth"]

#: Looked at of a source.
_FRAMES = 100


def mean_depth(source: Source) -> float:
    """Mean valid depth of some frames spread over a source, in metres; 1 if none has any.

    Training that starts at 0 m may stay there: a logarithm's clamp has no gradient.
    """
    depths = [depth[valid_pixels(depth)] for depth in (source[index].depth for index in evenly(len(source), _FRAMES))]
    values = np.concatenate(depths)
    return float(values.mean(dtype=np.float64)) if len(values) else 1.0
