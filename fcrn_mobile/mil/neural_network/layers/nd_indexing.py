"""Layers of version 4 that find, pick and place elements by their indices."""

import math
from typing import Any

import numpy as np

from fcrn_mobile.mil.neural_network.layer import Layer, Network
from fcrn_mobile.mil.neural_network.tensor import Tensor, paired, product, unknown
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
    "range_dynamic",
    "range_static",
    "scatter",
    "scatter_along_axis",
    "scatter_nd",
    "suppression",
    "top_k",
]

#: ``ScatterMode`` by number.
_MODES = ("update", "add", "sub", "mul", "div", "max", "min")
#: Of a range: larger steps than 1 is what lies between larger floats of single precision.
_LONGEST = 2**24
#: No score is less.
_LEAST = float(np.finfo(np.float32).min)


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
        updates = net.reshape(updates, (*x.shape[:axis], product(indices.shape), *x.shape[axis + 1 :]))
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
    k, results = next(map(net.number, second), int(params.K)), None
    if isinstance(k, Tensor):
        probes = unknown(tuple(-1 if each == axis % x.rank else length for each, length in enumerate(x.shape)))
        results = (probes, tuple(each.to(dtype=net.INDEX) for each in probes))
    largest, indices = net.emit_all("topk", results, x=x, k=k, axis=axis, ascending=ascending)
    return largest, net.floats(indices)


def position(kind: str) -> Any:
    """Where the largest or smallest element of an axis stands."""

    def translate(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
        (x,) = inputs
        return net.floats(net.emit(kind, x=x, axis=int(params.axis), keep_dims=not params.removeDim))

    return translate


def arg_sort(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Indices that sort along an axis."""
    (x,) = inputs
    return net.floats(net.emit("argsort", x=x, axis=int(params.axis), ascending=not params.descending))


def non_zero(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Indices of all elements that are not 0."""
    (x,) = inputs
    return net.floats(net.emit("non_zero", unknown((-1, x.rank), net.INDEX), x=x))


def one_hot(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """A new axis that is on at the index."""
    indices, *second = inputs
    settings = {"axis": int(params.axis), "on_value": params.onValue, "off_value": params.offValue}
    size, probes = next(map(net.number, second), int(params.oneHotVectorSize)), None
    if isinstance(size, Tensor):
        lengths = list(indices.shape)
        lengths.insert(int(params.axis) % (indices.rank + 1), -1)
        probes = unknown(tuple(lengths))
    return net.emit("one_hot", probes, indices=net.whole(indices), one_hot_vector_size=size, **settings)


def suppression(net: Network, params: Any, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Boxes that no better one overlaps; of an image whose boxes are all below the least score the best is left."""
    boxes, scores, *limits = inputs
    stored = (params.iouThreshold, params.scoreThreshold, int(params.maxBoxes))
    bounds: list[Any] = [read(tensor) for read, tensor in zip((net.scalar, net.scalar, net.number), limits, strict=False)]
    overlap, least, most = bounds + list(stored[len(bounds) :])
    count = -1 if isinstance(most, Tensor) else most
    number, classes = boxes.shape[0], scores.shape[-1]
    results = (
        unknown((number, count, 4)),
        unknown((number, count, classes)),
        unknown((number, count), net.INDEX),
        unknown((number,), net.INDEX),
    )

    def suppressed(iou_threshold: Any, score_threshold: Any, per_class: bool) -> tuple[Tensor, ...]:
        settings = {"iou_threshold": iou_threshold, "score_threshold": score_threshold, "max_boxes": most}
        return net.emit_all("non_maximum_suppression", results, boxes=boxes, scores=scores, per_class_suppression=per_class, **settings)

    survivors = suppressed(overlap, least, bool(params.perClassSuppression))
    # Any two boxes share more than this, and no score is less: the best alone is left.
    best = suppressed(-1.0, _LEAST, False)
    none = net.emit("equal", x=survivors[-1], y=0)
    return tuple(_either(net, none, a, b) for a, b in zip(best, survivors, strict=True))


def _either(net: Network, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Of every image the one or the other, whole numbers as floats."""
    along = list(range(condition.rank, a.rank))
    wide = net.emit("expand_dims", x=condition, axes=along) if along else condition
    result = net.emit("select", cond=wide, a=a, b=b)
    return net.floats(result) if result.dtype == "INT32" else result


def range_static(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """start, start + step, … below the end."""
    return _range(net, params.endValue, params.startValue, params.stepSizeValue or 1.0)


def range_dynamic(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """The same, of an end that a tensor spells; a start and a step may be spelled by others."""
    stored = (params.startValue, params.stepSizeValue or 1.0)
    bounds: list[Any] = [*map(net.scalar, inputs), *stored[len(inputs) - 1 :]]
    end, start, step = bounds
    if any(isinstance(bound, Tensor) for bound in (end, start, step)):
        return net.emit("range_1d", unknown((-1,)), "FLOAT32", end=end, start=start, step=step)
    return _range(net, end, start, step)


def _range(net: Network, end: Any, start: Any, step: Any) -> Tensor:
    count = (end - start) / step if step else math.nan
    if not -math.inf < count <= _LONGEST:
        raise MilError(f"it counts from {start:g} to {end:g} in steps of {step:g}, which has no end")
    return net.constant(np.arange(start, end, step, dtype=np.float32), name="range")


def cumulative_sum(net: Network, params: Any, inputs: list[Tensor]) -> Tensor:
    """Sum of what stands before each element of an axis."""
    x, *second = inputs
    axis = next(map(net.number, second), int(params.axis))
    settings = {"exclusive": bool(params.excludeFinalSum), "reverse": bool(params.reverse)}
    return net.emit("cumsum", x.probes if isinstance(axis, Tensor) else None, x=x, axis=axis, **settings)


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
    "rangeStatic": Layer(range_static, 0, 0),
    "rangeDynamic": Layer(range_dynamic, 1, 3),
    "cumSum": Layer(cumulative_sum, 1, 2),
}
