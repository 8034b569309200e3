"""Constants of an ML program, from protobuf or blob file to torch."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.mil.blob import BlobFile
from fcrn_mobile.mil.errors import MilError

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import Value, ValueType

#: A constant as operators see it: tensors for numbers, Python values for strings and single booleans, tuples for lists.
Constant = Any

_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
}

#: Types below one byte, and the type they are widened to.
_SUB_BYTE = {"INT4": np.int8, "UINT1": np.uint8, "UINT2": np.uint8, "UINT3": np.uint8, "UINT4": np.uint8, "UINT6": np.uint8}


def type_name(value_type: "ValueType") -> str:
    """Data type of a tensor (``FLOAT16``, ``INT32`` …), or the kind of another value (``listType`` …)."""
    from coremltools.proto import MIL_pb2

    if value_type.WhichOneof("type") == "tensorType":
        name: str = MIL_pb2.DataType.Name(value_type.tensorType.dataType)
        return name
    return str(value_type.WhichOneof("type"))


def shape_of(value_type: "ValueType") -> tuple[int, ...]:
    """Shape of a tensor type; -1 where a dimension is unknown."""
    dimensions = value_type.tensorType.dimensions
    return tuple(int(d.constant.size) if d.WhichOneof("dimension") == "constant" else -1 for d in dimensions)


class Constants:
    """Reads constants of one program; blob files are opened once.

    Args:
        folder: what ``@model_path`` stands for.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs: dict[str, BlobFile] = {}

    def read(self, value: "Value") -> Constant:
        """One constant, as operators take it.

        Raises:
            MilError: an unknown type, or a blob that cannot be read.
        """
        if value.WhichOneof("value") == "immediateValue":
            immediate = value.immediateValue
            kind = immediate.WhichOneof("value")
            if kind == "tuple":
                return tuple(self.read(item) for item in immediate.tuple.values)
            if kind == "list":
                return tuple(self.read(item) for item in immediate.list.values)
            if kind != "tensor":
                raise MilError(f"constant of kind '{kind}' is not supported by this runtime")
        name = type_name(value.type)
        shape = shape_of(value.type)
        if name == "STRING":
            strings = tuple(value.immediateValue.tensor.strings.values)
            return strings[0] if not shape else strings
        array = self._array(value, name, math.prod(shape)).reshape(shape)
        if name == "BOOL" and not shape:
            return bool(array)
        return to_torch(array)

    def _array(self, value: "Value", name: str, count: int) -> NDArray[np.generic]:
        if value.WhichOneof("value") == "blobFileValue":
            blob = value.blobFileValue
            if blob.fileName not in self._blobs:
                self._blobs[blob.fileName] = BlobFile(self._folder / blob.fileName.removeprefix("@model_path/"))
            return self._blobs[blob.fileName].read(int(blob.offset), count)
        dtype = _NUMPY_TYPES.get(name) or _SUB_BYTE.get(name)
        if dtype is None:
            raise MilError(f"constant of data type {name} is not supported by this runtime")
        tensor = value.immediateValue.tensor
        field = tensor.WhichOneof("value")
        if field == "bytes":
            return np.frombuffer(tensor.bytes.values, dtype=dtype)
        return np.array(getattr(tensor, field).values, dtype=dtype) if field else np.zeros(0, dtype)


def to_torch(array: NDArray[np.generic]) -> torch.Tensor:
    """A copy as a tensor; float16 and float64 become float32, in which this runtime computes."""
    if np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    elif array.dtype in (np.uint16, np.uint32):
        array = array.astype(np.int64)
    return torch.from_numpy(np.array(array, order="C"))
