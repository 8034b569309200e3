import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb
from tests.mil.ops.arrays import seeds, values, whole

RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


def parameters(dtype: str, seed: int, count: int | None, with_zero: bool) -> dict:
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.01, 0.2, count).astype(np.float32) if count else np.float32(rng.uniform(0.01, 0.2))
    given: dict = {"scale": scale}
    if with_zero:
        zero = rng.integers(*RANGES[dtype], count).astype(dtype) if count else np.dtype(dtype).type(rng.integers(*RANGES[dtype]))
        given["zero_point"] = zero
    if count:
        given["axis"] = 1
    return given


def broadcast(value, count: int | None):
    return np.asarray(value, np.float64).reshape(1, -1, 1) if count else np.float64(value)


@pytest.mark.parametrize("dtype", RANGES)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, per_channel=st.booleans(), with_zero=st.booleans())
def test_quantize_rounds_to_even_and_saturates(dtype, seed, per_channel, with_zero) -> None:
    count = 4 if per_channel else None
    x = values(seed, 2, 4, 5, scale=12)
    p = parameters(dtype, seed, count, with_zero)
    scale = np.asarray(p["scale"]).reshape(1, -1, 1) if count else p["scale"]
    zero = broadcast(p.get("zero_point", 0), count)
    # The division is the program's own single precision; everything behind it is exact.
    expected = np.clip(np.rint(x / scale).astype(np.float64) + zero, *RANGES[dtype]).astype(np.int32)

    def body(x0):
        return mb.cast(x=mb.quantize(input=x0, output_dtype=dtype, **p), dtype="int32")

    check_op("quantize", body, [x], expected, 0)


def test_ties_go_to_the_even_step() -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    expected = np.array([-2, -2, 0, 0, 2, 2], np.int32)
    body = lambda x0: mb.cast(x=mb.quantize(input=x0, scale=np.float32(1), output_dtype="int8"), dtype="int32")  # noqa: E731
    check_op("quantize", body, [x], expected, 0)


@pytest.mark.parametrize("dtype", RANGES)
@settings(max_examples=25, deadline=None)
@given(seed=seeds, per_channel=st.booleans(), with_zero=st.booleans())
def test_dequantize_subtracts_in_integers(dtype, seed, per_channel, with_zero) -> None:
    count = 4 if per_channel else None
    q = whole(seed, *RANGES[dtype], 2, 4, 5)
    p = parameters(dtype, seed, count, with_zero)
    expected = (q - broadcast(p.get("zero_point", 0), count)) * broadcast(p["scale"], count)
    check_op("dequantize", lambda x0: mb.dequantize(input=mb.cast(x=x0, dtype=dtype), **p), [q], expected.astype(np.float32), 1e-6)


def test_a_difference_beyond_eight_bits_does_not_wrap() -> None:
    q = np.array([-128, 127], np.int32)
    p = {"scale": np.float32(1), "zero_point": np.int8(100)}
    expected = np.array([-228, 27], np.float32)
    check_op("dequantize", lambda x0: mb.dequantize(input=mb.cast(x=x0, dtype="int8"), **p), [q], expected, 0)
