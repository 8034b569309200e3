"""Detections of what turns out wrong without a word: operators, and patterns of them, whose arithmetic is published to differ."""

import math
from collections.abc import Callable, Iterator
from math import prod

import torch

from fcrn_mobile.doctor.operators import Op, Operators, half
from fcrn_mobile.doctor.subject import Place, Subject
from fcrn_mobile.mil.shapes import by
from fcrn_mobile.mil.traits import LARGEST_HALF, TRAITS, begins_inside, over_channels
from fcrn_mobile.mil.values import type_name

__all__ = ["DETECTIONS"]

#: Why an operator is one that a rule is about, such as the values that matter; None if it is not.
_Check = Callable[[Op, Operators], str | None]

#: Below half of the least subnormal float16, a number becomes 0.
_LEAST_HALF = 2.0**-25
#: Whole numbers up to it are exact in float16.
_EXACT_HALF = 2048
_LARGEST_INDEX = {"INT16": 32767, "UINT16": 65535, "INT8": 127, "UINT8": 255}


def _each(check: _Check, *kinds: str) -> Callable[[Subject], Iterator[Place]]:
    """The operators of some kinds that a check is true of."""

    def detect(subject: Subject) -> Iterator[Place]:
        for stage, operators, op in subject.operators():
            if op.kind in kinds:
                detail = check(op, operators)
                if detail is not None:
                    yield stage.place(op, detail)

    return detect


def _average_pooling_ceil(op: Op, operators: Operators) -> str | None:
    if not op.number("ceil_mode", 0) or op.number("exclude_padding_from_average", 0):
        return None
    kernel, strides, lengths = op.numbers("kernel_sizes"), op.numbers("strides"), op.shape("x")[2:]
    strides = strides or (1.0,) * len(kernel)
    pads = op.numbers("pad") if op.constant("pad_type") == "custom" else ()
    overhang = []
    for axis, (length, size, stride) in enumerate(zip(lengths, kernel, strides, strict=False)):
        whole = length + (pads[2 * axis] + pads[2 * axis + 1] if len(pads) > 2 * axis + 1 else 0)
        overhang.append(length < 0 or (whole - size) % stride != 0)
    return f"kernel {'×'.join(f'{size:g}' for size in kernel)}" if any(overhang) else None


def _mish_product(op: Op, operators: Operators) -> Op | None:
    """The product that a softplus is a mish with, if it is one."""
    for tanh in operators.consumers(op):
        if tanh.kind == "tanh":
            for product in operators.consumers(tanh):
                if product.kind == "mul" and op.tensor("x") in (product.tensor("x"), product.tensor("y")):
                    return product
    return None


def _softplus(op: Op, operators: Operators) -> str | None:
    return "" if half(op) and _mish_product(op, operators) is None else None


def _mish(op: Op, operators: Operators) -> str | None:
    return "" if half(op) and _mish_product(op, operators) else None


def _logsumexp(op: Op, operators: Operators) -> str | None:
    shape = op.shape("x")
    return f"over {shape[1]} channels" if half(op) and over_channels(len(shape), op.numbers("axes")) else None


def _log_softmax(op: Op, operators: Operators) -> str | None:
    return "" if half(op) and operators.producer(op.tensor("x"), "softmax") else None


def _logcumsumexp(op: Op, operators: Operators) -> str | None:
    total = operators.producer(op.tensor("x"), "cumsum")
    return "" if half(op) and total and operators.producer(total.tensor("x"), "exp") else None


def _hard_swish(op: Op, operators: Operators) -> str | None:
    for gate, own in (("x", "y"), ("y", "x")):
        hard = operators.producer(op.tensor(gate), "sigmoid_hard")
        if hard and hard.tensor("x") == op.tensor(own):
            cut = operators.producer(op.tensor(own), "thresholded_relu")
            product = operators.producer(cut.tensor("x") if cut else op.tensor(own), "linear", "matmul")
            if product and half(op) and len(product.result) == 2:
                return f"behind '{product.name}'"
    return None


def _slice_of_width(op: Op, operators: Operators) -> str | None:
    begins = op.numbers("begin")
    inside = half(op) and op.shape("x") and begins_inside(begins, op.numbers("begin_mask"))
    return f"begins at {begins[-1]:g}" if inside else None


def _beyond_float16(subject: Subject) -> Iterator[Place]:
    for stage in subject.stages:
        if not stage.operators or not any(half(op) for op in stage.operators.all):
            continue
        for op in stage.operators.all:
            for key, value in op.constants.items():
                largest = _beyond(op, key, type_name(value.type), stage.operators)
                if largest is not None:
                    yield stage.place(op, f"{key} holds {largest:.4g}")


def _beyond(op: Op, key: str, dtype: str, operators: Operators) -> float | None:
    """The largest magnitude of a constant that float16 does not hold where it is used in float16."""
    narrowed = half(op) or any(reader.kind == "cast" and half(reader) for reader in operators.consumers(op))
    if dtype not in ("FLOAT16", "FLOAT32") or not narrowed or op.kind in ("clip", "clamped_relu"):
        return None
    values = op.constant(key)
    if not isinstance(values, torch.Tensor) or not values.numel() or (op.kind == "batch_norm" and dtype == "FLOAT32"):
        return None  # statistics are folded into a scale and a shift before anything is rounded
    largest = float(values.abs().max())
    return largest if largest > LARGEST_HALF or math.isnan(largest) else None


