"""Under ``float16`` every operator's result is rounded, and under any policy its shape is held against the declared one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.arithmetic import Arithmetic
from fcrn_mobile.mil.interface import Feature
from fcrn_mobile.mil.shapes import ShapeRule
from tests.mil.build import mb, save_program
from tests.mil.damage import block_of, dimensions, specification
from tests.mil.ops.arrays import values

SHAPE = (1, 4, 6, 6)
A, B = (np.abs(values(seed, *SHAPE, scale=1.0)).astype(np.float16) + np.float16(0.1) for seed in (0, 1))
KERNEL, ROWS = values(2, 4, 4, 3, 3, scale=1.0).astype(np.float16), values(3, 5, 6, scale=1.0).astype(np.float16)
FOUR = np.array([0.3, 0.7, 1.1, 1.9], np.float16)
WINDOW = {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "valid"}


def called(kind: str, *inputs: str) -> Callable[..., Any]:
    """An operator of these inputs alone."""
    return lambda x, y: getattr(mb, kind)(**dict(zip(inputs, (x, y), strict=False)), name="z")


ALONE = ("exp", "log", "sqrt", "rsqrt", "square", "inverse", "erf", "sin", "sigmoid", "tanh", "gelu", "silu", "softplus")
#: Operators that compute, each on inputs like A and B.
COMPUTING: dict[str, Callable[..., Any]] = {
    **{kind: called(kind, "x", "y") for kind in ("add", "sub", "mul", "real_div", "pow")},
    **{kind: called(kind, "x") for kind in ALONE},
    "mod": lambda x, y: mb.mod(x=mb.mul(x=x, y=np.float16(1.7)), y=mb.sqrt(x=y), name="z"),
    "leaky_relu": lambda x, y: mb.leaky_relu(x=mb.sub(x=x, y=y), alpha=np.float16(0.3), name="z"),
    "prelu": lambda x, y: mb.prelu(x=mb.sub(x=x, y=y), alpha=FOUR, name="z"),
    "elu": lambda x, y: mb.elu(x=mb.sub(x=x, y=y), alpha=np.float16(0.3), name="z"),
    "softmax": lambda x, y: mb.softmax(x=x, axis=1, name="z"),
    "conv": lambda x, y: mb.conv(x=x, weight=KERNEL, pad_type="valid", name="z"),
    "conv_transpose": lambda x, y: mb.conv_transpose(x=x, weight=KERNEL, pad_type="valid", name="z"),
    "linear": lambda x, y: mb.linear(x=x, weight=ROWS, name="z"),
    "matmul": lambda x, y: mb.matmul(x=x, y=y, name="z"),
    "einsum": lambda x, y: mb.einsum(values=(x, mb.transpose(x=y, perm=[0, 3, 2, 1])), equation="nchw,nwhu->nchu", name="z"),
    "batch_norm": lambda x, y: mb.batch_norm(x=x, mean=FOUR, variance=FOUR, name="z"),
    "instance_norm": called("instance_norm", "x"),
    "l2_norm": called("l2_norm", "x"),
    "layer_norm": lambda x, y: mb.layer_norm(x=x, axes=[-1], name="z"),
    "avg_pool": lambda x, y: mb.avg_pool(x=x, name="z", **WINDOW),
    "l2_pool": lambda x, y: mb.l2_pool(x=x, name="z", **WINDOW),
    "reduce_mean": lambda x, y: mb.reduce_mean(x=x, axes=[2], name="z"),
    "reduce_sum": lambda x, y: mb.reduce_sum(x=x, axes=[2], name="z"),
    "reduce_prod": lambda x, y: mb.reduce_prod(x=x, axes=[2], name="z"),
    "reduce_l2_norm": lambda x, y: mb.reduce_l2_norm(x=x, axes=[2], name="z"),
    "reduce_log_sum_exp": lambda x, y: mb.reduce_log_sum_exp(x=x, axes=[2], name="z"),
    "cumsum": lambda x, y: mb.cumsum(x=x, axis=2, name="z"),
    "resize_bilinear": lambda x, y: mb.resize_bilinear(x=x, target_size_height=9, target_size_width=7, name="z"),
    "upsample_bilinear": lambda x, y: mb.upsample_bilinear(x=x, scale_factor_height=3.0, scale_factor_width=2.0, name="z"),
}
#: Operators that hand values on: rounding them again would change nothing.
MOVING: dict[str, Callable[..., Any]] = {
    "relu": lambda x, y: mb.relu(x=mb.sub(x=x, y=y), name="z"),
    "abs": lambda x, y: mb.abs(x=x, name="z"),
    "clip": lambda x, y: mb.clip(x=x, alpha=np.float16(0.3), beta=np.float16(0.9), name="z"),
    "maximum": lambda x, y: mb.maximum(x=x, y=y, name="z"),
    "max_pool": lambda x, y: mb.max_pool(x=x, name="z", **WINDOW),
    "reduce_max": lambda x, y: mb.reduce_max(x=x, axes=[2], name="z"),
    "concat": lambda x, y: mb.concat(values=(x, y), axis=1, name="z"),
    "reshape": lambda x, y: mb.reshape(x=x, shape=[4, 36], name="z"),
    "transpose": lambda x, y: mb.transpose(x=x, perm=[0, 2, 3, 1], name="z"),
    "pixel_shuffle": lambda x, y: mb.pixel_shuffle(x=x, upscale_factor=2, name="z"),
    "slice_by_index": lambda x, y: mb.slice_by_index(x=x, begin=[0, 0, 1, 1], end=[1, 4, 5, 5], name="z"),
    "upsample_nearest_neighbor": lambda x, y: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2.0, scale_factor_width=2.0, name="z"),
}


def half(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def package_of(kind: str, folder: Path) -> Path:
    body = (COMPUTING | MOVING)[kind]
    return save_program(folder, lambda x0, x1: body(x0, x1), [A, B], "iOS17")


def last(package: Path, arithmetic: Any) -> np.ndarray:
    program = Program.load(package, arithmetic)
    assert any(operation.name == "z" for operation in program.operations)
    (result,) = program.predict({"x0": A, "x1": B}).values()
    return np.asarray(result)


@pytest.mark.parametrize("kind", COMPUTING)
def test_what_an_operator_computes_is_rounded_to_half_precision(kind: str, tmp_path: Path) -> None:
    package = package_of(kind, tmp_path)
    wide, rounded = last(package, "float32"), last(package, "float16")
    assert not np.array_equal(half(wide), wide), "nothing here needs rounding"
    np.testing.assert_array_equal(half(rounded), rounded)
    np.testing.assert_allclose(rounded, wide, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", MOVING)
def test_what_an_operator_hands_on_is_half_precision_already(kind: str, tmp_path: Path) -> None:
    rounded = last(package_of(kind, tmp_path), "float16")
    np.testing.assert_array_equal(half(rounded), rounded)


@pytest.mark.parametrize("kind", sorted((COMPUTING | MOVING).keys() - {"matmul"}))  # of which coremltools declares too little at times
def test_a_result_of_another_shape_than_declared_stops_the_run(kind: str, tmp_path: Path) -> None:
    package = package_of(kind, tmp_path)
    Program.load(package).predict({"x0": A, "x1": B})

    def declared_longer(model: Any) -> None:
        (operation,) = (o for o in block_of(model).operations if o.outputs[0].name == "z")
        lengths = [dimension.constant.size for dimension in operation.outputs[0].type.tensorType.dimensions]
        dimensions(operation.outputs[0].type, *lengths[:-1], lengths[-1] + 1)

    specification(declared_longer)(package)
    with pytest.raises(MilError, match=f"operator '{kind}' at 'z' gives shape .*, declared is"):
        Program.load(package).predict({"x0": A, "x1": B})


@pytest.mark.parametrize(("color", "channels"), [("GRAYSCALE", 1), ("RGB", 3), ("BGR", 3)])
def test_pixels_of_an_image_output_are_the_nearest_that_eight_bits_hold(color: str, channels: int) -> None:
    result = torch.tensor([0.4, 0.6, 99.51, 254.7, 255.4, 300, -7, float("inf")]).expand(1, channels, 2, 8).clone()
    pixels = Feature("y", "image", color, ShapeRule((2, 8))).to_array(result)
    expected = np.array([0, 1, 100, 255, 255, 255, 0, 255], np.uint8)
    np.testing.assert_array_equal(pixels, np.broadcast_to(expected if channels == 1 else expected[:, None], pixels.shape))
    assert pixels.dtype == np.uint8


def test_arrays_and_pictures_of_half_precision_go_in_rounded() -> None:
    given = np.array([[1 / 3, 65504, 65520, 1e9]], np.float32)
    array = Feature("x", "array", "FLOAT16", ShapeRule((1, 4))).to_tensor(given)
    picture = Feature("x", "image", "GRAYSCALE_FLOAT16", ShapeRule((1, 4))).to_tensor(given)
    for tensor in (array, picture):
        np.testing.assert_array_equal(tensor.numpy().reshape(1, 4), half(given))
    assert np.isinf(half(given)).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("policy", ["float32", "float16", "ane"])
def test_half_precision_ends_at_65504_and_products_of_the_neural_engine_earlier(policy: Any) -> None:
    assert Arithmetic(policy).largest("add", "FLOAT16") == 65504
    assert Arithmetic(policy).largest("conv", "FLOAT16") == (32750 if policy == "ane" else 65504)
    assert Arithmetic(policy).largest("conv", "FLOAT32") == np.inf


@pytest.mark.parametrize("value", [65504.0, 65519.0, 65520.0, -65520.0, 1e6])
def test_values_beyond_half_precision_become_infinite(value: float, tmp_path: Path) -> None:
    package = save_program(tmp_path, lambda x0: mb.mul(x=mb.cast(x=x0, dtype="fp16"), y=np.float16(1)), [np.zeros(1, np.float32)])
    (result,) = Program.load(package, "float16").predict({"x0": np.array([value], np.float32)}).values()
    np.testing.assert_array_equal(result, half(np.array([value], np.float32)))
