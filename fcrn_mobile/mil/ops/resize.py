"""Resizing by separable interpolation on the grids that Core ML documents (MIL ``resize_bilinear``, iOS 15)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.arguments import ints
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.package.errors import MilError

__all__ = [
    "GRIDS",
    "OPERATORS",
    "grid",
    "linear",
    "resize",
    "resize_bilinear",
    "resize_nearest_neighbor",
    "unbounded_grid",
    "upsample_bilinear",
    "upsample_nearest_neighbor",
]

#: Sampling mode → positions of ``out`` points on an axis of ``size`` pixels, before they are held inside it.
_Grid = Callable[[Tensor, float, int], Tensor]


def _strict_align_corners(points: Tensor, size: float, out: int) -> Tensor:
    return points * ((size - 1) / (out - 1)) if out > 1 else points


def _align_corners(points: Tensor, size: float, out: int) -> Tensor:
    return _strict_align_corners(points, size, out) if out > 1 else points + (size - 1) / 2


def _offset_corners(points: Tensor, size: float, out: int) -> Tensor:
    delta = max(1, size - 1) / out
    return points * delta + 0.5 * delta


GRIDS: dict[str, _Grid] = {
    "STRICT_ALIGN_CORNERS": _strict_align_corners,
    "ALIGN_CORNERS": _align_corners,
    # (size - size/out) / (out - 1) is size/out.
    "DEFAULT": lambda points, size, out: points * (size / out),
    "OFFSET_CORNERS": _offset_corners,
    "UNALIGN_CORNERS": lambda points, size, out: (points + 0.5) * (size / out) - 0.5,
}


def grid(mode: str, size: int, out: int) -> Tensor:
    """Positions, in pixels from 0 to size - 1, at which ``out`` points sample an axis of ``size`` pixels.

    Raises:
        MilError: unknown mode.
    """
    return unbounded_grid(mode, size, out).clamp(0, size - 1)


def unbounded_grid(mode: str, size: float, out: int) -> Tensor:
    """The same before they are held inside the axis, whose size may be a fraction, as a box's is.

    Raises:
        MilError: unknown mode.
    """
    if mode not in GRIDS:
        raise MilError(f"sampling mode '{mode}' is not one of {', '.join(GRIDS)}")
    return GRIDS[mode](torch.arange(out, dtype=torch.float64), size, out)


def linear(x: Tensor, axis: int, positions: Tensor) -> Tensor:
    """Linear interpolation along one axis at float positions inside it."""
    low = positions.floor().to(torch.int64)
    high = (low + 1).clamp_max(x.shape[axis] - 1)
    weight = (positions - low).to(x.dtype).reshape([-1 if a == axis % x.dim() else 1 for a in range(x.dim())])
    return torch.lerp(x.index_select(axis, low), x.index_select(axis, high), weight)


def resize_bilinear(
    x: Tensor, target_size_height: Tensor | int = 1, target_size_width: Tensor | int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    """The last two axes at another size, bilinearly on the grid of a sampling mode."""
    return _bilinear(x, [int(target_size_height), int(target_size_width)], sampling_mode)


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: Tensor | float = 1,
    scale_factor_width: Tensor | float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """The last two axes at ⌊length·factor⌋; the spacing follows from the sizes, not from the factor."""
    half_pixels = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half_pixels:
        raise MilError("align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS" if half_pixels else "DEFAULT"
    return _bilinear(x, _scaled(x, scale_factor_height, scale_factor_width), mode)


def resize_nearest_neighbor(x: Tensor, target_size_height: Tensor, target_size_width: Tensor) -> Tensor:
    """The last two axes at another size; point i takes the pixel that its centre lies in, ⌊(i + ½)·size/out⌋.

    coremltools converts TensorFlow's nearest neighbours of half-pixel centres to it, and those without to ``upsample_nearest_neighbor``.
    """
    return _nearest(x, [int(target_size_height), int(target_size_width)], _pixels_of_centres)


def upsample_nearest_neighbor(x: Tensor, scale_factor_height: Tensor | float = 1, scale_factor_width: Tensor | float = 1) -> Tensor:
    """The last two axes at ⌊length·factor⌋; point i takes pixel ⌊i·size/out⌋, which follows from the sizes, not from the factor."""
    return _nearest(x, _scaled(x, scale_factor_height, scale_factor_width), _pixels_of_corners)


def resize(
    x: Tensor,
    shape: Tensor,
    resized_dims: Tensor,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """The last ``resized_dims`` axes at the last lengths of ``shape`` (0 keeps a length), linearly or by the nearest neighbour.

    The nearest neighbour of the ``DEFAULT`` grid is that of ``resize_nearest_neighbor`` (Core ML's answer for 2 → 3 pixels is 0 1 1:
    coremltools, mil/ops/tests/iOS17/test_image_resizing.py); of the other grids, whose points stand at pixel centres, the closest pixel.
    coremltools only ever emits the former.
    """
    count = int(resized_dims)
    lengths = ints(shape)[-count:] if count else []
    for axis, length in zip(range(x.dim() - count, x.dim()), lengths, strict=True):
        if length == 0 or length == x.shape[axis]:
            continue
        if interpolation_mode == "LINEAR":
            x = linear(x, axis, grid(sampling_mode, x.shape[axis], length))
        elif interpolation_mode == "NEAREST_NEIGHBOR":
            x = x.index_select(axis, _nearest_pixels(sampling_mode, x.shape[axis], length))
        else:
            raise MilError(f"interpolation mode '{interpolation_mode}' is not one of LINEAR, NEAREST_NEIGHBOR")
    return x


def _bilinear(x: Tensor, size: list[int], mode: str) -> Tensor:
    # torch has two of the grids, and is faster on them.
    if mode in ("UNALIGN_CORNERS", "STRICT_ALIGN_CORNERS") and x.dim() in (3, 4) and x.is_floating_point():
        batched = x if x.dim() == 4 else x.unsqueeze(0)
        out = F.interpolate(batched, size=size, mode="bilinear", align_corners=mode == "STRICT_ALIGN_CORNERS")
        return out if x.dim() == 4 else out.squeeze(0)
    for axis, length in zip((-2, -1), size, strict=True):
        x = linear(x, axis, grid(mode, x.shape[axis], length))
    return x


def _nearest(x: Tensor, size: list[int], pixels: Callable[[int, int], Tensor]) -> Tensor:
    whole = all(out % length == 0 for out, length in zip(size, x.shape[-2:], strict=True))
    if whole and x.dim() == 4 and x.is_floating_point():
        return F.interpolate(x, size=size, mode="nearest")
    for axis, out in zip((-2, -1), size, strict=True):
        x = x.index_select(axis, pixels(x.shape[axis], out))
    return x


# In integers: a float spacing would miss by one now and then.
def _pixels_of_corners(size: int, out: int) -> Tensor:
    return torch.arange(out) * size // out


def _pixels_of_centres(size: int, out: int) -> Tensor:
    return (2 * torch.arange(out) + 1) * size // (2 * out)


def _nearest_pixels(mode: str, size: int, out: int) -> Tensor:
    if mode == "DEFAULT":
        return _pixels_of_centres(size, out)
    return (grid(mode, size, out) + 0.5).floor().to(torch.int64).clamp_max(size - 1)


def _scaled(x: Tensor, height: Tensor | float, width: Tensor | float) -> list[int]:
    return [math.floor(x.shape[-2] * float(height)), math.floor(x.shape[-1] * float(width))]


def _upsample_shape(declared: Declared) -> Shape:
    *rest, height, width = (1, 1, *declared.shape("x"))
    return (*rest, int(height * declared.number("scale_factor_height", 1)), int(width * declared.number("scale_factor_width", 1)))


def _resize_shape(declared: Declared) -> Shape:
    *rest, height, width = (1, 1, *declared.shape("x"))
    if sizes := declared.numbers("shape"):
        return (*rest, int(sizes[-2]) if len(sizes) > 1 else height, int(sizes[-1]))
    return (*rest, int(declared.number("target_size_height", height)), int(declared.number("target_size_width", width)))


OPERATORS = {
    "resize": Operator(resize, "scaled", grows=_resize_shape, channelwise=True, since=7),
    "resize_bilinear": Operator(resize_bilinear, "scaled", grows=_resize_shape, channelwise=True),
    "resize_nearest_neighbor": Operator(resize_nearest_neighbor, "moved", grows=_resize_shape, channelwise=True),
    "upsample_bilinear": Operator(upsample_bilinear, "scaled", grows=_upsample_shape, channelwise=True, spans=True),
    "upsample_nearest_neighbor": Operator(upsample_nearest_neighbor, "moved", grows=_upsample_shape, channelwise=True),
}
