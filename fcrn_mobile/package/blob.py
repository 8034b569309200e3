"""Reader of MIL blob storage, version 2: the file behind ``@model_path/weights/weight.bin``.

Layout (coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp): a 64-byte header (count, version); every blob starts with
64 bytes of metadata (sentinel, data type, size in bytes, data offset, padding bits) on a multiple of 64. Elements below one
byte are packed from the lowest bit of the first byte on, across byte boundaries; the bits left over in the last byte are the
padding. Everything else in header and metadata is reserved, and so are the padding bits where elements are whole bytes: writers
before coremltools 8.0b1, which had no smaller elements, left there whatever the memory held.
"""

import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.package.errors import MilError

__all__ = ["PACKED", "POINTER", "WHOLE", "BlobFile", "unpack"]

#: How the file begins that Git LFS leaves in the place of a large one.
POINTER = b"version https://git-lfs"
_ALIGNMENT = 64
_VERSION = 2
_SENTINEL = 0xDEADBEEF
_HEADER = struct.Struct("<II")
_METADATA = struct.Struct("<IIQQQ")

#: Name of a whole-byte data type → its number in blob metadata and its NumPy type.
WHOLE: dict[str, tuple[int, type[np.generic]]] = {
    "FLOAT16": (1, np.float16),
    "FLOAT32": (2, np.float32),
    "UINT8": (3, np.uint8),
    "INT8": (4, np.int8),
    "INT16": (6, np.int16),
    "UINT16": (7, np.uint16),
    "INT32": (14, np.int32),
    "UINT32": (15, np.uint32),
}

#: Name of a data type below one byte → its number, its bits, whether it is signed.
PACKED: dict[str, tuple[int, int, bool]] = {
    "INT4": (8, 4, True),
    "UINT1": (9, 1, False),
    "UINT2": (10, 2, False),
    "UINT4": (11, 4, False),
    "UINT3": (12, 3, False),
    "UINT6": (13, 6, False),
}

_NAMES = {number: name for name, (number, *_) in (*WHOLE.items(), *PACKED.items())} | {5: "BFLOAT16", 16: "FLOAT8E4M3FN", 17: "FLOAT8E5M2"}


