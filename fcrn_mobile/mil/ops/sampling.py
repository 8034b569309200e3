"""Operators that sample an image at computed places: resample, affine, crop-resize."""

import torch
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape
from fcrn_mobile.mil.ops.operator import Operator
from fcrn_mobile.mil.ops.resize import unbounded_grid
from fcrn_mobile.package.errors import MilError

__all__ = ["BOXES", "OPERATORS", "affine", "crop_resize", "resample"]

#: How a box is written, in the order of ``NeuralNetwork.proto``.
BOXES = ("CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST")
_PADDINGS = ("constant", "border", "reflection", "symmetric")


def resample(
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Tensor | float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """X N×C×H×W sampled at coordinates N×h×w×2 of (x, y) → N×C×h×w.

    Outside, ``constant`` is the padding value, ``border`` the edge pixel, ``reflection`` mirrors at the edge pixel's centre and
    ``symmetric`` at its outer edge.
    """
    height, width = x.shape[-2:]
    columns = _pixels(coordinates[..., 0].float(), width, coordinates_mode, align_corners)
    rows = _pixels(coordinates[..., 1].float(), height, coordinates_mode, align_corners)
    if sampling_mode == "nearest":
        # A half goes to the pixel behind, as Core ML's answers in coremltools' tests have it (iOS15/test_image_resizing.py).
        return _take(x, (rows + 0.5).floor(), (columns + 0.5).floor(), padding_mode, float(padding_value))
    if sampling_mode != "bilinear":
        raise MilError(f"sampling mode '{sampling_mode}' is not one of bilinear, nearest")
    return _interpolate(x, rows, columns, padding_mode, float(padding_value))


def affine(
    x: Tensor,
    transform_matrix: Tensor,
    output_height: Tensor,
    output_width: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: Tensor | float,
    coordinates_mode: str,
    align_corners: bool,
) -> Tensor:
    """X N×C×H×W at (a₀x + a₁y + a₂, b₀x + b₁y + b₂) for every output point (x, y), both in -1..1 → N×C×height×width."""
    height, width = int(output_height), int(output_width)
    y, x_axis = (_centred(count, align_corners) for count in (height, width))
    points = torch.stack((x_axis.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)), dim=-1)
    matrix = transform_matrix.reshape(-1, 2, 3).expand(x.shape[0], 2, 3)
    coordinates = torch.einsum("hwk,nck->nhwc", points, matrix)
    return resample(x, coordinates, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners)


def crop_resize(
    x: Tensor,
    boxes: Tensor | None = None,
    box_indices: Tensor | None = None,
    roi: Tensor | None = None,
    target_height: Tensor | int = 1,
    target_width: Tensor | int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: Tensor | float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: Tensor | float = 0.0,
) -> Tensor:
    """Boxes of images N×C×H×W, resized bilinearly; points outside the image are ``pad_value``.

    A box from ``start`` to ``end`` is sampled as an axis of end - start + 1 pixels is by ``resize_bilinear``. Up to iOS 16, ``roi``
    K×1×4×1×1 cuts every image (→ K×N×C×h×w), K×1×5×1×1 names the image first (→ K×1×C×h×w); from iOS 17 on, ``boxes`` K×4 and
    ``box_indices`` K (→ K×C×h×w; box k cuts image k if none are given).
    """
    if roi is not None:
        flat = roi.reshape(roi.shape[0], -1)
        corners, images = flat[:, -4:], flat[:, 0].to(torch.int64) if flat.shape[1] == 5 else None
    else:
        assert boxes is not None
        corners = boxes.float()
        images = torch.arange(len(corners)) if box_indices is None else box_indices.reshape(-1).to(torch.int64)
    size = (int(target_height), int(target_width))
    scale = torch.tensor([x.shape[-2] - 1.0, x.shape[-1] - 1.0]) if normalized_coordinates else torch.ones(2)
    starts, ends = _corners(corners, box_coordinate_mode)
    scale = scale * float(spatial_scale)
    patches = []
    for index, (start, end) in enumerate(zip((starts * scale).tolist(), (ends * scale).tolist(), strict=True)):
        source = x if images is None else x[images[index]].unsqueeze(0)
        rows, columns = (_box_points(sampling_mode, start[axis], end[axis], size[axis]) for axis in (0, 1))
        patches.append(_crop(source, rows, columns, float(pad_value)))
    result = torch.stack(patches)  # K×(N or 1)×C×h×w
    return result if roi is not None else result.squeeze(1)


def _box_points(mode: str, start: float, end: float, out: int) -> Tensor:
    span = end - start  # negative if the box runs backwards
    return (unbounded_grid(mode, span + 1, out).clamp(min(0.0, span), max(0.0, span)) + start).float()


