"""Weights files byte by byte: headers, metadata and bits at their bounds."""

import struct
from pathlib import Path

import numpy as np
import pytest

from fcrn_mobile.mil import MilError
from fcrn_mobile.package.blob import BlobFile, unpack


def written(path: Path, data: bytes, number: int, padding: int = 0, **changes: int) -> BlobFile:
    """A file of one blob, its metadata at byte 64 and its data at byte 128."""
    metadata = {"sentinel": 0xDEADBEEF, "number": number, "size": len(data), "start": 128, "padding": padding} | changes
    header = struct.pack("<II", 1, changes.get("version", 2)).ljust(64, b"\0")
    fields = struct.pack("<IIQQQ", *(metadata[name] for name in ("sentinel", "number", "size", "start", "padding"))).ljust(64, b"\0")
    path.write_bytes(header + fields + data)
    return BlobFile(path)


#: Data type → its number in StorageFormat.hpp and the bytes of 1, 2, 3 (or as much as fits).
TYPES = {
    "FLOAT16": (1, np.float16),
    "FLOAT32": (2, np.float32),
    "UINT8": (3, np.uint8),
    "INT8": (4, np.int8),
    "INT16": (6, np.int16),
    "UINT16": (7, np.uint16),
    "INT32": (14, np.int32),
    "UINT32": (15, np.uint32),
}

#: Data type → its number, its bits and whether it is signed.
SMALL = {
    "INT4": (8, 4, True),
    "UINT1": (9, 1, False),
    "UINT2": (10, 2, False),
    "UINT4": (11, 4, False),
    "UINT3": (12, 3, False),
    "UINT6": (13, 6, False),
}


@pytest.mark.parametrize("name", TYPES)
def test_whole_bytes_are_read_as_their_type(name: str, tmp_path: Path) -> None:
    number, dtype = TYPES[name]
    values = np.array([1, 2, 3], dtype)
    blob = written(tmp_path / "w", values.tobytes(), number, padding=7)  # left over by old writers
    actual = blob.read(64, name, 3)
    assert actual.dtype == dtype
    assert actual.tolist() == [1, 2, 3]
    for count in (2, 4):
        with pytest.raises(MilError, match=f"in {values.nbytes} bytes where {count * values.itemsize} are declared"):
            blob.read(64, name, count)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("count", [1, 2, 3, 8, 9])
def test_bits_are_read_as_their_type(name: str, count: int, tmp_path: Path) -> None:
    number, bits, signed = SMALL[name]
    values = [(5 * i + 1) % 2**bits for i in range(count)]
    stream = [(value >> bit) & 1 for value in values for bit in range(bits)]
    data = np.packbits(np.array(stream, np.uint8), bitorder="little").tobytes()
    left = 8 * len(data) - bits * count
    actual = written(tmp_path / "w", data, number, left).read(64, name, count)
    assert actual.dtype == (np.int8 if signed else np.uint8)
    assert actual.tolist() == [value - 2**bits if signed and value >= 2 ** (bits - 1) else value for value in values]
    for padding in (left + 1, left - 1) if left else (1,):
        with pytest.raises(MilError, match=f"less {padding} bits where {bits * count} are declared"):
            written(tmp_path / "w", data, number, padding).read(64, name, count)
    # A whole byte of padding is none.
    with pytest.raises(MilError, match=f"less {left + 8} bits"):
        written(tmp_path / "w", data + b"\0", number, left + 8).read(64, name, count)


@pytest.mark.parametrize(("number", "name"), [(5, "BFLOAT16"), (16, "FLOAT8E4M3FN"), (17, "FLOAT8E5M2")])
def test_types_that_are_known_by_name_only_are_refused_as_such(number: int, name: str, tmp_path: Path) -> None:
    blob = written(tmp_path / "w", b"\0" * 4, number)
    with pytest.raises(MilError, match=f"stores {name} at byte 64: weights of this type are not supported"):
        blob.read(64, name, 2)
    with pytest.raises(MilError, match=f"stores {name} at byte 64 where the program declares FLOAT16"):
        blob.read(64, "FLOAT16", 2)


@pytest.mark.parametrize("name", ["FLOAT32", "FLOAT16", "INT8"])
def test_a_blob_is_read_no_further_than_its_end(name: str, tmp_path: Path) -> None:
    number, dtype = TYPES[name]
    path = written(tmp_path / "w", np.array([1, 2, 3], dtype).tobytes(), number).path
    path.write_bytes(path.read_bytes() + bytes(64))
    assert BlobFile(path).read(64, name, 3).tolist() == [1, 2, 3]


