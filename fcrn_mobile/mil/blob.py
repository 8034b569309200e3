"""Reader of MIL blob storage, version 2: the file behind ``@model_path/weights/weight.bin``.

Layout (coremltools, mlmodel/src/MILBlob/Blob/StorageFormat.hpp): a 64-byte header (count, version); every blob starts with
64 bytes of metadata (sentinel, data type, size in bytes, data offset, padding bits) on a multiple of 64.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcrn_mobile.mil.errors import MilError

_SENTINEL = 0xDEADBEEF
_METADATA = struct.Struct("<IIQQQ")

#: Stored data type → NumPy type, for types of whole bytes.
_TYPES: dict[int, type[np.generic]] = {
    1: np.float16,
    2: np.float32,
    3: np.uint8,
    4: np.int8,
    6: np.int16,
    7: np.uint16,
    14: np.int32,
    15: np.uint32,
}

#: Stored data type → bits and signedness, for types below one byte; elements are packed from the lowest bit.
_PACKED = {8: (4, True), 9: (1, False), 10: (2, False), 11: (4, False), 12: (3, False), 13: (6, False)}


class BlobFile:
    """Memory-mapped weights.

    Args:
        path: the weights file.

    Raises:
        MilError: missing, or not of version 2.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise MilError(f"cannot read weights '{path}' ({error}): export the package again") from error
        if self._data.size < 64 or struct.unpack_from("<II", self._data[:8].tobytes())[1] != 2:
            raise MilError(f"'{path}' is not MIL blob storage of version 2: export the package again")

    def read(self, offset: int, count: int) -> NDArray[np.generic]:
        """The ``count`` elements of the blob whose metadata stands at ``offset``.

        Returns:
            A flat array; types below one byte come widened to (u)int8, whole types as views of the file.

        Raises:
            MilError: nothing of that kind there, or the file ends before the blob does.
        """
        metadata = self._slice(offset, _METADATA.size).tobytes()
        sentinel, kind, size, start, _ = _METADATA.unpack(metadata)
        if sentinel != _SENTINEL:
            raise MilError(f"'{self.path}' has no blob at byte {offset}: the weights do not belong to this program")
        raw = self._slice(start, size)
        if kind in _TYPES:
            values: NDArray[np.generic] = raw.view(_TYPES[kind])
        elif kind in _PACKED:
            values = _unpack(raw, *_PACKED[kind], count)
        else:
            raise MilError(f"'{self.path}' stores a blob of unknown data type {kind} at byte {offset}")
        if values.size != count:
            raise MilError(f"'{self.path}' stores {values.size} elements at byte {offset} where {count} are declared")
        return values

    def _slice(self, start: int, size: int) -> NDArray[np.uint8]:
        if start + size > self._data.size:
            raise MilError(f"'{self.path}' is truncated ({self._data.size} bytes, {start + size} needed): copy or export the package again")
        return self._data[start : start + size]


def _unpack(raw: NDArray[np.uint8], bits: int, signed: bool, count: int) -> NDArray[np.generic]:
    """Elements of ``bits`` bits, packed from the lowest bit of the first byte."""
    stream = np.unpackbits(raw, bitorder="little")[: count * bits].reshape(-1, bits)
    values = (stream << np.arange(bits, dtype=np.uint8)).sum(axis=1).astype(np.int16)
    if signed:
        values = np.where(values >= 1 << (bits - 1), values - (1 << bits), values)
        return values.astype(np.int8)
    return values.astype(np.uint8)
