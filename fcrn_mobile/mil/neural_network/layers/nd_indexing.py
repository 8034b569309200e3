"""Layers of version 4 that find, pick and place elements by their indices."""

import math
from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, meta, paired, unknown
from fcrn_mobile.package.errors import MilError

__all__ = [
    "LAYERS",
    "arg_sort",
    "cumulative_sum",
    "gather",
    "gather_along_axis",
    "gather_nd",
    "non_zero",
    "one_hot",
    "position",
    "ranges",
    "scatter",
    "scatter_along_axis",
    "scatter_nd",
    "suppression",
    "top_k",
]

#: ``ScatterMode`` by number.
_MODES = ("update", "add", "sub", "mul", "div", "max", "min")


def gather(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Slices along an axis."""
    x, indices = inputs
    return net.gather(x, indices, int(params.axis))


def gather_nd(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Parts at the indices that the last axis of the second tensor spells."""
    x, indices = inputs
    probes = paired(lambda data, at: (*at[:-1], *data[at[-1] :]), x, indices)
    return net.emit("gather_nd", probes, x=x, indices=net.whole(indices))


def scatter(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The first tensor, whose slices at the second along an axis meet those of the third; indices of several axes count as one."""
    x, indices, updates = inputs
    axis = int(params.axis) % x.rank
    if indices.rank > 1:
        updates = net.reshape(updates, (*x.shape[:axis], math.prod(indices.shape), *x.shape[axis + 1 :]))
        indices = net.reshape(indices, (-1,))
    return net.emit("scatter", x.probes, data=x, indices=net.whole(indices), updates=updates, axis=axis, mode=_MODES[params.mode])


def scatter_nd(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The first tensor, whose parts at the second meet those of the third."""
    x, indices, updates = inputs
    return net.emit("scatter_nd", x.probes, data=x, indices=net.whole(indices), updates=updates, mode=_MODES[params.mode])


def scatter_along_axis(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """As NumPy's ``put_along_axis``."""
    x, indices, updates = inputs
    settings = {"axis": int(params.axis), "mode": _MODES[params.mode]}
    return net.emit("scatter_along_axis", x.probes, data=x, indices=net.whole(indices), updates=updates, **settings)


def gather_along_axis(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """As NumPy's ``take_along_axis``."""
    x, indices = inputs
    return net.emit("gather_along_axis", indices.probes, x=x, indices=net.whole(indices), axis=int(params.axis))


def top_k(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """The k largest or smallest elements along an axis, and where they stood."""
    x, *second = inputs
    axis, ascending = int(params.axis), bool(params.useBottomK)
    number = net.numbers(second[0]) if second else [int(params.K)]
    if number is None:
        probes = unknown(tuple(-1 if each == axis % x.rank else length for each, length in enumerate(x.shape)))
        places = tuple(each.to(dtype=net.INDEX) for each in probes)
        k = net.emit("reshape", x=net.whole(second[0]), shape=[1])
        largest, indices = net.emit_all("topk", (probes, places), x=x, k=k, axis=axis, ascending=ascending)
    else:
        largest, indices = net.emit_all("topk", x=x, k=number[0], axis=axis, ascending=ascending)
    return largest, net.floats(indices)


def position(kind: str) -> Any:
    """Where the largest or smallest element of an axis stands."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        (x,) = inputs
        return net.floats(net.emit(kind, x=x, axis=int(params.axis), keep_dims=not params.removeDim or x.rank == 1))

    return translate


def arg_sort(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Indices that sort along an axis."""
    return net.floats(net.emit("argsort", x=inputs[0], axis=int(params.axis), ascending=not params.descending))


def non_zero(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Indices of all elements that are not 0."""
    (x,) = inputs
    return net.floats(net.emit("non_zero", unknown((-1, x.rank), net.INDEX), x=x))


def one_hot(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A new axis that is on at the index."""
    indices, *second = inputs
    size = net.numbers(second[0]) if second else [int(params.oneHotVectorSize)]
    settings = {"axis": int(params.axis), "on_value": params.onValue, "off_value": params.offValue}
    if size is not None:
        return net.emit("one_hot", indices=net.whole(indices), one_hot_vector_size=size[0], **settings)
    lengths = list(indices.shape)
    lengths.insert(int(params.axis) % (indices.rank + 1), -1)
    count = net.emit("reshape", x=net.whole(second[0]), shape=[1])
    return net.emit("one_hot", unknown(tuple(lengths)), indices=net.whole(indices), one_hot_vector_size=count, **settings)


def suppression(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Boxes that no better one overlaps; of boxes that are all below the least score the best is left."""
    boxes, scores, *limits = inputs
    bounds: list[Any] = [params.iouThreshold, params.scoreThreshold, int(params.maxBoxes)]
    for index, tensor in enumerate(limits):
        numbers = tensor.value
        bounds[index] = net.emit("reshape", x=tensor, shape=[1]) if numbers is None else float(numbers.reshape(-1)[0])
    most = bounds[2] if isinstance(bounds[2], Tensor) else int(bounds[2])
    count = -1 if isinstance(most, Tensor) else most
    if isinstance(most, Tensor):
        most = net.whole(most)
    number, classes = boxes.shape[0], scores.shape[-1]
    results = (
        unknown((number, count, 4)),
        unknown((number, count, classes)),
        unknown((number, count), net.INDEX),
        tuple(meta((probe.shape[0],), net.INDEX) for probe in boxes.probes),
    )
    settings = {"iou_threshold": bounds[0], "score_threshold": bounds[1], "max_boxes": most}
    survivors = net.emit_all(
        "non_maximum_suppression", results, boxes=boxes, scores=scores, per_class_suppression=bool(params.perClassSuppression), **settings
    )
    return survivors[0], survivors[1], net.floats(survivors[2]), net.floats(survivors[3])


def ranges(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """start, start + step, … below the end."""
    stored = (params.startValue, params.stepSizeValue or 1.0)
    if not inputs:
        return _range(net, [params.endValue, *stored])
    numbers = [float(each.value.reshape(-1)[0]) for each in inputs if each.value is not None]
    if len(numbers) == len(inputs):
        return _range(net, [*numbers, *stored[len(numbers) - 1 :]])
    scalars = [net.emit("reshape", x=each, shape=[1]) for each in inputs]
    settings = dict(zip(("end", "start", "step"), (*scalars, *stored[len(scalars) - 1 :]), strict=True))
    return net.emit("range_1d", unknown((-1,)), "FLOAT32", **settings)


def _range(net: Network, bounds: list[float]) -> Tensor:
    end, start, step = bounds
    if step == 0 or not math.isfinite((end - start) / step) or (end - start) / step > 2**24:
        raise MilError(f"it counts from {start:g} to {end:g} in steps of {step:g}, which has no end")
    return net.constant(np.arange(start, end, step, dtype=np.float32), name="range")


def cumulative_sum(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Sum of what stands before each element of an axis."""
    x, *second = inputs
    axis = net.numbers(second[0]) if second else [int(params.axis)]
    settings = {"exclusive": bool(params.excludeFinalSum), "reverse": bool(params.reverse)}
    if axis is None:
        return net.emit("cumsum", x.probes, x=x, axis=net.emit("reshape", x=net.whole(second[0]), shape=[1]), **settings)
    return net.emit("cumsum", x=x, axis=axis[0], **settings)


LAYERS = {
    "gather": Layer(gather, 2, 2),
    "gatherND": Layer(gather_nd, 2, 2),
    "gatherAlongAxis": Layer(gather_along_axis, 2, 2),
    "scatter": Layer(scatter, 3, 3),
    "scatterND": Layer(scatter_nd, 3, 3),
    "scatterAlongAxis": Layer(scatter_along_axis, 3, 3),
    "topK": Layer(top_k, 1, 2),
    "argMax": Layer(position("reduce_argmax")),
    "argMin": Layer(position("reduce_argmin")),
    "argSort": Layer(arg_sort),
    "whereNonZero": Layer(non_zero),
    "oneHot": Layer(one_hot, 1, 2),
    "NonMaximumSuppression": Layer(suppression, 2, 5),
    "rangeStatic": Layer(ranges, 0, 0),
    "rangeDynamic": Layer(ranges, 1, 3),
    "cumSum": Layer(cumulative_sum, 1, 2),
}
