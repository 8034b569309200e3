"""Kinds of layers: one table from the name in the specification to its record, grouped in files by family."""

from fcrn_mobile.mil.neural_network.layer import Layer
from fcrn_mobile.mil.neural_network.layers import (
    activation,
    control,
    convolution,
    elementwise,
    layout,
    nd_elementwise,
    nd_filling,
    nd_indexing,
    nd_layout,
    nd_linear,
    normalization,
    pooling,
    recurrent,
    resizing,
    volumes,
)

__all__ = ["LAYERS", "REFUSED"]

_FAMILIES = (
    *(activation, control, convolution, elementwise, layout, normalization, pooling, resizing),
    *(nd_elementwise, nd_filling, nd_indexing, nd_layout, nd_linear, recurrent, volumes),
)

LAYERS: dict[str, Layer] = {kind: layer for family in _FAMILIES for kind, layer in family.LAYERS.items()}

#: Kinds that no translation can be had for → why.
REFUSED = {"custom": "its code is the app's own and not in the file"}
