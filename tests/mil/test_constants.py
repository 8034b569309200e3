import math
import shutil
import struct
import time
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fcrn_mobile.mil import MilError, Program
from fcrn_mobile.mil.ops.constexpr import constexpr_affine_dequantize, constexpr_blockwise_shift_scale
from fcrn_mobile.mil.values import LARGEST, Constants, shape_of, type_name
from fcrn_mobile.package.blob import PACKED, WHOLE, BlobFile, unpack
from fcrn_mobile.package.reading import function_block, read_specification
from fcrn_mobile.quiet import quiet_coremltools
from tests.mil.build import mb, save_program, types

with quiet_coremltools():
    from coremltools.converters.mil.backend.mil.helper import create_list_scalarvalue, create_scalar_value, create_tensor_value
    from coremltools.libmilstoragepython import _BlobStorageReader, _BlobStorageWriter
    from coremltools.proto import MIL_pb2

#: Stored type → what its methods are called in coremltools' own writer and reader.
METHODS = {name: {"FLOAT16": "fp16", "FLOAT32": "float"}.get(name, name.lower()) for name in (*WHOLE, *PACKED)}
BITS = {
    **{name: 8 * np.dtype(dtype).itemsize for name, (_, dtype) in WHOLE.items()},
    **{name: bits for name, (_, bits, _) in PACKED.items()},
}


def numbers(name: str, count: int, seed: int = 0) -> np.ndarray:
    """Random values over the whole range of a stored type."""
    rng = np.random.default_rng(seed)
    if name.startswith("FLOAT"):
        return (rng.normal(size=count) * 100).astype(name.lower())
    low, high = (-(2 ** (BITS[name] - 1)), 2 ** (BITS[name] - 1)) if name.startswith("INT") else (0, 2 ** BITS[name])
    dtype = WHOLE[name][1] if name in WHOLE else np.int8 if name == "INT4" else np.uint8
    return rng.integers(low, high, count).astype(dtype)


def write_blobs(path: Path, blobs: dict[str, np.ndarray]) -> dict[str, int]:
    """A weights file by coremltools' own writer; where the metadata of each blob stands."""
    writer = _BlobStorageWriter(str(path))
    offsets = {}
    for name, values in blobs.items():
        data = values.view(np.uint16) if name == "FLOAT16" else values
        if name in PACKED:
            data = values.astype(types.nptype_from_builtin(getattr(types, name.lower())))
        offsets[name] = getattr(writer, f"write_{METHODS[name]}_data")(data)
    del writer
    return offsets


def blob_value(name: str, shape: tuple[int, ...], offset: int, file_name: str = "@model_path/weights/weight.bin") -> Any:
    value = MIL_pb2.Value()
    value.blobFileValue.fileName, value.blobFileValue.offset = file_name, offset
    value.type.tensorType.dataType, value.type.tensorType.rank = MIL_pb2.DataType.Value(name), len(shape)
    for length in shape:
        value.type.tensorType.dimensions.add().constant.size = length
    return value


def test_every_weight_of_a_package_equals_coremltools_own_reader(packages) -> None:
    compared = 0
    for precision in ("fp32", "fp16", "int8"):
        model, folder = read_specification(packages[precision])
        path = folder / "weights" / "weight.bin"
        theirs, ours = _BlobStorageReader(str(path)), BlobFile(path)
        for operation in function_block(model, packages[precision])[1].operations:
            for value in operation.attributes.values():
                if value.WhichOneof("value") != "blobFileValue":
                    continue
                kind, count = type_name(value.type), math.prod(shape_of(value.type))
                expected = np.array(getattr(theirs, f"read_{METHODS[kind]}_data")(value.blobFileValue.offset))
                actual = ours.read(value.blobFileValue.offset, kind, count)
                if kind == "FLOAT16" and expected.dtype != np.float16:
                    expected = expected.astype(np.uint16).view(np.float16)  # its bindings hand over the bits
                np.testing.assert_array_equal(actual, expected)
                compared += 1
    assert compared > 150


