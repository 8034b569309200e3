"""Sizes that are foretold equal what coremltools infers for the same operator."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcrn_mobile.mil.costs import largest_shape
from fcrn_mobile.mil.declared import Declarations
from fcrn_mobile.mil.values import shape_of
from fcrn_mobile.package.reading import function_block, read_specification
from tests.mil.build import mb, save_program

ONE, WIDE, IMAGE = np.zeros((2, 3, 1), np.float32), np.zeros((3, 5), np.float32), np.zeros((1, 2, 6, 8), np.float32)
WEIGHT = np.zeros((4, 2, 3, 3), np.float32)

CASES: dict[str, tuple[Callable[..., Any], list[np.ndarray]]] = {
    "add": (lambda x0, x1: mb.add(x=x0, y=x1), [ONE, WIDE]),
    "concat": (lambda x0: mb.concat(values=[x0, x0, x0], axis=1), [ONE]),
    "conv_transpose": (
        lambda x0: mb.conv_transpose(x=x0, weight=np.zeros((2, 4, 3, 3), np.float32), strides=[2, 3], dilations=[2, 1], pad_type="valid"),
        [IMAGE],
    ),
    "expand_dims": (lambda x0: mb.expand_dims(x=x0, axes=[0, 3]), [WIDE]),
    "fill": (lambda x0: mb.add(x=x0, y=mb.fill(shape=[7, 2, 3, 1], value=1.0)), [ONE]),
    "gather": (lambda x0: mb.gather(x=x0, indices=np.array([[0, 1], [2, 3]], np.int32), axis=-1), [WIDE]),
    "linear": (lambda x0: mb.linear(x=x0, weight=np.zeros((9, 5), np.float32)), [WIDE]),
    "matmul": (lambda x0: mb.matmul(x=x0, y=np.zeros((2, 7, 3), np.float32), transpose_x=True, transpose_y=True), [WIDE]),
    "one_hot": (lambda x0: mb.one_hot(indices=x0, one_hot_vector_size=11), [np.zeros((2, 3), np.int32)]),
    "pad": (lambda x0: mb.pad(x=x0, pad=[1, 2, 0, 3], mode="constant", constant_val=0.0), [IMAGE]),
    "resize_bilinear": (lambda x0: mb.resize_bilinear(x=x0, target_size_height=9, target_size_width=20), [IMAGE]),
    "select": (lambda x0, x1: mb.select(cond=mb.greater(x=x0, y=0.0), a=x0, b=x1), [ONE, WIDE]),
    "sliding_windows": (lambda x0: mb.sliding_windows(x=x0, axis=3, size=4, stride=2), [IMAGE]),
    "space_to_batch": (lambda x0: mb.space_to_batch(x=x0, block_shape=[2, 2], paddings=[[2, 0], [1, 3]]), [IMAGE]),
    "tile": (lambda x0: mb.tile(x=x0, reps=[4, 5]), [WIDE]),
    "upsample_bilinear": (lambda x0: mb.upsample_bilinear(x=x0, scale_factor_height=3.0, scale_factor_width=2.0), [IMAGE]),
}


def foretold(package: Path, kind: str) -> tuple[int, int]:
    """Elements that are foretold for an operator, and those that the package declares."""
    model, _ = read_specification(package)
    function, block = function_block(model, package)
    types = {value.name: value.type for value in function.inputs}
    declarations = Declarations(types)
    for operation in block.operations:
        shape = largest_shape(operation, declarations)
        types |= {output.name: output.type for output in operation.outputs}
        declarations.types = types
        declarations.learn(operation)
        if operation.type == kind:
            assert shape is not None
            return math.prod(shape), math.prod(shape_of(operation.outputs[0].type))
    raise AssertionError(f"no {kind} in the package")


@pytest.mark.parametrize("kind", CASES)
def test_sizes_are_foretold_exactly(kind: str, tmp_path) -> None:
    body, inputs = CASES[kind]
    ours, theirs = foretold(save_program(tmp_path, body, inputs), kind)
    assert ours == theirs


def test_a_convolution_counts_what_it_yields_or_its_padded_input(tmp_path) -> None:
    def conv(x0: Any) -> Any:
        return mb.conv(x=x0, weight=WEIGHT, strides=strides, pad_type="custom", pad=[2, 2, 3, 3])

    strides = [1, 1]
    ours, theirs = foretold(save_program(tmp_path, conv, [IMAGE]), "conv")
    assert ours == theirs == 4 * 8 * 12
    strides = [2, 3]
    ours, theirs = foretold(save_program(tmp_path, conv, [IMAGE]), "conv")
    assert ours == 2 * (6 + 4) * (8 + 6) > theirs


def test_pooling_counts_the_padded_input_and_in_ceil_mode_a_stride_more(tmp_path) -> None:
    def pool(x0: Any) -> Any:
        return mb.max_pool(x=x0, kernel_sizes=[3, 3], strides=[2, 3], pad_type="custom", pad=[1, 1, 1, 1], ceil_mode=ceil_mode)

    ceil_mode = False
    assert foretold(save_program(tmp_path, pool, [IMAGE]), "max_pool")[0] == 2 * (6 + 2) * (8 + 2)
    ceil_mode = True
    assert foretold(save_program(tmp_path, pool, [IMAGE]), "max_pool")[0] == 2 * (6 + 2 + 2) * (8 + 2 + 3)


def test_scaling_attention_counts_its_weights(tmp_path) -> None:
    query, key = np.zeros((2, 7, 4), np.float32), np.zeros((2, 9, 4), np.float32)
    package = save_program(tmp_path, lambda x0, x1: mb.scaled_dot_product_attention(query=x0, key=x1, value=x1), [query, key], "iOS18")
    assert foretold(package, "scaled_dot_product_attention")[0] == 2 * 7 * 9


def test_ranges_end_where_they_should(tmp_path) -> None:
    package = save_program(tmp_path, lambda x0: mb.add(x=x0, y=mb.range_1d(start=1.0, end=6.0, step=1.0)), [WIDE])
    assert foretold(package, "range_1d")[0] == 5
