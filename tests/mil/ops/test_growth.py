"""The size that each operator foretells of its result, or of its padded input, from what is declared alone: by hand."""

from typing import Any

import pytest

from fcrn_mobile.mil.costs import largest_shape, macs
from fcrn_mobile.mil.declared import Declarations
from tests.mil.protobuf import constant, named_constant, operation, tensor_type

Shapes = dict[str, tuple[int, ...]]
#: Kind, shapes of its tensors, its constants, the foretold shape.
FORETOLD: list[tuple[str, Shapes, dict[str, Any], tuple[int, ...]]] = [
    # (8 - 2·(3 - 1) - 1) / 2 + 1 rows, (9 - 1·(2 - 1) - 1) / 3 + 1 columns, of more channels.
    ("conv", {"x": (2, 3, 8, 9), "weight": (90, 3, 3, 2)}, {"strides": [2, 3], "dilations": [2, 1]}, (2, 90, 2, 3)),
    ("conv", {"x": (2, 3, 8, 9), "weight": (9, 3, 3, 2)}, {}, (2, 9, 6, 8)),
    ("conv", {"x": (2, 3, 8, 9), "weight": (9, 3, 3, 2)}, {"pad": [1, 0, 4, 5]}, (2, 9, 7, 17)),
    ("conv", {"x": (2, 3, 8, 9), "weight": (9, 3, 3, 2)}, {"strides": [0, 1]}, (2, 9, 6, 8)),
    # The padded input is the larger one.
    ("conv", {"x": (2, 3, 8, 9), "weight": (1, 3, 3, 2)}, {"pad": [1, 1, 0, 0]}, (2, 3, 10, 9)),
    # (4 - 1)·2 + (3 - 1)·3 + 1 rows, (5 - 1) + (2 - 1) + 1 columns, none cut off.
    (
        "conv_transpose",
        {"x": (2, 3, 4, 5), "weight": (3, 7, 3, 2)},
        {"strides": [2, 1], "dilations": [3, 1], "pad": [1, 1, 1, 1]},
        (2, 7, 13, 6),
    ),
    ("conv_transpose", {"x": (2, 3, 4, 5), "weight": (3, 7, 3, 2)}, {}, (2, 7, 6, 6)),
    ("avg_pool", {"x": (2, 3, 8, 9)}, {"pad": [1, 2, 3, 4], "strides": [2, 3]}, (2, 3, 11, 16)),
    # In ceil mode a stride more at most, of the last axes.
    ("max_pool", {"x": (2, 3, 8, 9)}, {"strides": [2, 3], "ceil_mode": True}, (2, 3, 10, 12)),
    ("l2_pool", {"x": (2, 3, 8, 9)}, {"ceil_mode": True}, (2, 3, 8, 9)),
    ("max_pool", {"x": (2, 3, 8, 9)}, {"strides": [-5, 3], "ceil_mode": True}, (2, 3, 8, 12)),
    ("sliding_windows", {"x": (2, 30, 4)}, {"axis": 1, "size": 9, "stride": 4}, (8, 6, 9)),
    ("sliding_windows", {"x": (2, 30, 4)}, {"axis": -2, "size": 9}, (8, 22, 9)),
    ("sliding_windows", {"x": (7, 30)}, {}, (30, 7, 1)),
    ("sliding_windows", {"x": (7, 30)}, {"stride": 0}, (30, 7, 1)),
    ("sliding_windows", {"x": ()}, {}, (1, 1, 1)),
    ("linear", {"x": (2, 5, 3), "weight": (7, 3)}, {}, (2, 5, 7)),
    ("matmul", {"x": (4, 1, 2, 3), "y": (6, 3, 5)}, {}, (4, 6, 2, 5)),
    ("matmul", {"x": (3, 2), "y": (5, 3)}, {"transpose_x": True, "transpose_y": True}, (2, 5)),
    ("matmul", {"x": (4, 3, 2), "y": (4, 3, 5)}, {"transpose_x": True}, (4, 2, 5)),
    ("matmul", {"x": (3, 2), "y": (3,)}, {}, ()),
    ("matmul", {"x": (3,), "y": (3, 2)}, {}, ()),
    ("scaled_dot_product_attention", {"query": (2, 4, 5), "key": (2, 60, 5), "value": (2, 60, 7)}, {}, (2, 4, 60)),
    ("gather", {"x": (2, 30, 4), "indices": (5, 6)}, {"axis": 1}, (2, 4, 5, 6)),
    ("gather", {"x": (2, 30, 4), "indices": (5, 6)}, {"axis": -1}, (2, 30, 5, 6)),
    ("gather", {"x": (2, 30, 4), "indices": (5, 6)}, {}, (30, 4, 5, 6)),
    ("gather", {"x": (2, 30, 4), "indices": (2, 6)}, {"axis": 1, "batch_dims": 1}, (2, 4, 6)),
    ("gather_nd", {"x": (2, 30, 4), "indices": (5, 6, 2)}, {}, (5, 6, 4)),
    ("gather_nd", {"x": (2, 30, 4), "indices": (2, 6, 1)}, {"batch_dims": 1}, (2, 6, 4)),
    ("one_hot", {"indices": (5, 6)}, {"one_hot_vector_size": 7}, (5, 6, 7)),
    ("one_hot", {"indices": (5, 6)}, {}, (5, 6, 1)),
    ("range_1d", {}, {"start": 3, "end": 20, "step": 4}, (4,)),
    ("range_1d", {}, {"end": 20}, (20,)),
    ("range_1d", {}, {"step": 1}, (0,)),
    ("range_1d", {}, {"start": 3, "end": 20, "step": 0}, ()),
    ("fill", {}, {"shape": [5, 6]}, (5, 6)),
    ("random_categorical", {"x": (5, 6)}, {"size": 7}, (5, 7)),
    ("random_categorical", {"x": (5, 6)}, {}, (5, 1)),
    ("random_categorical", {"x": (2, 5, 6)}, {"size": 7}, (2, 5, 7)),
    ("random_normal", {}, {"shape": [5, 6]}, (5, 6)),
    ("upsample_nearest_neighbor", {"x": (2, 3, 4, 5)}, {"scale_factor_height": 6, "scale_factor_width": 7}, (1, 1, 2, 3, 24, 35)),
    ("upsample_bilinear", {"x": (2, 3, 4, 5)}, {"scale_factor_height": 1.5}, (1, 1, 2, 3, 6, 5)),
    ("upsample_bilinear", {"x": (2, 3, 4, 5)}, {"scale_factor_width": 2.5}, (1, 1, 2, 3, 4, 12)),
    ("resize_bilinear", {"x": (2, 3, 4, 5)}, {"target_size_height": 6, "target_size_width": 7}, (1, 1, 2, 3, 6, 7)),
    ("resize_bilinear", {"x": (2, 3, 4, 5)}, {}, (1, 1, 2, 3, 4, 5)),
    ("resize", {"x": (2, 3, 4, 5)}, {"shape": [6, 7]}, (1, 1, 2, 3, 6, 7)),
    ("resize", {"x": (2, 3, 4, 5)}, {"shape": [7]}, (1, 1, 2, 3, 4, 7)),
    ("resize", {"x": (5,)}, {"shape": [7]}, (1, 1, 7)),
    ("affine", {"x": (2, 3, 4, 5)}, {"output_height": 6, "output_width": 7}, (2, 3, 6, 7)),
    ("affine", {"x": (2, 3, 4, 5)}, {}, (2, 3, 1, 1)),
    ("crop_resize", {"x": (2, 3, 4, 5), "roi": (9, 1, 4, 1, 1)}, {"target_height": 6, "target_width": 7}, (9, 3, 6, 7)),
    ("crop_resize", {"x": (2, 3, 4, 5), "boxes": (9, 4)}, {}, (9, 3, 1, 1)),
    ("concat", {"values": (2, 3)}, {}, (6,)),
    ("expand_dims", {"x": (5, 6)}, {"axes": [0, 2]}, (5, 6, 1, 1)),
    ("pad", {"x": (5, 6)}, {"pad": [1, 2]}, (5, 9)),
    ("pad", {"x": (5, 6)}, {"pad": [1, 2, 3, 4]}, (8, 13)),
    ("pad", {"x": (5, 6)}, {"pad": [-1, 2, 3, -4]}, (7, 9)),
    ("reshape", {"x": (5, 6)}, {"shape": [1, 5, -1]}, (1, 1, 1)),
    ("tile", {"x": (5, 6)}, {"reps": [2, 3]}, (10, 18)),
    ("tile", {"x": (5, 6)}, {"reps": [2]}, (10, 6)),
    ("non_maximum_suppression", {"boxes": (2, 50, 4), "scores": (2, 50, 3)}, {"max_boxes": 7}, (2, 7, 50)),
    ("non_maximum_suppression", {"boxes": (2, 3, 4), "scores": (2, 3, 1)}, {}, (2, 1, 4)),
    ("non_maximum_suppression", {"boxes": (60, 3, 4), "scores": (60, 3, 1)}, {}, (60, 1, 4)),
    ("space_to_batch", {"x": (2, 3, 4, 5)}, {"paddings": [1, 2, 3, 4]}, (2, 3, 7, 12)),
    ("add", {"x": (5, 1, 6), "y": (7, 1)}, {}, (5, 7, 6)),
    ("select", {"cond": (5, 1), "a": (7,), "b": (1, 1, 1)}, {}, (1, 5, 7)),
    ("lstm", {"x": (9, 2, 3), "weight_ih": (16, 3), "weight_hh": (16, 4)}, {}, (9, 2, 16, 1)),
    ("lstm", {"x": (9, 2, 3), "weight_ih": (16, 3), "weight_hh": (16, 4), "weight_ih_back": (16, 3)}, {}, (9, 2, 16, 2)),
]


