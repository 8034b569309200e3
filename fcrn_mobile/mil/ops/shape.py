"""Operators that move values without changing them."""

import math
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fcrn_mobile.mil.declared import Declared, Shape, padded
from fcrn_mobile.mil.ops.arguments import channels_last, ints, torch_pads
from fcrn_mobile.mil.ops.operator import IOS17_SET, Operator
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = [
    "OPERATORS",
    "concat",
    "crop",
    "expand_dims",
    "flatten2d",
    "pad",
    "reshape",
    "reshape_like",
    "split",
    "squeeze",
    "stack",
    "tile",
    "transpose",
]


def concat(values: tuple[Tensor, ...], axis: Tensor | int, interleave: bool = False) -> Tensor:
    """Join along an axis; interleaved, the k-th slices of all tensors lie next to one another. Scalars become a vector."""
    if values[0].dim() == 0:
        return torch.stack(values)
    if interleave:
        stacked = torch.stack(values, dim=int(axis) % values[0].dim() + 1)
        return stacked.flatten(int(axis) % values[0].dim(), int(axis) % values[0].dim() + 1)
    return torch.cat(values, dim=int(axis))


def crop(x: Tensor, crop_height: Tensor, crop_width: Tensor) -> Tensor:
    """Cut lines off the last two axes, as many before and after as the pairs say."""
    (top, bottom), (left, right) = ints(crop_height), ints(crop_width)
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


def expand_dims(x: Tensor, axes: Tensor) -> Tensor:
    """Insert axes of length 1 at these positions of the result."""
    rank = x.dim() + axes.numel()
    for axis in sorted(a % rank for a in ints(axes)):
        x = x.unsqueeze(axis)
    return x


def pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Tensor | float = 0.0) -> Tensor:
    """Pad the last axes; ``pad`` holds before and after per axis, first axis first."""
    flat = ints(pad)
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]
    if mode == "constant":
        return F.pad(x, torch_pads(pairs), value=float(constant_val))
    if mode not in _EDGES:
        raise MilError(f"pad mode '{mode}' is not one of constant, {', '.join(_EDGES)}")
    while pairs and pairs[0] == (0, 0):
        pairs = pairs[1:]
    if x.is_floating_point() and len(pairs) in (x.dim() - 2, x.dim() - 1) and len(pairs) in (1, 2, 3):
        return F.pad(x, torch_pads(pairs), mode=mode)
    for axis, (before, after) in zip(range(x.dim() - len(pairs), x.dim()), pairs, strict=True):
        # torch pads so on the last axes only, behind batch and channels.
        x = x.index_select(axis, _EDGES[mode](torch.arange(-before, x.shape[axis] + after), x.shape[axis]))
    return x


def _reflected(positions: Tensor, length: int) -> Tensor:
    positions = positions.abs()
    return torch.where(positions < length, positions, 2 * (length - 1) - positions)


#: Pad mode → where a position outside the axis reads.
_EDGES: dict[str, Callable[[Tensor, int], Tensor]] = {
    "reflect": _reflected,
    "replicate": lambda positions, length: positions.clamp(0, length - 1),
}


def reshape(x: Tensor, shape: Tensor, opset: int = IOS17_SET - 1) -> Tensor:
    """Another shape; -1 is inferred, 0 keeps the length of that axis: counted from the right from iOS 17 on, 1 where x has none."""
    lengths = ints(shape)
    sizes = tuple(x.shape)
    if opset >= IOS17_SET:
        sizes = (1,) * (len(lengths) - x.dim()) + sizes[max(x.dim() - len(lengths), 0) :]
    return x.reshape([sizes[axis] if length == 0 else length for axis, length in enumerate(lengths)])