@pytest.mark.parametrize("name", METHODS)
def test_every_stored_type_reads_back_what_coremltools_wrote(name: str, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp(name)

    @settings(max_examples=20, deadline=None)
    @given(count=st.integers(1, 70), seed=st.integers(0, 999))
    def check(count: int, seed: int) -> None:
        values = numbers(name, count, seed)
        path = folder / f"{count}-{seed}.bin"
        offset = write_blobs(path, {name: values})[name]
        actual = BlobFile(path).read(offset, name, count)
        assert actual.dtype == values.dtype
        np.testing.assert_array_equal(actual, values)

    check()


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 7), signed=st.booleans(), count=st.integers(0, 50), seed=st.integers(0, 999))
def test_unpacking_takes_bit_after_bit_from_the_lowest_on(bits: int, signed: bool, count: int, seed: int) -> None:
    raw = np.random.default_rng(seed).integers(0, 256, math.ceil(bits * count / 8), dtype=np.uint8)
    stream = int.from_bytes(raw.tobytes(), "little")
    expected = [stream >> (bits * index) & (2**bits - 1) for index in range(count)]
    if signed:
        expected = [value - 2**bits if value >= 2 ** (bits - 1) else value for value in expected]
    assert unpack(raw, bits, signed, count).tolist() == expected


def test_constants_keep_integers_and_widen_what_torch_lacks(tmp_path) -> None:
    (tmp_path / "weights").mkdir()
    blobs = {name: numbers(name, 12) for name in METHODS}
    offsets = write_blobs(tmp_path / "weights/weight.bin", blobs)
    reader = Constants(tmp_path)
    widened = {"FLOAT16": torch.float32, "FLOAT32": torch.float32, "UINT16": torch.int32, "UINT32": torch.int64, "INT16": torch.int16}
    widened |= {"INT32": torch.int32, "INT8": torch.int8, "INT4": torch.int8}
    for name, values in blobs.items():
        constant = reader.read(blob_value(name, (3, 4), offsets[name]))
        assert constant.dtype == widened.get(name, torch.uint8)
        assert constant.shape == (3, 4)
        np.testing.assert_array_equal(constant.double().numpy(), values.astype(np.float64).reshape(3, 4))


@pytest.mark.parametrize("name", ["INT4", "UINT1", "UINT2", "UINT3", "UINT4", "UINT6", "UINT8", "INT8", "UINT32", "FLOAT16"])
def test_small_constants_of_every_type_stand_in_the_specification(name: str) -> None:
    for count in (1, 3, 9):
        values = numbers(name, count)
        if name in PACKED:
            values = values.astype(types.nptype_from_builtin(getattr(types, name.lower())))
        value = create_tensor_value(values)
        assert value.immediateValue.tensor.WhichOneof("value") == "bytes"
        np.testing.assert_array_equal(Constants(Path()).read(value).double().numpy(), values.astype(np.float64))


def test_scalars_texts_and_lists_become_what_operators_take() -> None:
    read = Constants(Path()).read
    assert read(create_scalar_value("same")) == "same"
    assert read(create_scalar_value(True)) is True
    assert read(create_tensor_value(np.array([True, False]))).tolist() == [True, False]
    assert read(create_scalar_value(np.float16(0.5))).item() == 0.5
    assert read(create_tensor_value(np.array([2**40], np.int64))).tolist() == [2**40]
    assert read(create_tensor_value(np.array([1.5, 2], np.float64))).dtype == torch.float32
    assert read(create_tensor_value(np.zeros((0, 3), np.float32))).shape == (0, 3)
    assert read(create_list_scalarvalue(["cat", "dog"], str)) == ("cat", "dog")