def _crop(x: Tensor, rows: Tensor, columns: Tensor, pad_value: float) -> Tensor:
    """X N×C×H×W at all pairs of float rows and columns; a point outside the image is the padding value, not a mixture with it."""
    height, width = x.shape[-2:]
    inside = ((rows >= 0) & (rows <= height - 1))[:, None] & (columns >= 0) & (columns <= width - 1)
    grid_rows, grid_columns = torch.meshgrid(rows, columns, indexing="ij")
    batch = (x.shape[0], *grid_rows.shape)
    values = _interpolate(x, grid_rows.expand(batch), grid_columns.expand(batch), "border", 0.0)
    return torch.where(inside, values, torch.tensor(pad_value, dtype=x.dtype))


def _interpolate(x: Tensor, rows: Tensor, columns: Tensor, padding: str, value: float) -> Tensor:
    """X N×C×H×W at float rows and columns N×h×w → N×C×h×w."""
    top, left = rows.floor(), columns.floor()
    down, right = (rows - top).unsqueeze(1), (columns - left).unsqueeze(1)
    corners = [[_take(x, top + i, left + j, padding, value) for j in (0, 1)] for i in (0, 1)]
    upper, lower = (_mixed(row[0], row[1], right) for row in corners)
    return _mixed(upper, lower, down)


def _mixed(near: Tensor, far: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of two neighbours; without weight the far one, infinite padding perhaps, does not count: 0·∞ is NaN."""
    return torch.where(weight == 0, near, (1 - weight) * near + weight * far)


def _take(x: Tensor, rows: Tensor, columns: Tensor, padding: str, value: float) -> Tensor:
    """Pixels of x N×C×H×W at whole rows and columns N×h×w, inside or outside of it."""
    height, width = x.shape[-2:]
    r, c = _folded(rows, height, padding), _folded(columns, width, padding)
    batch = torch.arange(x.shape[0]).reshape(-1, 1, 1)
    taken = x[batch, :, r, c].permute(0, 3, 1, 2)  # N×C×h×w
    if padding != "constant":
        return taken
    outside = (rows < 0) | (rows > height - 1) | (columns < 0) | (columns > width - 1)
    return torch.where(outside.unsqueeze(1), torch.tensor(value, dtype=x.dtype), taken)


def _folded(positions: Tensor, length: int, padding: str) -> Tensor:
    """Whole positions brought inside 0..length-1."""
    if padding not in _PADDINGS:
        raise MilError(f"padding mode '{padding}' is not one of {', '.join(_PADDINGS)}")
    # Not finite, or beyond int64's reach: no pixel is meant; hold it where the cast is defined.
    index = positions.nan_to_num(0.0).clamp(-(2.0**31), 2.0**31).to(torch.int64)
    if padding == "reflection" and length > 1:
        period = 2 * (length - 1)
        index = index.remainder(period)
        return torch.minimum(index, period - index)
    if padding == "symmetric":
        index = index.remainder(2 * length)
        return torch.minimum(index, 2 * length - 1 - index)
    return index.clamp(0, length - 1)


def _pixels(values: Tensor, length: int, mode: str, align_corners: bool) -> Tensor:
    """Coordinates in a mode's unit → pixels, 0 at the centre of the first one."""
    if mode == "unnormalized":
        return values
    if mode == "normalized_minus_one_to_one":
        values = (values + 1) / 2
    elif mode != "normalized_zero_to_one":
        raise MilError(f"coordinates mode '{mode}' is not one of unnormalized, normalized_minus_one_to_one, normalized_zero_to_one")
    return values * (length - 1) if align_corners else values * length - 0.5


def _centred(count: int, align_corners: bool) -> Tensor:
    """Output points of an axis in -1..1."""
    points = torch.arange(count, dtype=torch.float32)
    if align_corners:
        return points * (2 / (count - 1)) - 1 if count > 1 else torch.zeros(1)
    return (2 * points + 1) / count - 1


def _corners(boxes: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """K×2 starts and ends of (height, width)."""
    if mode not in BOXES:
        raise MilError(f"box coordinate mode '{mode}' is not one of {', '.join(BOXES)}")
    first, second = boxes[:, :2], boxes[:, 2:]
    if mode.endswith("WIDTH_FIRST"):
        first, second = first.flip(1), second.flip(1)
    return (first - second / 2, first + second / 2) if mode.startswith("CENTER") else (first, second)


def _affine_shape(declared: Declared) -> Shape:
    return (*declared.shape("x")[:2], int(declared.number("output_height", 1)), int(declared.number("output_width", 1)))


def _crop_resize_shape(declared: Declared) -> Shape:
    boxes = declared.shape("roi") or declared.shape("boxes")
    return (*boxes[:1], *declared.shape("x")[-3:-2], int(declared.number("target_height", 1)), int(declared.number("target_width", 1)))


OPERATORS = {
    "affine": Operator(affine, "computed", grows=_affine_shape),
    "crop_resize": Operator(crop_resize, "computed", grows=_crop_resize_shape),
    "resample": Operator(resample, "computed"),
}