class BlobFile:
    """A weights file; only the blobs that are asked for are read.

    Args:
        path: the weights file.

    Raises:
        MilError: missing, no regular file, unreadable, or not of version 2.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A pipe or device would block for ever.
            if not path.is_file():
                problem = "is not a file" if path.exists() else "does not exist"
                raise MilError(f"weights '{path}' {problem}: copy or export the package again")
            self._size = path.stat().st_size
        except OSError as error:
            raise MilError(f"cannot read weights '{path}' ({error.strerror}): make it readable") from error
        if self._size < _ALIGNMENT:
            raise MilError(f"weights '{path}' hold {self._size} bytes, less than a header: copy or export the package again")
        if self._bytes(0, len(POINTER)) == POINTER:
            raise MilError(f"weights '{self.path}' only point to a file in Git LFS: fetch that first (git lfs pull)")
        _, version = _HEADER.unpack(self._bytes(0, _HEADER.size))
        if version != _VERSION:
            raise MilError(f"'{path}' is not MIL blob storage of version {_VERSION} (it says {version}): export the package again")

    def read(self, offset: int, data_type: str, count: int) -> NDArray[np.generic]:
        """One blob.

        Args:
            offset: where its metadata stands, in bytes.
            data_type: what the program declares (``FLOAT16``, ``UINT4`` …).
            count: how many elements it declares.

        Returns:
            A flat array of its own memory; types below one byte come widened to int8 or uint8.

        Raises:
            MilError: no such blob there, another type or size than declared, or the file ends before the blob does.
        """
        start, size = self.find(offset, data_type, count)
        if data_type in WHOLE:
            return self._array(start, np.dtype(WHOLE[data_type][1]), size)
        _, bits, signed = PACKED[data_type]
        return unpack(self._array(start, np.dtype(np.uint8), size).view(np.uint8), bits, signed, count)

    def find(self, offset: int, data_type: str, count: int) -> tuple[int, int]:
        """Where the bytes of a blob begin, and how many they are; arguments and errors as of ``read``, which reads them."""
        if offset % _ALIGNMENT:
            raise MilError(f"weights '{self.path}': a blob is said to stand at byte {offset}, no multiple of {_ALIGNMENT}: export again")
        sentinel, number, size, start, padding = _METADATA.unpack(self._bytes(offset, _METADATA.size))
        if sentinel != _SENTINEL:
            raise MilError(f"'{self.path}' has no blob at byte {offset}: the weights do not belong to this program; export it again")
        stored = _NAMES.get(number, f"data type {number}")
        here = f"'{self.path}' stores {stored} at byte {offset}"
        if stored != data_type:
            raise MilError(f"{here} where the program declares {data_type}: the weights do not belong to it; export it again")
        if data_type in WHOLE:
            dtype = np.dtype(WHOLE[data_type][1])
            if size != dtype.itemsize * count:
                raise MilError(f"{here} in {size} bytes where {dtype.itemsize * count} are declared: export the package again")
        elif data_type in PACKED:
            _, bits, _ = PACKED[data_type]
            if 8 * size - padding != bits * count or padding >= 8:
                raise MilError(f"{here} in {size} bytes less {padding} bits where {bits * count} are declared: export the package again")
        else:
            raise MilError(f"{here}: weights of this type are not supported; export with float16, float32 or integer weights")
        self._check_end(start + size)
        return start, size

    def _bytes(self, start: int, size: int) -> bytes:
        return self._array(start, np.dtype(np.uint8), size).tobytes()

    def _array(self, start: int, dtype: np.dtype[np.generic], size: int) -> NDArray[np.generic]:
        """``size`` bytes from ``start`` on. Read, not mapped: a file that shrinks under a memory map kills the process."""
        self._check_end(start + size)
        try:
            values: NDArray[np.generic] = np.fromfile(self.path, dtype=dtype, count=size // dtype.itemsize, offset=start)
        except OSError as error:
            raise MilError(f"cannot read weights '{self.path}' ({error.strerror or error}): make it readable") from error
        if values.nbytes != size:
            raise MilError(self._truncated(start + size))
        return values

    def _check_end(self, needed: int) -> None:
        if needed > self._size:
            raise MilError(self._truncated(needed))

    def _truncated(self, needed: int) -> str:
        return f"weights '{self.path}' are truncated ({self._size} bytes, {needed} needed): copy or export the package again"


def unpack(raw: NDArray[np.uint8], bits: int, signed: bool, count: int) -> NDArray[np.generic]:
    """Elements of 1 to 7 bits, packed from the lowest bit of the first byte.

    Args:
        raw: the packed bytes, at least ``count * bits`` bits.
        bits: per element.
        signed: two's complement.
        count: elements wanted.

    Returns:
        int8 if signed, else uint8.

    Raises:
        MilError: the bytes hold fewer elements.
    """
    if 8 * raw.size < bits * count:
        raise MilError(f"{raw.size} packed bytes do not hold {count} elements of {bits} bits: export the package again")
    # The pattern of positions repeats after `group` bytes, which hold `elements` elements (3 bits: 8 elements in 3 bytes).
    elements = 8 // math.gcd(bits, 8)
    group = bits * elements // 8
    groups = math.ceil(count / elements)
    if raw.size < groups * group:
        raw = np.concatenate([raw, np.zeros(groups * group - raw.size, np.uint8)])
    columns = raw[: groups * group].reshape(groups, group)
    values = np.empty((groups, elements), np.uint8)
    for index in range(elements):
        byte, shift = divmod(index * bits, 8)
        element = columns[:, byte] >> shift
        if shift + bits > 8:
            element |= columns[:, byte + 1] << (8 - shift)
        element &= (1 << bits) - 1
        values[:, index] = element
    if signed:
        sign = 1 << (bits - 1)
        values ^= sign
        values -= sign
    flat = values.reshape(-1)[:count]
    return flat.view(np.int8) if signed else flat
