"""Layers that change the height and width of maps: borders, crops, interpolation."""

from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.layers.convolution import amounts, pair
from fcrn_mobile.mil.neural_network.tensor import Tensor, paired
from fcrn_mobile.mil.ops.sampling import BOXES
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "crop", "crop_resize", "padding", "resize_bilinear", "upsample"]

_MODES = {"constant": "constant", "reflection": "reflect", "replication": "replicate"}
#: ``SamplingMode`` by number → MIL's names.
_SAMPLING = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS")
#: ``LinearUpsampleMode`` by number → whether corners are aligned, whether pixels are sampled at their centres.
_LINEAR = ((False, False), (True, False), (False, True))


def padding(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Lines around a map: a number, the map's mirror image, or its border."""
    (x,), kind = inputs, params.WhichOneof("PaddingType") or "constant"
    settings = {"constant_val": params.constant.value} if kind == "constant" else {}
    return net.emit("pad", x=x, pad=amounts(params.paddingAmounts), mode=_MODES[kind], **settings)


def crop(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Lines cut off; with a second tensor what is left has its height and width and begins at ``offset``."""
    x, *reference = inputs
    if not reference:
        top, bottom, left, right = amounts(params.cropAmounts)
        return net.emit("crop", x=x, crop_height=[top, bottom], crop_width=[left, right])
    (other,) = reference
    begin = [0] * (x.rank - 2) + pair(params.offset, 0)
    if -1 not in other.shape[-2:]:
        return net.emit("slice_by_size", x=x, begin=begin, size=[-1] * (x.rank - 2) + list(other.shape[-2:]))
    size = net.emit("slice_by_index", x=net.emit("shape", x=other), begin=[other.rank - 2], end=[other.rank])
    rest = net.known(np.full(x.rank - 2, -1))
    sizes = net.emit("concat", values=[rest, size], axis=0)
    probes = paired(lambda whole, part: (*whole[:-2], *part[-2:]), x, other)
    return net.emit("slice_by_size", probes, x=x, begin=begin, size=sizes)


def upsample(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Whole or fractional factors, by the nearest pixel or linearly."""
    (x,) = inputs
    if len(params.fractionalScalingFactor) not in (0, 2):
        raise MilError(f"it has {len(params.fractionalScalingFactor)} factors where it takes a height's and a width's")
    height, width = [float(factor) for factor in params.fractionalScalingFactor or pair(params.scalingFactor, 1)]
    factors = {"scale_factor_height": height, "scale_factor_width": width}
    if params.mode == params.NN:
        return net.like(x, net.emit("upsample_nearest_neighbor", x=net.images(x), **factors))
    align, half = _LINEAR[params.linearUpsampleMode]
    return net.like(x, net.emit("upsample_bilinear", x=net.images(x), align_corners=align, half_pixel_centers=half, **factors))


def resize_bilinear(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A height and a width, on the grid of a sampling mode."""
    (x,) = inputs
    height, width = pair(params.targetSize, 1)
    mode = _SAMPLING[params.mode.samplingMethod]
    sizes = {"target_size_height": height, "target_size_width": width}
    return net.like(x, net.emit("resize_bilinear", x=net.images(x), sampling_mode=mode, **sizes))


def crop_resize(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Boxes N×1×4×1×1 of every image of the batch, or N×1×5×1×1 whose first number is the image's.

    Raises:
        MilError: boxes of every image, of a batch of several.
    """
    x, boxes = inputs
    height, width = pair(params.targetSize, 1)
    images = net.images(x)
    numbers = boxes.shape[-3]
    if numbers not in (4, 5) or (numbers == 4 and images.shape[0] != 1):
        raise MilError(f"its boxes are {by(boxes.shape)} for a batch of {images.shape[0]}: boxes of 4 numbers take one image")
    shape = {"target_height": height, "target_width": width, "spatial_scale": params.spatialScale or 1.0}
    modes = {"sampling_mode": _SAMPLING[params.mode.samplingMethod], "box_coordinate_mode": BOXES[params.boxIndicesMode.boxMode]}
    rows = net.reshape(boxes, (-1, 1, numbers, 1, 1))
    probes = paired(lambda each, image: (each[0], 1, image[1], height, width), rows, images)
    patches = net.emit(
        "crop_resize", probes, x=images, roi=rows, normalized_coordinates=bool(params.normalizedCoordinates), **shape, **modes
    )
    return net.emit("squeeze", x=patches, axes=[1]) if net.compact else patches


LAYERS = {
    "padding": Layer(padding),
    "crop": Layer(crop, 1, 2),
    "upsample": Layer(upsample),
    "resizeBilinear": Layer(resize_bilinear),
    "cropResize": Layer(crop_resize, 2, 2),
}
