"""Every form in which a package stores a convolution's weight: its grid, its codes and its scales, against NumPy by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcrn_mobile.conversion.encoding import float_weights, weight_encodings, with_constants
from fcrn_mobile.conversion.weights import read_weights
from fcrn_mobile.quantize.blocks import spread
from fcrn_mobile.quantize.grids import Integers, Table
from fcrn_mobile.quiet import quiet_coremltools

with quiet_coremltools():
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder, types

RNG = np.random.default_rng(0)
SHAPE = (4, 6, 1, 2)
BIAS = np.arange(4, dtype=np.float32)


def model(weight: Callable[[], Any], target: str, convolutions: int = 1) -> Any:
    """A program of convolutions y0, y1, … that read one weight."""
    with quiet_coremltools():

        @Builder.program(input_specs=[Builder.TensorSpec((1, 6, 3, 5))], opset_version=getattr(ct.target, target))
        def program(x: Any) -> Any:
            shared = weight()
            made = [Builder.conv(x=x, weight=shared, bias=BIAS, name=f"y{number}") for number in range(convolutions)]
            return made[0] if convolutions == 1 else tuple(made)

        return _as_it_is(program, target)


def _as_it_is(program: Any, target: str) -> Any:
    """A model of the program, its weights untouched."""
    return ct.convert(
        program,
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=ct.precision.FLOAT32,
        pass_pipeline=ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )


@dataclass
class Case:
    """A way to store: what makes it, codes, lowest and highest code, the values by hand, shape of the scales."""

    target: str
    make: Callable[[], Any]
    codes: NDArray[Any]
    low: int
    high: int
    values: NDArray[Any]
    scale: NDArray[Any]
    blocks: tuple[int, ...]
    argument: str


def affine(dtype: type, scale: NDArray[Any], zero: Any, axis: int, low: int, high: int) -> Case:
    codes: NDArray[Any] = RNG.integers(low, high + 1, SHAPE).astype(dtype)
    codes.flat[:2] = low, high
    blocks = tuple(SHAPE[k] if k == axis and scale.ndim else 1 for k in range(4))
    zeros = np.asarray(zero, np.float32).reshape(blocks if np.ndim(zero) else ())
    values = (codes.astype(np.float32) - zeros) * scale.astype(np.float32).reshape(blocks)
    zero_point = np.asarray(zero, dtype) if np.ndim(zero) else dtype(zero)
    parameter = scale if scale.ndim else scale.dtype.type(scale)

    def make() -> Any:
        return Builder.constexpr_affine_dequantize(quantized_data=codes, zero_point=zero_point, scale=parameter, axis=np.int32(axis))

    return Case("iOS16", make, codes, low, high, values, scale, blocks, "quantized_data")


def blockwise(dtype: type, counts: tuple[int, ...], offset: int | None, low: int, high: int, bits: str = "") -> Case:
    codes: NDArray[Any] = RNG.integers(low, high + 1, SHAPE).astype(dtype)
    codes.flat[:2] = low, high
    scale = RNG.uniform(0.25, 2, counts).astype(np.float32)
    spread = scale
    for axis, (length, count) in enumerate(zip(SHAPE, counts, strict=True)):
        spread = spread.repeat(length // count, axis)
    values = (codes.astype(np.float32) - (offset or 0)) * spread
    kind = types.string_to_builtin(bits) if bits else None

    def typed(array: NDArray[Any]) -> NDArray[Any]:
        return array.astype(types.nptype_from_builtin(kind)) if kind else array

    def make() -> Any:
        extra = {} if offset is None else {"offset": typed(np.full(counts, offset, dtype))}
        return Builder.constexpr_blockwise_shift_scale(data=typed(codes), scale=scale, **extra)

    return Case("iOS18", make, codes, low, high, values, scale, counts, "data")


F32 = np.float32
CASES = {
    "per channel": affine(np.int8, np.array([0.5, 1, 2, 0.25], F32), np.zeros(4), 0, -127, 127),
    "along the inputs": affine(np.int8, np.linspace(0.5, 2, 6).astype(F32), np.zeros(6), 1, -127, 127),
    "per tensor": affine(np.int8, np.array(0.5, F32), 0, 0, -127, 127),
    "with a zero point": affine(np.int8, np.array([0.5, 1, 2, 0.25], F32), [0, 0, 3, 0], 0, -128, 127),
    "one zero point": affine(np.int8, np.array(0.5, F32), 5, 0, -128, 127),
    "unsigned": affine(np.uint8, np.array([0.5, 1, 2, 0.25], F32), [128] * 4, 0, 0, 255),
    "unsigned without a zero point": affine(np.uint8, np.array([0.5, 1, 2, 0.25], F32), [0] * 4, 0, 0, 255),
    "blocks": blockwise(np.int8, (4, 3, 1, 1), None, -127, 127),
    "one block": blockwise(np.int8, (1, 1, 1, 1), None, -127, 127),
    "a channel each": blockwise(np.int8, (4, 1, 1, 1), 0, -127, 127),
    "two channels each": blockwise(np.int8, (2, 6, 1, 1), None, -127, 127),
    "blocks with an offset": blockwise(np.int8, (4, 2, 1, 1), 7, -128, 127),
    "unsigned blocks": blockwise(np.uint8, (4, 2, 1, 1), 128, 0, 255),
    "four bits": blockwise(np.int8, (4, 3, 1, 1), None, -7, 7, "int4"),
    "four bits unsigned": blockwise(np.uint8, (4, 3, 1, 1), 8, 0, 15, "uint4"),
}


@pytest.fixture(params=CASES, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[Case, Any]:
    case = CASES[request.param]
    return case, model(case.make, case.target)


def test_integers_are_read_with_their_scales_and_limits(pair: tuple[Case, Any]) -> None:
    case, made = pair
    (stored,) = weight_encodings(made).values()
    grid = stored.grid
    assert isinstance(grid, Integers)
    assert (grid.low, grid.high) == (case.low, case.high)
    assert spread(grid.scale, torch.Size(case.blocks)).shape == case.blocks
    assert (stored.argument, stored.packed, stored.scale_shape) == (case.argument, None, case.scale.shape)
    values = torch.from_numpy(case.values)
    assert torch.equal(grid.codes(values), torch.from_numpy(case.codes.astype(np.float32)))
    torch.testing.assert_close(grid.nearest(values + 0.1 * spread(grid.scale, values.shape)), values)
    scale = stored.scale()["weight.scale"]
    np.testing.assert_array_equal(scale, case.scale)
    assert (scale.shape, scale.dtype) == (case.scale.shape, case.scale.dtype)
    data = stored.codes(values)[f"weight.{case.argument}"]
    np.testing.assert_array_equal(data.astype(np.int64), case.codes.astype(np.int64))
    assert (data.dtype, data.dtype.metadata) == (stored.dtype, stored.dtype.metadata)


def test_what_lies_beyond_is_the_last_that_can_be_stored(pair: tuple[Case, Any]) -> None:
    case, made = pair
    (stored,) = weight_encodings(made).values()
    far = torch.full(SHAPE, 1e6)
    assert (stored.grid.codes(far) == case.high).all()
    assert (stored.grid.codes(-far) == case.low).all()


def test_other_codes_get_into_the_package(pair: tuple[Case, Any]) -> None:
    case, made = pair
    (stored,) = weight_encodings(made).values()
    values = torch.from_numpy(case.values).flip(0)
    if case.blocks[0] > 1:
        values = stored.grid.nearest(values)
    bias = BIAS[::-1].copy()
    with quiet_coremltools():
        again = with_constants(made, {"y0": stored.codes(values) | {"bias": bias}})
    (now,) = weight_encodings(again).values()
    assert str(now.grid) == str(stored.grid)
    with quiet_coremltools():
        specification = again.get_spec()
        loaded = ct.converters.mil.frontend.milproto.load.load(specification, specification.specificationVersion, again.weights_dir)
    (conv,) = (op for op in loaded.functions["main"].operations if op.op_type == "conv")
    np.testing.assert_array_equal(conv.bias.val, bias)
    np.testing.assert_array_equal(conv.weight.op.inputs[case.argument].val.astype(np.float32), stored.grid.codes(values).numpy())


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_codes_of_a_table_are_packed_from_the_lowest_bit(bits: int) -> None:
    table = np.sort(RNG.normal(size=2**bits)).astype(np.float32)
    codes = RNG.integers(0, 2**bits, SHAPE).astype(np.uint8)
    packed = np.packbits(np.array([[code >> bit & 1 for bit in range(bits)] for code in codes.flat], np.uint8), bitorder="little")
    made = model(lambda: Builder.constexpr_lut_to_dense(indices=packed, lut=table, shape=np.uint32(SHAPE)), "iOS16")
    (stored,) = weight_encodings(made).values()
    assert (stored.argument, stored.packed, stored.scale_dtype, stored.scale_shape) == ("indices", bits, None, None)
    values = torch.from_numpy(table[codes])
    np.testing.assert_array_equal(stored.grid.codes(values).numpy(), codes)
    assert torch.equal(stored.grid.nearest(values), values)
    data = stored.codes(values)["weight.indices"]
    assert data.dtype == np.uint8
    np.testing.assert_array_equal(data, packed)


@pytest.mark.parametrize("tables", [(1, 1), (2, 1), (4, 1)])
def test_tables_of_groups_are_those_of_their_output_channels(tables: tuple[int, int]) -> None:
    lut = RNG.normal(size=(*tables, 1, 1, 16, 1)).astype(np.float32)
    codes = RNG.integers(0, 16, SHAPE)
    kind = types.nptype_from_builtin(types.string_to_builtin("uint4"))
    made = model(lambda: Builder.constexpr_lut_to_dense(indices=codes.astype(kind), lut=lut), "iOS18")
    (stored,) = weight_encodings(made).values()
    values = np.empty(SHAPE, np.float32)
    for channel in range(4):
        values[channel] = lut[channel * tables[0] // 4, 0, 0, 0, :, 0][codes[channel]]
    assert isinstance(stored.grid, Table) and stored.packed is None
    np.testing.assert_array_equal(stored.grid.codes(torch.from_numpy(values)).numpy(), codes)
    np.testing.assert_array_equal(stored.grid.nearest(torch.from_numpy(values)).numpy(), values)
    data = stored.codes(torch.from_numpy(values))["weight.indices"]
    np.testing.assert_array_equal(data.astype(np.int64), codes)
    assert data.dtype.metadata == stored.dtype.metadata is not None


def test_tables_along_the_inputs_and_tables_of_vectors_are_left_out() -> None:
    kind = types.nptype_from_builtin(types.string_to_builtin("uint4"))
    codes = RNG.integers(0, 16, SHAPE).astype(kind)
    inputs = RNG.normal(size=(1, 2, 1, 1, 16, 1)).astype(np.float32)
    assert weight_encodings(model(lambda: Builder.constexpr_lut_to_dense(indices=codes, lut=inputs), "iOS18")) == {}
    columns = RNG.normal(size=(1, 1, 1, 2, 16, 1)).astype(np.float32)
    assert weight_encodings(model(lambda: Builder.constexpr_lut_to_dense(indices=codes, lut=columns), "iOS18")) == {}
    short = RNG.integers(0, 16, (2, *SHAPE[1:])).astype(kind)
    vectors = RNG.normal(size=(1, 1, 1, 1, 16, 2)).astype(np.float32)
    made = model(lambda: Builder.constexpr_lut_to_dense(indices=short, lut=vectors, vector_axis=np.int32(0)), "iOS18")
    assert weight_encodings(made) == {}


def test_a_weight_that_two_read_is_left_out_and_a_float_one_is_no_stored_one() -> None:
    case = CASES["per channel"]
    assert weight_encodings(model(case.make, case.target, convolutions=2)) == {}
    weight = RNG.normal(size=SHAPE).astype(np.float32)
    made = model(lambda: Builder.const(val=weight), "iOS16")
    assert weight_encodings(made) == {}
    assert list(float_weights(made)) == ["y0"]
    np.testing.assert_array_equal(float_weights(made)["y0"].numpy(), weight)
    assert float_weights(model(case.make, case.target)) == {}


def test_a_constant_that_two_read_is_given_to_each_apart() -> None:
    weight = RNG.normal(size=SHAPE).astype(np.float32)
    made = model(lambda: Builder.const(val=weight), "iOS16", convolutions=2)
    with quiet_coremltools():
        again = with_constants(made, {"y1": {"weight": 2 * weight}})
    found = float_weights(again)
    np.testing.assert_array_equal(found["y0"].numpy(), weight)
    np.testing.assert_array_equal(found["y1"].numpy(), 2 * weight)
    assert len(read_weights(again)[0]) == 2


LINEAR = (4, 6)


def linear(weight: Callable[[], Any], target: str) -> Any:
    """A program of one linear layer."""
    with quiet_coremltools():

        @Builder.program(input_specs=[Builder.TensorSpec((1, 3, 6))], opset_version=getattr(ct.target, target))
        def program(x: Any) -> Any:
            return Builder.linear(x=x, weight=weight(), bias=BIAS, name="y0")

        return _as_it_is(program, target)


def _linear_integers() -> tuple[str, Callable[[], Any], NDArray[Any]]:
    codes, scale = RNG.integers(-127, 128, LINEAR).astype(np.int8), RNG.uniform(0.25, 2, 4).astype(F32)
    zero = np.zeros(4, np.int8)
    values = codes * scale[:, None]
    return (
        "iOS16",
        lambda: Builder.constexpr_affine_dequantize(quantized_data=codes, zero_point=zero, scale=scale, axis=np.int32(0)),
        values,
    )


def _linear_blocks() -> tuple[str, Callable[[], Any], NDArray[Any]]:
    codes, scale = RNG.integers(-127, 128, LINEAR).astype(np.int8), RNG.uniform(0.25, 2, (4, 3)).astype(F32)
    return "iOS18", lambda: Builder.constexpr_blockwise_shift_scale(data=codes, scale=scale), codes * scale.repeat(2, 1)


def _linear_table() -> tuple[str, Callable[[], Any], NDArray[Any]]:
    codes, table = RNG.integers(0, 16, LINEAR).astype(np.uint8), np.sort(RNG.normal(size=16)).astype(F32)
    packed = np.packbits(np.array([[code >> bit & 1 for bit in range(4)] for code in codes.flat], np.uint8), bitorder="little")
    return "iOS16", lambda: Builder.constexpr_lut_to_dense(indices=packed, lut=table, shape=np.uint32(LINEAR)), table[codes]


def _linear_tables() -> tuple[str, Callable[[], Any], NDArray[Any]]:
    codes, tables = RNG.integers(0, 16, LINEAR), RNG.normal(size=(2, 1, 16, 1)).astype(F32)
    kind = types.nptype_from_builtin(types.string_to_builtin("uint4"))
    values = np.stack([tables[channel // 2, 0, :, 0][codes[channel]] for channel in range(4)])
    return "iOS18", lambda: Builder.constexpr_lut_to_dense(indices=codes.astype(kind), lut=tables), values


@pytest.mark.parametrize("make", [_linear_integers, _linear_blocks, _linear_table, _linear_tables])
def test_weights_of_linear_layers_are_read_and_written_likewise(make: Callable[[], tuple[str, Callable[[], Any], NDArray[Any]]]) -> None:
    target, weight, expected = make()
    made = linear(weight, target)
    ((name, stored),) = weight_encodings(made).items()
    values = torch.from_numpy(expected.astype(F32))
    assert name == "y0"
    torch.testing.assert_close(stored.grid.nearest(values), values)
    other = stored.grid.nearest(values.flip(1))
    assert not torch.equal(other, values)
    with quiet_coremltools():
        again = with_constants(made, {"y0": stored.codes(other)})
        specification = again.get_spec()
        loaded = ct.converters.mil.frontend.milproto.load.load(specification, specification.specificationVersion, again.weights_dir)
    (layer,) = (op for op in loaded.functions["main"].operations if op.op_type == "linear")
    np.testing.assert_allclose(layer.weight.op.materialized_val_inference(), other.numpy(), rtol=1e-6)


def test_float_weights_of_linear_layers_are_those_of_the_program() -> None:
    weight = RNG.normal(size=LINEAR).astype(F32)
    (found,) = float_weights(linear(lambda: Builder.const(val=weight), "iOS16")).values()
    np.testing.assert_array_equal(found.numpy(), weight)