def declared(kind: str, shapes: Shapes, constants: dict[str, Any], result: tuple[int, ...] = ()) -> tuple[Any, Declarations]:
    values = {key: constant(value, (len(value),)) if isinstance(value, list) else value for key, value in constants.items()}
    return operation(kind, result, **{key: key for key in shapes}, **values), Declarations(
        {key: tensor_type(shape) for key, shape in shapes.items()}
    )


@pytest.mark.parametrize(("kind", "shapes", "constants", "expected"), FORETOLD)
def test_what_is_foretold(kind: str, shapes: Shapes, constants: dict[str, Any], expected: tuple[int, ...]) -> None:
    assert largest_shape(*declared(kind, shapes, constants)) == expected


@pytest.mark.parametrize(("kind", "shapes", "constants", "expected"), FORETOLD)
def test_an_unknown_length_counts_as_one(kind: str, shapes: Shapes, constants: dict[str, Any], expected: tuple[int, ...]) -> None:
    unknown = {key: (-1,) * len(shape) for key, shape in shapes.items()}
    found, known = largest_shape(*declared(kind, unknown, constants)), {key: (1,) * len(shape) for key, shape in shapes.items()}
    assert found == largest_shape(*declared(kind, known, constants))


def test_indices_of_an_equation_have_the_larger_length() -> None:
    equation = named_constant("equation", [0])
    equation.attributes["val"].immediateValue.tensor.strings.values.append("bij, bjk -> bik")
    declarations = Declarations({"a": tensor_type((2, 3, 4)), "b": tensor_type((1, 4, 5))})
    declarations.learn(equation)
    proto = operation("einsum", (2, 3, 5), equation="equation", values=["a", "b"])
    assert largest_shape(proto, declarations) == (2, 3, 5)
    assert macs(proto, declarations) == 2 * 3 * 4 * 5