def _output_shape(op: Op, operators: Operators) -> str | None:
    """Only where it is not what padding gives: coremltools writes it at every transposed convolution."""
    given_shape, lengths, kernel = op.numbers("output_shape")[2:], op.shape("x")[2:], op.shape("weight")[2:]
    if not given_shape or -1 in lengths:
        return None
    pads = op.numbers("pad") if op.constant("pad_type") == "custom" else ()
    pads = pads or (0.0,) * 2 * len(lengths)
    strides, dilations = (op.numbers(key) or (1.0,) * len(lengths) for key in ("strides", "dilations"))
    natural = tuple(
        (length - 1) * stride + dilation * (size - 1) + 1 - pads[2 * axis] - pads[2 * axis + 1]
        for axis, (length, stride, dilation, size) in enumerate(zip(lengths, strides, dilations, kernel, strict=True))
    )
    if natural != given_shape:
        return f"{by(tuple(map(int, given_shape)))} where padding gives {by(tuple(map(int, natural)))}"
    return "uneven padding" if pads[::2] != pads[1::2] else None


def _index_of_16_bits(op: Op, operators: Operators) -> str | None:
    indices, shape = op.tensor("indices"), op.shape("x")
    if indices is None or not shape or "indices" in op.constants:
        return None
    length = shape[int(op.number("axis", 0)) % len(shape)]
    return f"{indices.dtype} into {length}" if length - 1 > _LARGEST_INDEX.get(indices.dtype, length) else None


def _epsilon(op: Op, operators: Operators) -> str | None:
    values = op.numbers("epsilon")
    return f"epsilon {values[0]:g}" if half(op) and values and values[0] < _LEAST_HALF else None


def _nan_test(op: Op, operators: Operators) -> str | None:
    tensor = op.tensor("x")
    same = tensor is not None and bool(tensor.name) and tensor == op.tensor("y")
    return "" if same and tensor is not None and tensor.dtype.startswith("FLOAT") else None


def _counting(op: Op, operators: Operators) -> str | None:
    axis = int(op.number("axis", 0))
    length = op.result[axis] if half(op) and -len(op.result) <= axis < len(op.result) else 0
    return f"{length} long" if length > _EXACT_HALF else None


def _long_sum(op: Op, operators: Operators) -> str | None:
    before, after = op.shape("x"), op.result
    if not half(op) or -1 in (*before, *after):
        return None
    count = prod(before) // max(prod(after), 1)
    return f"of {count} values" if count > LARGEST_HALF else None


def _activation_table(op: Op, operators: Operators) -> str | None:
    return "" if half(op) else None


def _computed_kernel(op: Op, operators: Operators) -> str | None:
    weight = op.tensor("weight")
    if weight is None or "weight" in op.constants:
        return None
    producer = operators.producer(weight, *{other.kind for other in operators.all})
    return None if producer and producer.kind.startswith("constexpr_") else f"'{weight.name}'"


def _rms_norm(op: Op, operators: Operators) -> str | None:
    largest = operators.producer(op.tensor("y"), "reduce_max")
    magnitude = operators.producer(largest.tensor("x"), "abs") if largest else None
    if magnitude is None or magnitude.tensor("x") != op.tensor("x"):
        return None
    return "" if operators.consumers(op, "square", "pow", "mul", "reduce_sum_square") else None


def _enumerated_together(subject: Subject) -> Iterator[Place]:
    enumerated = [feature for feature in subject.inputs if len(feature.shapes.enumerated) > 1]
    for feature in enumerated if len(enumerated) > 1 else ():
        yield Place(feature.name, "input", str(feature.shapes))


def _depth_of_8_bits(subject: Subject) -> Iterator[Place]:
    for feature in subject.outputs if subject.is_picture_to_map else ():
        if feature.kind == "image" and feature.dtype == "GRAYSCALE":
            yield Place(feature.name, "output")


#: Rule → where it applies.
DETECTIONS: dict[str, Callable[[Subject], Iterator[Place]]] = {
    "average-pooling-ceil": _each(_average_pooling_ceil, "avg_pool"),
    "softplus": _each(_softplus, "softplus", "softplus_parametric"),
    "mish": _each(_mish, "softplus"),
    "logsumexp": _each(_logsumexp, *TRAITS["logsumexp"].operators),
    "log-softmax": _each(_log_softmax, "log"),
    "logcumsumexp": _each(_logcumsumexp, "log"),
    "hard-swish": _each(_hard_swish, "mul"),
    "slice-of-width": _each(_slice_of_width, *TRAITS["slice"].operators),
    "beyond-float16": _beyond_float16,
    "output-shape": _each(_output_shape, "conv_transpose"),
    "index-of-16-bits": _each(_index_of_16_bits, "gather", "gather_along_axis"),
    "epsilon": _each(_epsilon, "layer_norm", "instance_norm", "batch_norm", "l2_norm"),
    "nan-test": _each(_nan_test, "equal", "not_equal"),
    "counting-in-float16": _each(_counting, "range_1d", "cumsum"),
    "long-sum": _each(_long_sum, "reduce_sum", "reduce_sum_square", "reduce_l1_norm"),
    "activation-table": _each(_activation_table, "sigmoid", "silu", "tanh", "gelu"),
    "computed-kernel": _each(_computed_kernel, "conv", "conv_transpose"),
    "rms-norm": _each(_rms_norm, "real_div"),
    "enumerated-together": _enumerated_together,
    "depth-of-8-bits": _depth_of_8_bits,
}
