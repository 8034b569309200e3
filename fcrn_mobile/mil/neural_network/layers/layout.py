"""Layers of version 1 that move elements: other shapes, other orders of axes, parts and joins."""

from typing import Any

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, product
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.package.errors import MilError

__all__ = ["LAYERS", "concat", "flatten", "permute", "reduction", "reorganize", "reshape", "sequence_repeat", "slices", "split"]

_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
#: ``ReorganizationType`` by number → MIL's operator and what it calls the block's size.
_SPACE = (("space_to_depth", "block_size"), ("depth_to_space", "block_size"), ("pixel_shuffle", "upscale_factor"))
#: ``ReduceAxis`` by number.
_AXES = ([-3, -2, -1], [-2, -1], [-3], [-2], [-1])
_REDUCTIONS = {
    "SUM": "reduce_sum",
    "AVG": "reduce_mean",
    "PROD": "reduce_prod",
    "LOGSUM": "reduce_sum",
    "SUMSQUARE": "reduce_sum_square",
    "L1": "reduce_l1_norm",
    "L2": "reduce_l2_norm",
    "MAX": "reduce_max",
    "MIN": "reduce_min",
    "ARGMAX": "reduce_argmax",
}


def flatten(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """All elements of an image as channels, in the order of channels or with the channels last."""
    (x,) = inputs
    images = net.images(x)
    if params.mode == params.CHANNEL_LAST:
        images = net.emit("transpose", x=images, perm=_LAST)
    return net.reshape(images, (*x.shape[:-3], product(images.shape[1:]), 1, 1))


def reshape(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """C×H×W, or with the sequence's length in front; the elements in the order of channels or with the channels last."""
    (x,) = inputs
    target = tuple(int(length) for length in params.targetShape)
    if len(target) not in (3, 4):
        raise MilError(f"its target {by(target)} has {len(target)} lengths where it takes 3 or 4")
    images = net.images(x)
    number = target[0] if len(target) == 4 else images.shape[0]
    channels, height, width = target[-3:]
    if params.mode == params.CHANNEL_LAST:
        rows = net.emit("transpose", x=images, perm=_LAST)
        result = net.emit("transpose", x=net.reshape(rows, (number, height, width, channels)), perm=_FIRST)
    else:
        result = net.reshape(images, (number, channels, height, width))
    return result if x.rank == 4 else net.reshape(result, (number, *(1,) * (x.rank - 4), *result.shape[-3:]))


def permute(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Sequence, channels, height and width in another order; the batch stays where it is."""
    (x,) = inputs
    order = [int(axis) for axis in params.axis] or [0, 1, 2, 3]
    if sorted(order) != [0, 1, 2, 3] or x.rank not in (4, 5):
        raise MilError(f"its axes {order} do not order the axes of {by(x.shape)}")
    if x.rank == 5:
        sequence, *image = ([0, 2, 3, 4][axis] for axis in order)
        return net.emit("transpose", x=x, perm=[sequence, 1, *image])
    if net.batch == 1 or order[0] == 0:
        return net.emit("transpose", x=x, perm=order)
    raise MilError("it moves the sequence of a batch of several, which this runtime cannot translate")


def concat(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Along the channels or the sequence."""
    x, *_ = inputs
    if params.sequenceConcat and not net.compact and x.rank != 5:
        raise MilError(f"it joins sequences, which {by(x.shape)} has none of")
    return net.emit("concat", values=inputs, axis=0 if params.sequenceConcat else -3)


def split(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Equal parts of the channels."""
    (x,), count = inputs, int(params.nOutputs)
    if count < 1 or x.rank < 3 or x.shape[-3] % count:
        raise MilError(f"it splits {by(x.shape)} into {count} parts")
    return net.emit_all("split", x=x, num_splits=count, axis=-3)


def sequence_repeat(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The whole sequence again and again."""
    (x,) = inputs
    if not net.compact and x.rank != 5:
        raise MilError(f"it repeats a sequence, which {by(x.shape)} has none of")
    return net.emit("tile", x=x, reps=[int(params.nRepetitions) or 1] + [1] * (x.rank - 1))


def reorganize(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Blocks of pixels as channels, or channels as blocks of pixels."""
    (x,) = inputs
    operator, size = _SPACE[params.mode]
    return net.like(x, net.emit(operator, x=net.images(x), **{size: int(params.blockSize)}))


def slices(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A range of channels, rows or columns."""
    (x,) = inputs
    axis = x.rank - 3 + params.axis
    if axis < 0:
        raise MilError(f"it slices an axis that {by(x.shape)} has not")
    begin, end, stride = [0] * x.rank, [0] * x.rank, [1] * x.rank
    begin[axis], end[axis], stride[axis] = int(params.startIndex), int(params.endIndex), int(params.stride) or 1
    everything = [each != axis for each in range(x.rank)]
    return net.emit("slice_by_index", x=x, begin=begin, end=end, stride=stride, begin_mask=everything, end_mask=everything)


def reduction(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """One number in the place of an axis or of a map."""
    (x,), mode, axes = inputs, params.ReduceOperation.Name(params.mode), _AXES[params.axis]
    if mode == "ARGMAX":
        axis, *others = axes
        if others:
            raise MilError("it looks for a place in several axes at once, a channel, a row or a column is what it takes")
        return net.floats(net.emit("reduce_argmax", x=x, axis=axis, keep_dims=True))
    if mode == "LOGSUM":
        x = net.emit("log", x=x, epsilon=params.epsilon or 1e-6)
    return net.emit(_REDUCTIONS[mode], x=x, axes=axes, keep_dims=True)


LAYERS = {
    "flatten": Layer(flatten),
    "reshape": Layer(reshape),
    "permute": Layer(permute),
    "concat": Layer(concat, 1, None),
    "split": Layer(split),
    "sequenceRepeat": Layer(sequence_repeat),
    "reorganizeData": Layer(reorganize),
    "slice": Layer(slices),
    "reduce": Layer(reduction),
}
