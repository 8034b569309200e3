"""Shapes foretold from a specification written by hand; the formulas are those of coremltools' documentation of each operator."""

import math
from typing import Any

import pytest

from fcrn_mobile.mil.costs import largest_shape
from fcrn_mobile.mil.declared import Declarations
from tests.mil.protobuf import constant, named_constant, operation, tensor_type

SHAPES = {
    "image": (2, 3, 5, 7),
    "odd": (1, 4, 9, 6),
    "line": (2, 3, 11),
    "row": (5, 7),
    "column": (7, 4),
    "wide": (6, 1, 5, 7),
    "vector": (7,),
    "kernel": (8, 3, 3, 2),
    "line_kernel": (8, 3, 4),
    "up_kernel": (3, 8, 3, 2),
    "boxes": (6, 4),
    "unknown": (-1, 3, -1, 7),
    "nothing": (),
}


def foretold(kind: str, *known: Any, **inputs: Any) -> tuple[int, ...] | None:
    declarations = Declarations({name: tensor_type(shape) for name, shape in SHAPES.items()})
    for const in known:
        declarations.learn(const)
    return largest_shape(operation(kind, **inputs), declarations)


@pytest.mark.parametrize(
    ("kind", "inputs", "shape"),
    [
        ("add", {"x": "row", "y": "wide"}, (6, 1, 5, 7)),
        ("mul", {"x": "image", "y": "vector"}, (2, 3, 5, 7)),
        ("maximum", {"x": "vector", "y": "wide"}, (6, 1, 5, 7)),
        ("less", {"x": "row", "y": 1.0}, (5, 7)),
        ("select", {"cond": "vector", "a": "row", "b": "wide"}, (6, 1, 5, 7)),
        ("pad", {"x": "image", "pad": [1, 2, 0, 3]}, (2, 3, 8, 10)),
        ("pad", {"x": "image", "pad": [1, 2]}, (2, 3, 5, 10)),
        ("pad", {"x": "image", "pad": [4, 0, 0, 0, 0, 0, 0, 1]}, (6, 3, 5, 8)),
        ("pad", {"x": "vector", "pad": [9, 9, 1, 2]}, (10,)),
        ("pad", {"x": "image", "pad": [-3, 2, 1, -1]}, (2, 3, 7, 8)),
        ("pad", {"x": "image"}, (2, 3, 5, 7)),
        ("max_pool", {"x": "image", "pad": [1, 1, 2, 2]}, (2, 3, 7, 11)),
        ("avg_pool", {"x": "image", "pad": [1, 1, 2, 2], "strides": [2, 3], "ceil_mode": True}, (2, 3, 9, 14)),
        ("l2_pool", {"x": "line", "strides": [3], "ceil_mode": True}, (2, 3, 14)),
        ("max_pool", {"x": "image", "strides": [-4, 1], "ceil_mode": True}, (2, 3, 5, 8)),
        ("max_pool", {"x": "image", "strides": [2, 3], "ceil_mode": False}, (2, 3, 5, 7)),
        ("space_to_batch", {"x": "image", "paddings": [2, 0, 1, 3]}, (2, 3, 7, 11)),
        # Without strides the result is not larger than the input with its padding, so that counts; the larger of both.
        ("conv", {"x": "image", "weight": "kernel"}, (2, 8, 3, 6)),
        ("conv", {"x": "image", "weight": "kernel", "strides": [4, 5]}, (2, 3, 5, 7)),
        ("conv", {"x": "image", "weight": "kernel", "strides": [2, 1], "dilations": [1, 3]}, (2, 3, 5, 7)),
        ("conv", {"x": "image", "weight": "kernel", "dilations": [2, 3]}, (2, 3, 5, 7)),
        ("conv", {"x": "image", "weight": "kernel", "dilations": [1, 2], "pad": [1, 1, 1, 1]}, (2, 8, 5, 7)),
        ("conv", {"x": "line", "weight": "line_kernel", "pad": [1, 2], "strides": [2]}, (2, 8, 6)),
        ("conv", {"x": "image", "weight": "kernel", "strides": [0, 0]}, (2, 8, 3, 6)),
        ("conv_transpose", {"x": "image", "weight": "up_kernel"}, (2, 8, 7, 8)),
        ("conv_transpose", {"x": "image", "weight": "up_kernel", "strides": [2, 3]}, (2, 8, 11, 20)),
        ("conv_transpose", {"x": "image", "weight": "up_kernel", "strides": [2, 3], "dilations": [2, 4]}, (2, 8, 13, 23)),
        ("linear", {"x": "image", "weight": "row"}, (2, 3, 5, 5)),
        ("matmul", {"x": "row", "y": "column"}, (5, 4)),
        ("matmul", {"x": "column", "y": "row", "transpose_x": True, "transpose_y": True}, (4, 5)),
        ("matmul", {"x": "wide", "y": "column"}, (6, 1, 5, 4)),
        ("matmul", {"x": "wide", "y": "image", "transpose_y": True}, (6, 3, 5, 5)),
        ("matmul", {"x": "vector", "y": "column"}, ()),
        ("matmul", {"x": "row", "y": "vector"}, ()),
        ("upsample_bilinear", {"x": "image", "scale_factor_height": 3.0, "scale_factor_width": 2.5}, (1, 1, 2, 3, 15, 17)),
        ("upsample_nearest_neighbor", {"x": "image", "scale_factor_width": 2}, (1, 1, 2, 3, 5, 14)),
        ("resize_bilinear", {"x": "image", "target_size_height": 9, "target_size_width": 20}, (1, 1, 2, 3, 9, 20)),
        ("resize_bilinear", {"x": "image", "target_size_width": 20}, (1, 1, 2, 3, 5, 20)),
        ("resize", {"x": "image", "shape": [9, 20]}, (1, 1, 2, 3, 9, 20)),
        ("resize", {"x": "image", "shape": [1, 9, 20]}, (1, 1, 2, 3, 9, 20)),
        ("resize", {"x": "image", "shape": [20]}, (1, 1, 2, 3, 5, 20)),
        ("crop_resize", {"x": "image", "roi": "boxes", "target_height": 10, "target_width": 12}, (6, 3, 10, 12)),
        ("crop_resize", {"x": "image", "boxes": "boxes"}, (6, 3, 1, 1)),
        ("crop_resize", {"x": "line", "boxes": "boxes"}, (6, 2, 1, 1)),
        ("expand_dims", {"x": "row", "axes": [0, 3, 4]}, (5, 7, 1, 1, 1)),
        ("reshape", {"x": "row", "shape": [5, 1, 7]}, (1, 1, 1)),
        ("fill", {"shape": [4, 9, 2]}, (4, 9, 2)),
        ("tile", {"x": "row", "reps": [4, 3]}, (20, 21)),
        ("tile", {"x": "row", "reps": [4]}, (20, 7)),
        ("tile", {"x": "vector", "reps": [4, 3]}, (28, 3)),
        ("one_hot", {"indices": "row", "one_hot_vector_size": 11}, (5, 7, 11)),
        ("one_hot", {"indices": "row"}, (5, 7, 1)),
        ("range_1d", {"start": 2, "end": 20, "step": 3}, (6,)),
        ("range_1d", {"end": 20}, (20,)),
        ("range_1d", {"start": 2, "end": 20, "step": 0}, ()),
        ("range_1d", {"start": 20, "end": 2, "step": -3}, (6,)),
        ("gather", {"x": "image", "indices": "row", "axis": 1}, (2, 5, 7, 5, 7)),
        ("gather", {"x": "image", "indices": "row", "axis": -1}, (2, 3, 5, 5, 7)),
        ("gather", {"x": "image", "indices": "row"}, (3, 5, 7, 5, 7)),
        ("gather", {"x": "image", "indices": "row", "axis": 2, "batch_dims": 1}, (2, 3, 7, 7)),
        ("sliding_windows", {"x": "image", "axis": 3, "size": 4, "stride": 2}, (30, 2, 4)),
        ("sliding_windows", {"x": "image", "axis": -2, "size": 3}, (42, 3, 3)),
        ("sliding_windows", {"x": "image", "size": 2, "stride": 0}, (105, 1, 2)),
        ("sliding_windows", {"x": "nothing", "size": 1}, (1, 1, 1)),
        ("sliding_windows", {"x": "image"}, (105, 2, 1)),
        ("scaled_dot_product_attention", {"query": "line", "key": "image"}, (2, 3, 5)),
        ("concat", {"values": ["image", "row", "vector"]}, (2 * 3 * 5 * 7 + 35 + 7,)),
        ("stack", {"values": ["row", "row"]}, (70,)),
        # A length that is not known counts as one.
        ("add", {"x": "unknown", "y": "vector"}, (1, 3, 1, 7)),
    ],
)
def test_shapes_are_foretold(kind: str, inputs: dict[str, Any], shape: tuple[int, ...]) -> None:
    assert foretold(kind, **inputs) == shape


