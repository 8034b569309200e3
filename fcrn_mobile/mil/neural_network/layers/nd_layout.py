"""Layers of version 4 that move elements: shapes, axes, parts, joins and borders of tensors of any rank."""

from dataclasses import replace
from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, meta, unknown
from fcrn_mobile.mil.neural_network.weights import weight
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.values import LARGEST
from fcrn_mobile.package.errors import MilError

__all__ = [
    "LAYERS",
    "concat",
    "constant_pad",
    "expand_dims",
    "flatten_2d",
    "get_shape",
    "load_constant",
    "reshape_dynamic",
    "reshape_like",
    "reshape_static",
    "reverse",
    "reverse_sequence",
    "slice_by_size",
    "slice_dynamic",
    "slice_static",
    "sliding_windows",
    "split",
    "squeeze",
    "tile",
    "transpose",
]


def concat(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Along an axis; interleaved, the k-th slices of all lie side by side."""
    return net.emit("concat", values=inputs, axis=int(params.axis), interleave=bool(params.interleave))


def split(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Parts of given lengths, or equal ones."""
    (x,), sizes = inputs, [int(size) for size in params.splitSizes]
    settings: dict[str, Any] = {"split_sizes": sizes} if sizes else {"num_splits": int(params.numSplits)}
    return net.emit_all("split", x=x, axis=int(params.axis), **settings)


def get_shape(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The lengths of all axes."""
    (x,) = inputs
    return net.floats(_shape(net, x))


def _shape(net: Network, x: Tensor) -> Tensor:
    """The lengths as whole numbers, known for every probe."""
    if -1 not in x.shape:
        return net.known(np.array(x.shape))
    return replace(net.emit("shape", x=x), values=tuple(np.array(probe.shape, np.int32) for probe in x.probes))


def transpose(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Axes in another order; where fewer are named than there are, the last ones.

    coremltools puts such a one, of C×H×W, behind a picture for networks that took H×W×C; a picture comes as 1×C×H×W.
    """
    (x,) = inputs
    more = x.rank - len(params.axes)
    return net.emit("transpose", x=x, perm=[*range(more), *(int(axis) % len(params.axes) + more for axis in params.axes)])


def squeeze(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Without these axes of length 1, or all; of a single number one axis is left."""
    (x,) = inputs
    axes = [int(axis) for axis in params.axes]
    if params.squeezeAll:
        axes = [axis for axis, length in enumerate(x.shape) if length == 1]
    if len(axes) == x.rank:
        axes = axes[1:]
    return net.emit("squeeze", x=x, axes=axes) if axes else net.emit("identity", x=x)


def expand_dims(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """New axes of length 1; a scalar has no others."""
    (x,), axes = inputs, [int(axis) for axis in params.axes]
    return net.reshape(x, (1,) * len(axes)) if x.is_scalar else net.emit("expand_dims", x=x, axes=axes)


def reshape_static(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A given shape, 0 for a length that stays, one -1 for what is left."""
    (x,) = inputs
    return net.emit("reshape", x=x, shape=[int(length) for length in params.targetShape])


def reshape_like(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The elements of the first tensor in the shape of the second."""
    x, other = inputs
    if -1 not in other.shape:
        return net.emit("reshape", x=x, shape=list(other.shape))
    start, everything = net.known(np.array(0)), net.known(np.array(True))
    return net.emit("reshape_like", other.probes, x=x, ref_tensors=[other], begins=[start], ends=[start], end_masks=[everything])


def reshape_dynamic(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The shape that the second tensor spells."""
    x, target = inputs
    lengths = net.numbers(target)
    if lengths is not None:
        return net.emit("reshape", x=x, shape=lengths)
    return net.emit("reshape", unknown((-1,) * net.count(target)), x=x, shape=net.whole(target))


def slice_static(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """As NumPy slices; a masked bound is open, a squeezed axis is indexed."""
    (x,) = inputs
    return _sliced(net, x, {name: [int(value) for value in getattr(params, name)] for name in _BOUNDS})


def slice_dynamic(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The same with bounds, strides and masks that the tensors behind the first spell."""
    x, *others = inputs
    tensors = dict(zip(_BOUNDS, others, strict=False))
    fixed = {name: net.numbers(tensors[name]) if name in tensors else [int(value) for value in getattr(params, name)] for name in _BOUNDS}
    constants = {name: values for name, values in fixed.items() if values is not None}
    if len(constants) == len(fixed):
        return _sliced(net, x, constants)
    _check_lengths(x, constants)
    if "squeezeMasks" not in constants:
        raise MilError("whether its axes stay depends on values that only running tells: this runtime cannot translate it")
    squeezed = constants["squeezeMasks"] or [0] * x.rank
    arguments = {
        "begin": _vector(net, fixed, tensors, "beginIds"),
        "end": _vector(net, fixed, tensors, "endIds"),
        "stride": _vector(net, fixed, tensors, "strides"),
        "begin_mask": _mask(net, fixed, tensors, "beginMasks"),
        "end_mask": _mask(net, fixed, tensors, "endMasks"),
        "squeeze_mask": [bool(each) for each in squeezed],
    }
    return net.emit("slice_by_index", unknown((-1,) * squeezed.count(0)), x=x, **arguments)


def _vector(net: Network, fixed: dict[str, Any], tensors: dict[str, Tensor], name: str) -> Any:
    return net.whole(tensors[name]) if fixed[name] is None else fixed[name] or None


def _mask(net: Network, fixed: dict[str, Any], tensors: dict[str, Tensor], name: str) -> Any:
    return net.truth(tensors[name]) if fixed[name] is None else [bool(each) for each in fixed[name]] or None


def _sliced(net: Network, x: Tensor, fixed: dict[str, list[int]]) -> Tensor:
    _check_lengths(x, fixed)
    masks = {key: [bool(each) for each in fixed[name]] or None for key, name in _MASKS.items()}
    bounds = {"begin": fixed["beginIds"], "end": fixed["endIds"] or [0] * x.rank, "stride": fixed["strides"] or None}
    return net.emit("slice_by_index", x=x, **bounds, **masks)


def _check_lengths(x: Tensor, bounds: dict[str, list[int]]) -> None:
    for name, values in bounds.items():
        if len(values) not in (0, x.rank):
            raise MilError(f"its {name} has {len(values)} numbers for the {x.rank} axes of {by(x.shape)}")


#: What a slice takes, in the order of the tensors that spell it.
_BOUNDS = ("beginIds", "endIds", "strides", "beginMasks", "endMasks", "squeezeMasks")
_MASKS = {"begin_mask": "beginMasks", "end_mask": "endMasks", "squeeze_mask": "squeezeMasks"}


def slice_by_size(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """``size`` elements of an axis from where the second tensor says."""
    x, start = inputs
    axis, size = int(params.axis) % x.rank, int(params.size)
    sizes = [size if each == axis else -1 for each in range(x.rank)]
    first = net.number(start)
    if not isinstance(first, Tensor):
        return net.emit("slice_by_size", x=x, begin=[first if each == axis else 0 for each in range(x.rank)], size=sizes)
    zeros = net.known(np.zeros(x.rank, np.int32))
    begin = net.emit("scatter", zeros.probes, data=zeros, indices=[axis], updates=first, axis=0, mode="update")
    probes = tuple(meta([size if at == axis else length for at, length in enumerate(probe.shape)]) for probe in x.probes)
    return net.emit("slice_by_size", probes, x=x, begin=begin, size=sizes)


def tile(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The whole again and again along each axis; too few numbers count from the last axis."""
    x, *second = inputs
    reps: Any = next(map(net.numbers, second), [int(each) for each in params.reps])
    count = net.count(*second) if reps is None else len(reps)
    if count > x.rank:
        raise MilError(f"it has {count} numbers for the {x.rank} axes of {by(x.shape)}")
    if reps is not None:
        return net.emit("tile", x=x, reps=[1] * (x.rank - count) + reps)
    ones = net.known(np.ones(x.rank - count, np.int32))
    reps = net.emit("concat", values=[ones, *map(net.whole, second)], axis=0)
    return net.emit("tile", unknown((-1,) * x.rank), x=x, reps=reps)


def constant_pad(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A number before and behind each axis, so often or up to a length."""
    x, *second = inputs
    stored = net.known(np.array([min(int(each), LARGEST) for each in params.padAmounts], np.int32))
    pads = next(map(net.whole, second), stored)
    if net.count(pads) != 2 * x.rank:
        raise MilError(f"it has {net.count(pads)} amounts for the {x.rank} axes of {by(x.shape)}")
    if params.padToGivenOutputSizeMode:
        # A side that is not padded has 0, from which any length leaves less.
        lengths = net.emit("gather", x=_shape(net, x), indices=np.repeat(np.arange(x.rank), 2).tolist(), axis=0)
        pads = net.emit("maximum", x=net.emit("sub", x=pads, y=lengths), y=0)
    numbers = net.numbers(pads)
    probes = unknown((-1,) * x.rank) if numbers is None else None
    return net.emit("pad", probes, x=x, pad=pads if numbers is None else numbers, mode="constant", constant_val=params.value)


def load_constant(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Stored numbers of any shape."""
    return weight(net, params.data, tuple(int(length) for length in params.shape), "constant")


def flatten_2d(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """All axes before one, and all from it on."""
    (x,) = inputs
    return net.emit("flatten2d", x=x, axis=int(params.axis))


def sliding_windows(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Windows along an axis."""
    (x,) = inputs
    return net.emit("sliding_windows", x=x, axis=int(params.axis), size=int(params.windowSize), stride=int(params.step) or 1)


def reverse(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Backwards along these axes."""
    (x,), axes = inputs, [axis for axis, backwards in enumerate(params.reverseDim) if backwards]
    return net.emit("reverse", x=x, axes=axes) if axes else net.emit("identity", x=x)


def reverse_sequence(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The first elements backwards, of each entry of the batch as many as the second tensor says."""
    x, lengths = inputs
    axes = {"seq_axis": int(params.sequenceAxis), "batch_axis": int(params.batchAxis)}
    return net.emit("reverse_sequence", x.probes, x=x, lengths=net.whole(lengths), **axes)


LAYERS = {
    "concatND": Layer(concat, 1, None),
    "splitND": Layer(split),
    "stack": Layer(lambda net, params, inputs: net.emit("stack", values=inputs, axis=int(params.axis)), 1, None),
    "transpose": Layer(transpose),
    "getShape": Layer(get_shape),
    "squeeze": Layer(squeeze),
    "expandDims": Layer(expand_dims),
    "flattenTo2D": Layer(flatten_2d),
    "reshapeStatic": Layer(reshape_static),
    "rankPreservingReshape": Layer(reshape_static),
    "reshapeLike": Layer(reshape_like, 2, 2),
    "reshapeDynamic": Layer(reshape_dynamic, 2, 2),
    "sliceStatic": Layer(slice_static),
    "sliceDynamic": Layer(slice_dynamic, 2, 7),
    "sliceBySize": Layer(slice_by_size, 2, 2),
    "slidingWindows": Layer(sliding_windows),
    "tile": Layer(tile, 1, 2),
    "constantPad": Layer(constant_pad, 1, 2),
    "reverse": Layer(reverse),
    "reverseSeq": Layer(reverse_sequence, 2, 2),
    "loadConstantND": Layer(load_constant, 0, 0),
    # Nothing changes a tensor that there is: what is set anew gets another one.
    "copy": Layer(lambda net, params, inputs: tuple(inputs)),
}