def test_reading_warns_of_nothing_and_shares_no_memory_with_the_file(tmp_path) -> None:
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights/weight.bin"
    offset = write_blobs(path, {"FLOAT32": numbers("FLOAT32", 100)})["FLOAT32"]
    before = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = Constants(tmp_path).read(blob_value("FLOAT32", (100,), offset))
        Constants(tmp_path).read(create_tensor_value(np.ones(3, np.float16)))
    constant.zero_()
    assert path.read_bytes() == before
    constant.fill_(1)
    path.write_bytes(b"")  # a memory map of a file that shrinks would kill the process here
    assert constant.sum() == 100


def test_unpacking_does_not_make_up_what_is_missing() -> None:
    with pytest.raises(MilError, match="3 packed bytes do not hold 7 elements of 4 bits"):
        unpack(np.zeros(3, np.uint8), 4, False, 7)
    with pytest.raises(MilError, match="do not hold"):
        unpack(np.zeros(3, np.uint8), 4, False, 2**62)


def test_unpacking_needs_little_more_memory_than_its_result() -> None:
    raw = np.zeros(2**21, np.uint8)
    tracemalloc.start()
    assert unpack(raw, 4, True, 2**22).nbytes == 2**22
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.1 * 2**22  # one bit per byte would take 8 times the result


@pytest.mark.speed
def test_a_hundred_megabytes_are_read_in_two_seconds_and_converted_once(tmp_path) -> None:
    (tmp_path / "weights").mkdir()
    offset = write_blobs(tmp_path / "weights/weight.bin", {"FLOAT16": np.ones(50_000_000, np.float16)})["FLOAT16"]
    reader, value = Constants(tmp_path), blob_value("FLOAT16", (50_000, 1000), offset)
    tracemalloc.start()
    start = time.perf_counter()
    constant = reader.read(value)
    seconds, peak = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert constant.dtype == torch.float32
    assert peak < 101e6  # NumPy holds the file's bytes, once; torch converts them
    assert seconds < 2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), axis=st.integers(0, 1), whole=st.booleans())