def test_an_index_that_no_operand_has_counts_as_one() -> None:
    equation = named_constant("equation", [0])
    equation.attributes["val"].immediateValue.tensor.strings.values.append("ij -> ikj")
    declarations = Declarations({"a": tensor_type((2, 3))})
    declarations.learn(equation)
    assert largest_shape(operation("einsum", (2, 1, 3), equation="equation", values=["a"]), declarations) == (2, 1, 3)


@pytest.mark.parametrize(
    ("shape", "turned", "result", "expected"),
    [((4, 2, 3), False, (4, 2, 5), 120), ((4, 3, 2), True, (4, 2, 5), 120), ((3, 2), True, (2, 5), 30), ((3,), True, (5,), 15)],
)
def test_a_product_of_matrices_sums_over_the_axis_that_both_have(
    shape: tuple[int, ...], turned: bool, result: tuple[int, ...], expected: int
) -> None:
    assert macs(*declared("matmul", {"x": shape, "y": (3, 5)}, {"transpose_x": turned}, result)) == expected


@pytest.mark.parametrize(
    ("kind", "shapes", "result", "expected"),
    [
        ("linear", {"x": (2, 3), "weight": (5, 3)}, (2, 5), 2 * 5 * 3),
        ("linear", {"x": (2, 3)}, (2, 5), 0),
        ("matmul", {"y": (3, 5)}, (2, 5), 0),
        ("scaled_dot_product_attention", {"query": (4, 5), "key": (6,)}, (4, 7), 0),
        ("scaled_dot_product_attention", {"query": (4, 5), "key": (6, 5)}, (4, 7), 4 * 5 * 6 + 4 * 7 * 6),
        ("einsum", {}, (4,), 0),
        ("lstm", {"x": (9, 2, 3), "weight_ih": (16, 3), "weight_hh": (16, 4)}, (9, 2, 4), 9 * 2 * 16 * 7),
        ("lstm", {"x": (9, 2, 3), "weight_ih": (16, 3), "weight_hh": (16, 4), "weight_ih_back": (16, 3)}, (9, 2, 8), 2 * 9 * 2 * 16 * 7),
    ],
)
def test_what_is_not_declared_costs_nothing(kind: str, shapes: Shapes, result: tuple[int, ...], expected: int) -> None:
    assert macs(*declared(kind, shapes, {}, result)) == expected