@pytest.mark.parametrize("kind", ["relu", "softmax", "transpose", "const", "slice_by_index"])
def test_operators_that_cannot_grow_are_not_foretold(kind: str) -> None:
    assert foretold(kind, x="image") is None


def test_constants_are_learned_by_name() -> None:
    reps = named_constant("reps", [4, 3])
    assert foretold("tile", reps, x="row", reps="reps") == (20, 21)
    assert foretold("tile", x="row", reps="reps") == (5, 7)


def test_a_long_constant_is_data_and_no_shape() -> None:
    assert foretold("fill", shape=constant([1] * 31 + [2])) == (1,) * 31 + (2,)
    assert foretold("fill", shape=constant([2] * 33)) == (1,) * 32
    long = named_constant("long", [2] * 33)
    declarations = Declarations({"long": long.outputs[0].type})
    declarations.learn(long)
    assert declarations.numbers == {}
    assert largest_shape(operation("fill", shape="long"), declarations) == (1,) * 32
    short = named_constant("short", [2] * 32)
    declarations.learn(short)
    assert declarations.numbers == {"short": (2,) * 32}


def test_numbers_that_are_not_finite_count_as_nothing() -> None:
    assert foretold("upsample_bilinear", x="image", scale_factor_height=math.inf, scale_factor_width=math.nan) == (1, 1, 2, 3, 0, 0)


def test_only_constants_are_learned() -> None:
    declarations = Declarations({})
    other = named_constant("a", [1])
    other.type = "constexpr_cast"
    declarations.learn(other)
    nameless = named_constant("b", [1])
    del nameless.outputs[:]
    declarations.learn(nameless)
    empty = named_constant("c", [1])
    empty.attributes.pop("val", None) if hasattr(empty.attributes, "pop") else empty.attributes.clear()
    declarations.learn(empty)
    assert declarations.numbers == {}


def test_inputs_without_a_value_are_no_shape() -> None:
    declarations = Declarations({})
    assert largest_shape(operation("add"), declarations) == ()
    assert largest_shape(operation("tile", x="never"), declarations) == ()
    assert largest_shape(operation("fill"), declarations) == ()
    assert largest_shape(operation("concat"), declarations) == (0,)