def test_affine_dequantization_equals_its_formula(seed: int, axis: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (4, 6)
    count = 1 if whole else shape[axis]
    q = torch.from_numpy(rng.integers(-128, 128, shape).astype(np.int8))
    scale = torch.from_numpy(rng.uniform(0.01, 1, count).astype(np.float32))
    zero = torch.from_numpy(rng.integers(-5, 5, count).astype(np.int8))
    along = (-1, 1) if axis == 0 else (1, -1)
    stored = q.numpy().astype(np.float64) - zero.numpy().reshape(along)
    expected = torch.from_numpy((stored * scale.numpy().astype(np.float64).reshape(along)).astype(np.float32))
    actual = constexpr_affine_dequantize(q, zero[0] if whole else zero, scale[0] if whole else scale, torch.tensor(axis))
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_blockwise_scales_cover_their_blocks() -> None:
    data = torch.arange(8, dtype=torch.int8).reshape(2, 4)
    scale = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    expected = torch.tensor([[0, 1, 20, 30], [400, 500, 6000, 7000]], dtype=torch.float32)
    assert torch.equal(constexpr_blockwise_shift_scale(data, scale), expected)
    offset = torch.ones(2, 2, dtype=torch.int8)
    assert torch.equal(constexpr_blockwise_shift_scale(data, scale, offset), expected - scale.repeat_interleave(2, 1))


def test_four_bit_weights_of_a_package_are_what_went_in(tmp_path) -> None:
    data = numbers("UINT4", 35).astype(types.nptype_from_builtin(types.uint4)).reshape(5, 7)  # an odd count: half a byte of padding
    scale = np.full((5, 1), 0.5, np.float32)
    zeros = np.zeros((5, 7), np.float32)
    path = save_program(tmp_path, lambda x0: mb.add(x=x0, y=mb.constexpr_blockwise_shift_scale(data=data, scale=scale)), [zeros], "iOS18")
    (result,) = Program.load(path).predict({"x0": zeros}).values()
    np.testing.assert_array_equal(result, data.astype(np.float32) / 2)


def test_a_truncated_or_foreign_weights_file_is_named(packages, tmp_path) -> None:
    broken = tmp_path / "broken.mlpackage"
    shutil.copytree(packages["fp16"], broken)
    weights = next(broken.rglob("weight.bin"))
    whole = weights.read_bytes()
    for content, message in [
        (whole[: len(whole) // 2], r"weight\.bin' are truncated"),
        (b"", r"weight\.bin' hold 0 bytes"),
        (b"\x01" * len(whole), "not MIL blob storage"),
        (whole[:4] + b"\x01" + whole[5:], "version 2 .it says 1."),
    ]:
        weights.write_bytes(content)
        with pytest.raises(MilError, match=message):
            Program.load(broken)
    weights.unlink()
    with pytest.raises(MilError, match=r"weight\.bin' does not exist"):
        Program.load(broken)


#: Field of blob metadata → its place.
METADATA = {"sentinel": ("<I", 0), "data type": ("<I", 4), "size": ("<Q", 8), "start": ("<Q", 16), "padding": ("<Q", 24)}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sentinel", 0, "has no blob at byte 64"),
        ("data type", 2, "stores FLOAT32 at byte 64 where the program declares FLOAT16"),
        ("data type", 6, "stores INT16 at byte 64 where the program declares FLOAT16"),
        ("data type", 5, "stores BFLOAT16"),
        ("data type", 999, "stores data type 999"),
        ("size", 22, "in 22 bytes where 24 are declared"),
        ("size", 2**64 - 1, "where 24 are declared"),
        ("start", 2**64 - 1, "truncated"),
        ("start", 120, "truncated"),
    ],
)
def test_damaged_metadata_is_never_believed(field: str, value: int, message: str, tmp_path) -> None:
    path = tmp_path / "weight.bin"
    offset = write_blobs(path, {"FLOAT16": numbers("FLOAT16", 12)})["FLOAT16"]
    damaged = bytearray(path.read_bytes())[: 128 + 24]
    form, place = METADATA[field]
    struct.pack_into(form, damaged, offset + place, value)
    if value == 120:
        struct.pack_into("<Q", damaged, offset + place, 136)
    path.write_bytes(damaged)
    with pytest.raises(MilError, match=message):
        BlobFile(path).read(offset, "FLOAT16", 12)


@pytest.mark.parametrize("padding", [0, 5, 12, 2**64 - 4])
def test_padding_of_packed_types_is_never_believed(padding: int, tmp_path) -> None:
    path = tmp_path / "weight.bin"
    offset = write_blobs(path, {"UINT4": numbers("UINT4", 11)})["UINT4"]  # 44 bits in 6 bytes: 4 are padding
    damaged = bytearray(path.read_bytes())
    struct.pack_into("<Q", damaged, offset + METADATA["padding"][1], padding)
    path.write_bytes(damaged)
    with pytest.raises(MilError, match=f"in 6 bytes less {padding} bits where 44 are declared"):
        BlobFile(path).read(offset, "UINT4", 11)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("left_over", [b"\xff", b"\x07", b"\xde\xad\xbe\xef"])
def test_what_older_writers_left_undefined_is_not_looked_at(name: str, left_over: bytes, tmp_path) -> None:
    """Writers of coremltools 5 to 7 wrote blobs as structures whose reserved fields nothing had set (StorageFormat.hpp before 8.0b1)."""
    values = numbers(name, 13)
    path = tmp_path / "weight.bin"
    offset = write_blobs(path, {name: values})[name]
    content = bytearray(path.read_bytes())
    # The padding is defined for types below one byte, which came with the writer that sets it.
    for start, end in ((8, 64), (offset + (32 if name in PACKED else 24), offset + 64)):
        content[start:end] = (left_over * 64)[: end - start]
    path.write_bytes(content)
    np.testing.assert_array_equal(BlobFile(path).read(offset, name, 13), values)
    with pytest.raises(MilError, match="are declared"):
        BlobFile(path).read(offset, name, 12)


@pytest.mark.parametrize("offset", [65, 1, 2**40, 2**63, 2**64 - 64, 2**64 - 1])
def test_offsets_beyond_the_file_or_between_blobs_are_refused(offset: int, tmp_path) -> None:
    (tmp_path / "weights").mkdir()
    write_blobs(tmp_path / "weights/weight.bin", {"FLOAT16": numbers("FLOAT16", 12)})
    with pytest.raises(MilError, match=r"truncated|no multiple of 64"):
        Constants(tmp_path).read(blob_value("FLOAT16", (12,), offset))


@pytest.mark.parametrize(("name", "count"), [("INT4", 13), ("UINT3", 11), ("UINT1", 9)])
def test_a_count_that_the_padding_denies_is_refused(name: str, count: int, tmp_path) -> None:
    offset = write_blobs(tmp_path / "weight.bin", {name: numbers(name, count)})[name]
    assert BlobFile(tmp_path / "weight.bin").read(offset, name, count).size == count
    with pytest.raises(MilError, match="are declared"):
        BlobFile(tmp_path / "weight.bin").read(offset, name, count + 1)  # would fit into the same bytes


@pytest.mark.parametrize("name", ["BOOL", "INT64", "FLOAT64"])
def test_types_that_no_blob_can_have_are_refused(name: str, tmp_path) -> None:
    (tmp_path / "weights").mkdir()
    offset = write_blobs(tmp_path / "weights/weight.bin", {"UINT8": numbers("UINT8", 12)})["UINT8"]
    with pytest.raises(MilError, match=f"stores UINT8 at byte 64 where the program declares {name}"):
        Constants(tmp_path).read(blob_value(name, (12,), offset))


def _retyped(value: Any, **changes: Any) -> Any:
    """An immediate value that claims another type or shape than it was given."""
    if "name" in changes:
        value.type.tensorType.dataType = MIL_pb2.DataType.Value(changes["name"])
    if "shape" in changes:
        del value.type.tensorType.dimensions[:]
        for length in changes["shape"]:
            value.type.tensorType.dimensions.add().constant.size = length
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (_retyped(create_tensor_value(np.ones(3, np.float32)), shape=(4,)), "holds 3 elements where its shape takes 4"),
        (_retyped(create_tensor_value(np.ones(3, np.float16)), shape=(2,)), "holds 6 bytes where its shape takes 4"),
        (_retyped(create_tensor_value(np.ones(3, np.int8)), name="INT4"), "holds 3 bytes where its shape takes 2"),
        (_retyped(create_tensor_value(np.array([300], np.int32)), name="INT8"), "values from 300 to 300, which INT8 cannot hold"),
        (_retyped(create_tensor_value(np.ones(3, np.float32)), name="INT32"), "declared as INT32 but holds floats"),
        (_retyped(create_tensor_value(np.ones(3, np.float32)), name="BFLOAT16"), "data type BFLOAT16"),
        (_retyped(create_tensor_value(np.ones(3, np.float32)), name="FLOAT8E4M3FN"), "data type FLOAT8E4M3FN"),
        (_retyped(create_tensor_value(np.ones(3, np.float32)), shape=(2**20, 2**21)), f"limit is {LARGEST}"),
        (_retyped(create_tensor_value(np.ones(3, np.float32)), shape=(0, 2**63)), "0×-9223372036854775808"),
        (_retyped(create_scalar_value("same"), shape=(0,)), "holds 1 elements"),
        (MIL_pb2.Value(), "has no value"),
    ],
)
def test_values_that_do_not_fill_their_type_are_named(value: Any, message: str) -> None:
    with pytest.raises(MilError, match=f"the scale.*{message}"):
        Constants(Path()).read(value, "the scale")


def test_a_data_type_of_the_future_is_refused_by_its_number() -> None:
    value = create_tensor_value(np.ones(3, np.float32))
    value.type.tensorType.dataType = 77
    with pytest.raises(MilError, match="number 77"):
        Constants(Path()).read(value)