def test_weights_that_lie_in_git_lfs_are_to_be_fetched(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
    (tmp_path / "w").write_bytes(pointer)
    with pytest.raises(MilError, match="only point to a file in Git LFS"):
        BlobFile(tmp_path / "w")
    (tmp_path / "w").write_bytes(b" " + pointer)
    with pytest.raises(MilError, match="not MIL blob storage"):
        BlobFile(tmp_path / "w")


def test_a_type_without_a_name_is_called_by_its_number(tmp_path: Path) -> None:
    with pytest.raises(MilError, match="stores data type 99 at byte 64 where the program declares INT8"):
        written(tmp_path / "w", b"\0", 99).read(64, "INT8", 1)


@pytest.mark.parametrize("offset", [1, 63, 65, 96])
def test_a_blob_stands_on_a_multiple_of_64(offset: int, tmp_path: Path) -> None:
    with pytest.raises(MilError, match=f"a blob is said to stand at byte {offset}, no multiple of 64"):
        written(tmp_path / "w", b"\0" * 64, 4).read(offset, "INT8", 1)


def test_what_is_no_blob_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(MilError, match="has no blob at byte 64"):
        written(tmp_path / "w", b"\0", 4, sentinel=0xDEADBEEE).read(64, "INT8", 1)
    with pytest.raises(MilError, match="has no blob at byte 0"):
        written(tmp_path / "w", b"\0", 4).read(0, "INT8", 1)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_version_is_refused(version: int, tmp_path: Path) -> None:
    with pytest.raises(MilError, match=rf"not MIL blob storage of version 2 \(it says {version}\)"):
        written(tmp_path / "w", b"\0", 4, version=version)


def test_the_file_ends_no_earlier_than_the_blob(tmp_path: Path) -> None:
    path = tmp_path / "w"
    assert written(path, b"\1\2", 4).read(64, "INT8", 2).tolist() == [1, 2]
    blob = written(path, b"\1\2", 4, size=3)
    with pytest.raises(MilError, match=r"truncated \(130 bytes, 131 needed\)"):
        blob.read(64, "INT8", 3)
    with pytest.raises(MilError, match=r"truncated \(130 bytes, 168 needed\)|truncated \(130 bytes, 160 needed\)"):
        blob.read(128, "INT8", 1)
    blob = written(path, b"\1\2", 4)
    path.write_bytes(path.read_bytes()[:-1])  # while it is open
    with pytest.raises(MilError, match="truncated"):
        blob.read(64, "INT8", 2)


def test_a_size_that_no_memory_holds_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(MilError, match=rf"truncated \(129 bytes, {2**60 + 128} needed\)"):
        written(tmp_path / "w", b"\0", 4, size=2**60).read(64, "INT8", 2**60)


def test_what_the_system_says_of_weights_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = written(tmp_path / "w", b"\0", 4)
    blob.path.unlink()
    with pytest.raises(MilError, match=r"cannot read weights '.*w' \(No such file or directory\): make it readable"):
        blob.read(64, "INT8", 1)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(MilError, match=r"cannot read weights '.*w' \(Permission denied\)"):
        BlobFile(tmp_path / "w")


def test_a_header_takes_64_bytes(tmp_path: Path) -> None:
    path = tmp_path / "w"
    header = struct.pack("<II", 0, 2).ljust(64, b"\0")
    path.write_bytes(header)
    BlobFile(path)
    path.write_bytes(header[:63])
    with pytest.raises(MilError, match="hold 63 bytes, less than a header"):
        BlobFile(path)
    with pytest.raises(MilError, match="is not a file"):
        BlobFile(tmp_path)
    with pytest.raises(MilError, match="does not exist"):
        BlobFile(tmp_path / "missing")


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7])
def test_bits_are_unpacked_up_to_the_last_that_is_there(bits: int) -> None:
    raw = np.full(bits, 255, np.uint8)  # eight elements
    assert unpack(raw, bits, False, 8).tolist() == [2**bits - 1] * 8
    assert unpack(raw, bits, True, 8).tolist() == [-1] * 8
    assert unpack(raw, bits, False, 0).tolist() == []
    assert unpack(raw[:1], bits, False, 8 // bits).tolist() == [2**bits - 1] * (8 // bits)
    with pytest.raises(MilError, match=f"{bits} packed bytes do not hold 9 elements of {bits} bits"):
        unpack(raw, bits, False, 9)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("count", [1, 7, 16, 27])
def test_bits_are_unpacked_as_numpy_packs_them(bits: int, count: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, count)
    raw = np.packbits((values[:, None] >> np.arange(bits) & 1).astype(np.uint8).flatten(), bitorder="little")
    assert unpack(raw, bits, False, count).tolist() == values.tolist()
    assert unpack(raw, bits, True, count).tolist() == [value - 2**bits * (value >= 2 ** (bits - 1)) for value in values.tolist()]


@pytest.mark.parametrize("offset", [64, 128, 2**62, 2**64 - 64])
def test_a_blob_whose_metadata_the_file_does_not_hold_is_truncated(offset: int, tmp_path: Path) -> None:
    path = written(tmp_path / "w", b"", 4).path
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(MilError, match=rf"truncated \(90 bytes, {offset + 32} needed\)"):
        BlobFile(path).read(offset, "INT8", 1)


@pytest.mark.parametrize(("size", "held"), [(8, True), (9, False), (100, False), (2**62, False)])
def test_a_blob_is_found_if_the_file_holds_all_of_it(size: int, held: bool, tmp_path: Path) -> None:
    blob = written(tmp_path / "w", b"\0" * 8, 4, size=size)
    if held:
        assert blob.find(64, "INT8", size) == (128, size)
    else:
        with pytest.raises(MilError, match=rf"truncated \(136 bytes, {128 + size} needed\)"):
            blob.find(64, "INT8", size)
