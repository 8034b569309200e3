"""Compressed constants from disk, against formulas and against coremltools' own expansion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mil.build import check_op, mb, types
from tests.mil.ops.arrays import seeds

X = np.zeros((1,), np.float32)
UINTS = {1: "uint1", 2: "uint2", 3: "uint3", 4: "uint4", 6: "uint6", 8: "uint8"}


def typed(values: np.ndarray, name: str) -> np.ndarray:
    """Values as the builder takes a type that NumPy lacks."""
    return values.astype(types.nptype_from_builtin(types.string_to_builtin(name)))


def check_constant(kind: str, build, expected: np.ndarray, target: str, tolerance: float = 1e-6) -> None:
    """The expanded constant, added to an input so that it reaches an output."""
    check_op(kind, lambda x0: mb.add(x=x0, y=build()), [X], expected, tolerance, target)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, axis=st.integers(-2, 1), per_slice=st.booleans(), signed=st.booleans())
def test_affine_dequantization_equals_its_formula(seed, axis, per_slice, signed) -> None:
    rng = np.random.default_rng(seed)
    dtype, low, high = (np.int8, -128, 128) if signed else (np.uint8, 0, 256)
    shape = (4, 6)
    q = rng.integers(low, high, shape).astype(dtype)
    count = (shape[axis],) if per_slice else ()
    scale, zero = rng.uniform(0.01, 1, count).astype(np.float32), rng.integers(low, high, count).astype(dtype)
    along = [1, 1]
    along[axis] = -1
    s, z = (np.asarray(v, np.float64).reshape(along) if per_slice else np.float64(v) for v in (scale, zero))
    expected = ((q - z) * s).astype(np.float32)

    def build():
        return mb.constexpr_affine_dequantize(quantized_data=q, zero_point=zero, scale=scale, axis=axis)

    check_constant("constexpr_affine_dequantize", build, expected, "iOS16")


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8", "uint8"])
@settings(max_examples=15, deadline=None)
@given(seed=seeds, blocks=st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([1, 3, 6])), with_offset=st.booleans())
def test_blockwise_scales_cover_their_blocks(dtype, seed, blocks, with_offset) -> None:
    rng = np.random.default_rng(seed)
    low, high = {"int4": (-8, 8), "uint4": (0, 16), "int8": (-128, 128), "uint8": (0, 256)}[dtype]
    q, offset = rng.integers(low, high, (4, 6)), rng.integers(low, high, blocks)
    scale = rng.uniform(0.01, 1, blocks).astype(np.float32)
    block = np.ones((4 // blocks[0], 6 // blocks[1]))
    expected = (q - (np.kron(offset, block) if with_offset else 0)) * np.kron(scale, block)
    optional = {"offset": typed(offset, dtype)} if with_offset else {}

    def build():
        return mb.constexpr_blockwise_shift_scale(data=typed(q, dtype), scale=scale, **optional)

    check_constant("constexpr_blockwise_shift_scale", build, expected.astype(np.float32), "iOS18")


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_a_table_of_iOS16_is_read_from_packed_bits(bits) -> None:  # noqa: N802
    rng = np.random.default_rng(bits)
    table = rng.standard_normal(2**bits).astype(np.float32)
    indices = rng.integers(0, 2**bits, (3, 5, 7))
    # Packed by hand: bit k of index i is bit i·bits + k of the stream, lowest first.
    stream = [(int(index) >> k) & 1 for index in indices.ravel() for k in range(bits)]
    stream += [0] * (-len(stream) % 8)
    packed = np.array([sum(bit << k for k, bit in enumerate(stream[i : i + 8])) for i in range(0, len(stream), 8)], np.uint8)
    shape = np.array(indices.shape, np.uint32)

    def build():
        return mb.constexpr_lut_to_dense(indices=packed, lut=table, shape=shape)

    check_constant("constexpr_lut_to_dense", build, table[indices], "iOS16")


@pytest.mark.parametrize("bits", UINTS)
@pytest.mark.parametrize("groups", [(1, 1), (2, 1), (1, 3), (4, 6)])
def test_grouped_tables_of_iOS18(bits, groups) -> None:  # noqa: N802
    rng = np.random.default_rng(bits)
    indices = rng.integers(0, 2**bits, (4, 6))
    lut = rng.standard_normal((*groups, 2**bits, 1)).astype(np.float32)
    expected = np.zeros((4, 6), np.float32)
    for i, j in np.ndindex(4, 6):
        expected[i, j] = lut[i * groups[0] // 4, j * groups[1] // 6, indices[i, j], 0]

    def build():
        return mb.constexpr_lut_to_dense(indices=typed(indices, UINTS[bits]), lut=lut)

    check_constant("constexpr_lut_to_dense", build, expected, "iOS18")


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("groups", [1, 2])
def test_vector_tables_lay_their_entries_along_an_axis(axis, groups) -> None:
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 4, (4, 6))
    lut = rng.standard_normal((groups, 1, 4, 3)).astype(np.float32)
    shape = [4, 6]
    shape[axis] *= 3
    expected = np.zeros(shape, np.float32)
    for place in np.ndindex(4, 6):
        for k in range(3):
            there = list(place)
            there[axis] = place[axis] * 3 + k
            expected[tuple(there)] = lut[place[0] * groups // 4, 0, indices[place], k]

    def build():
        return mb.constexpr_lut_to_dense(indices=typed(indices, "uint2"), lut=lut, vector_axis=axis)

    check_constant("constexpr_lut_to_dense", build, expected, "iOS18")


@settings(max_examples=20, deadline=None)
@given(seed=seeds, share=st.floats(0.1, 1))
def test_sparse_values_fill_the_mask_in_order(seed, share) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((3, 5, 2)) < share
    mask[0, 0, 0] = True
    dense = np.where(mask, rng.standard_normal(mask.shape), 0).astype(np.float32)
    bits, shape = np.packbits(mask.ravel(), bitorder="little"), np.array(mask.shape, np.uint32)

    def older():
        return mb.constexpr_sparse_to_dense(nonzero_data=dense[mask], mask=bits, shape=shape)

    def newer():
        return mb.constexpr_sparse_to_dense(nonzero_data=dense[mask], mask=typed(mask, "uint1"))

    check_constant("constexpr_sparse_to_dense", older, dense, "iOS16")
    check_constant("constexpr_sparse_to_dense", newer, dense, "iOS18")


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_sparse_tables_and_sparse_scales_expand_in_two_steps(seed) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 6)) < 0.6
    mask[0, 0] = True
    indices = rng.integers(0, 4, (4, 6))
    lut = rng.standard_normal((2, 1, 4, 1)).astype(np.float32)
    table = np.array([[lut[i // 2, 0, indices[i, j], 0] for j in range(6)] for i in range(4)])

    def from_table():
        kept, data = mb.constexpr_lut_to_sparse(
            indices_mask=typed(mask, "uint1"), indices_nonzero_data=typed(indices[mask], "uint2"), lut=lut
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=data, mask=kept)

    check_constant("constexpr_lut_to_sparse", from_table, np.where(mask, table, 0).astype(np.float32), "iOS18")
    q, scale = rng.integers(-8, 8, (4, 6)), rng.uniform(0.1, 1, (1, 6)).astype(np.float32)
    offset = rng.integers(-8, 8, (1, 6))

    def from_scale():
        kept, data = mb.constexpr_sparse_blockwise_shift_scale(
            data_mask=typed(mask, "uint1"), nonzero_data=typed(q[mask], "int4"), scale=scale, offset=typed(offset, "int4")
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=data, mask=kept)

    expected = np.where(mask, (q - offset) * scale, 0).astype(np.float32)
    check_constant("constexpr_sparse_blockwise_shift_scale", from_scale, expected, "iOS18")


def test_a_sparse_vector_table_widens_its_mask() -> None:
    # The worked example in coremltools' documentation of the operator.
    mask = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]])
    data = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1])
    lut = np.array([[2.0, 2.0], [3.0, 3.0]], np.float32).reshape(1, 1, 2, 2)
    rows = [[2, 3, 0, 0, 0, 0], [3, 2, 0, 0, 0, 3], [0, 3, 2, 0, 2, 0], [0, 0, 0, 3, 0, 0]]

    def build():
        kept, values = mb.constexpr_lut_to_sparse(
            indices_mask=typed(mask, "uint1"), indices_nonzero_data=typed(data, "uint1"), lut=lut, vector_axis=0
        )
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=kept)

    check_constant("constexpr_lut_to_sparse", build, np.repeat(np.array(rows, np.float32), 2, axis=0), "iOS18")


def test_scales_of_a_table_may_be_compressed_themselves() -> None:
    indices = np.array([[0, 1], [1, 1]])
    quantized = np.array([-7, 5]).reshape(1, 1, 2, 1)
    scale = np.full((1, 1, 1, 1), 0.5, np.float32)

    def build():
        lut = mb.constexpr_blockwise_shift_scale(data=typed(quantized, "int8"), scale=scale)
        return mb.constexpr_lut_to_dense(indices=typed(indices, "uint1"), lut=lut)

    check_constant("constexpr_lut_to_dense", build, np.array([[-3.5, 2.5], [2.5, 2.5]], np.float32), "iOS18")


@pytest.mark.parametrize("target", ["iOS16", "iOS18"])
def test_a_half_precision_constant_may_be_stored_for_single_precision(target) -> None:
    half = np.array([1.5, -2.25], np.float16)
    check_constant("constexpr_cast", lambda: mb.constexpr_cast(source_val=half, output_dtype="fp32"), half.astype(np.float32), target)
