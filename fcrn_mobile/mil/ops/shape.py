"""Operators that move values without changing them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.errors import MilError
from fcrn_mobile.mil.ops.arguments import Operator, ints

_PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "replicate"}


def concat(values: tuple[Tensor, ...], axis: Tensor | int, interleave: bool = False) -> Tensor:
    """Join along an axis; interleaved, the k-th slices of all tensors lie next to one another."""
    if interleave:
        stacked = torch.stack(values, dim=int(axis) % values[0].dim() + 1)
        return stacked.flatten(int(axis) % values[0].dim(), int(axis) % values[0].dim() + 1)
    return torch.cat(values, dim=int(axis))


def crop(x: Tensor, crop_height: Tensor, crop_width: Tensor) -> Tensor:
    """Cut lines off the last two axes, as many before and after as the pairs say."""
    (top, bottom), (left, right) = ints(crop_height, 0, 2), ints(crop_width, 0, 2)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    """Insert axes of length 1 at these positions of the result."""
    rank = x.dim() + axes.numel()
    for axis in sorted(a % rank for a in ints(axes, 0, 1)):
        x = x.unsqueeze(axis)
    return x


def pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor | float = 0.0) -> Tensor:
    """Pad the last axes; ``pad`` holds before and after per axis, first axis first."""
    if mode not in _PAD_MODES:
        raise MilError(f"pad mode '{mode}' is not supported: known are {', '.join(_PAD_MODES)}")
    flat = ints(pad, 0, 0)
    pairs = [flat[i : i + 2] for i in range(0, len(flat), 2)]
    while pairs and mode != "constant" and pairs[0] == [0, 0]:
        pairs = pairs[1:]  # torch pads with reflection and replication on spatial axes only
    order = [side for pair in reversed(pairs) for side in pair]
    if mode == "constant":
        return F.pad(x, order, value=float(constant_val))
    return F.pad(x, order, mode=_PAD_MODES[mode])


def pixel_shuffle(x: Tensor, upscale_factor: Tensor) -> Tensor:
    """N×C·r²×H×W → N×C×rH×rW, channel c·r² + r·i + j at offset (i, j)."""
    return F.pixel_shuffle(x, int(upscale_factor))


def reshape(x: Tensor, shape: Tensor) -> Tensor:
    """Another shape; -1 is inferred, 0 keeps the length of that axis."""
    return x.reshape([x.shape[i] if length == 0 else length for i, length in enumerate(ints(shape, 0, 0))])


def split(x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """Equal parts, or parts of the given lengths."""
    if split_sizes is not None:
        return torch.split(x, ints(split_sizes, 0, 0), dim=int(axis))
    assert num_splits is not None
    return torch.chunk(x, int(num_splits), dim=int(axis))


def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of length 1: these, or all."""
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes, 0, 0)))


def stack(values: tuple[Tensor, ...], axis: Tensor | int) -> Tensor:
    """Join along a new axis."""
    return torch.stack(values, dim=int(axis))


def transpose(x: Tensor, perm: Tensor) -> Tensor:
    """Axes in another order."""
    return x.permute(ints(perm, 0, 0))


OPERATORS: dict[str, Operator] = {
    "concat": concat,
    "crop": crop,
    "expand_dims": expand_dims,
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "reshape": reshape,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "transpose": transpose,
}