def split(x: Tensor, axis: Tensor, num_splits: Tensor | None = None, split_sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """Equal parts, or parts of the given lengths."""
    if split_sizes is not None:
        return torch.split(x, ints(split_sizes), dim=int(axis))
    assert num_splits is not None
    return torch.tensor_split(x, int(num_splits), dim=int(axis))


def flatten2d(x: Tensor, axis: Tensor | int = 1) -> Tensor:
    """Two axes: all before ``axis``, and all from it on."""
    along = int(axis) + (x.dim() if int(axis) < 0 else 0)
    return x.reshape(math.prod(x.shape[:along]), math.prod(x.shape[along:]))


def reshape_like(
    x: Tensor, ref_tensors: tuple[Tensor, ...], begins: tuple[Tensor, ...], ends: tuple[Tensor, ...], end_masks: tuple[bool, ...]
) -> Tensor:
    """The shape that slices of the references' shapes spell; a masked end is open."""
    shape: list[int] = []
    for reference, begin, end, is_open in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape += reference.shape[int(begin) : None if bool(is_open) else int(end)]
    return x.reshape(shape)


def tile(x: Tensor, reps: Tensor) -> Tensor:
    """Repeat the whole, so many times along each axis."""
    return x.repeat(ints(reps))


def squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Drop axes of length 1: these, or all."""
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def stack(values: tuple[Tensor, ...], axis: Tensor | int) -> Tensor:
    """Join along a new axis."""
    along = int(axis) % (values[0].dim() + 1)
    if along == 2 and all(channels_last(value) for value in values):
        # Channels and the new axis innermost: merging the two, as a following reshape does, then moves nothing.
        n, channels, height, width = values[0].shape
        out = values[0].new_empty(n, height, width, channels, len(values)).permute(0, 3, 4, 1, 2)  # N×C×K×H×W
        return torch.stack(values, dim=2, out=out)
    return torch.stack(values, dim=along)


def transpose(x: Tensor, perm: Tensor) -> Tensor:
    """Axes in another order."""
    return x.permute(ints(perm))


def _joined(declared: Declared) -> Shape:
    return (sum(math.prod(shape) for shape in declared.shapes("values")),)


def _stack_refusal(constant: Callable[[str], Any], shapes: Callable[[str], list[Shape]]) -> str | None:
    """What is stacked has to have one shape at the default sizes of the inputs already (coremltools, test_stack_dynamic_range_dim)."""
    fixed = {shape for shape in shapes("values") if -1 not in shape}
    if len(fixed) < 2:
        return None
    listed = " and ".join(by(shape) for shape in sorted(fixed))
    return f"stacks {listed} where the inputs have their default sizes, which Core ML does not load: give their ranges the same default"


def _pad_refusal(constant: Callable[[str], Any], shapes: Callable[[str], list[Shape]]) -> str | None:
    """Padding of other axes than the last two has to be constant (coremltools #2571, #2576, #2701)."""
    mode, pads = constant("mode"), constant("pad")
    if mode in (None, "constant") or not isinstance(pads, Tensor) or not pads.reshape(-1)[:-4].any():
        return None
    return (
        f"pads axes before the last two by '{mode}', which Core ML can with constants only (coremltools #2571, #2576): "
        "move the axis to the end with a transpose before padding, and back"
    )


OPERATORS = {
    "concat": Operator(concat, "moved", grows=_joined, lists=("values",)),
    "crop": Operator(crop, "moved"),
    "expand_dims": Operator(
        expand_dims, "moved", grows=lambda declared: (*declared.shape("x"), *(1 for _ in declared.lengths("axes"))), free=True
    ),
    "flatten2d": Operator(flatten2d, "moved", free=True),
    "pad": Operator(pad, "exact", grows=padded, refusal=_pad_refusal, spans=True),
    "reshape": Operator(reshape, "moved", grows=lambda declared: tuple(1 for _ in declared.lengths("shape")), versioned=True, free=True),
    "reshape_like": Operator(reshape_like, "moved", lists=("begins", "end_masks", "ends", "ref_tensors"), free=True, since=6),
    "split": Operator(split, "moved"),
    "squeeze": Operator(squeeze, "moved", free=True),
    "stack": Operator(stack, "moved", grows=_joined, lists=("values",), refusal=_stack_refusal),
    "tile": Operator(
        tile,
        "moved",
        grows=lambda declared: tuple(a * b for a, b in zip_longest(declared.shape("x"), declared.lengths("reps"), fillvalue=1)),
    ),
    "transpose": Operator(transpose, "moved"),
}
