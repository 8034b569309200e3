"""Constants of an ML program, from protobuf or weights file to torch."""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fcrn_mobile.package.blob import PACKED, WHOLE, BlobFile, unpack
from fcrn_mobile.package.errors import DAMAGED, MilError
from fcrn_mobile.package.reading import file_within

if TYPE_CHECKING:
    from coremltools.proto.MIL_pb2 import TensorValue, Value, ValueType

__all__ = [
    "BITS",
    "LARGEST",
    "NUMPY_TYPES",
    "OUT_OF_BAND",
    "Constant",
    "Constants",
    "check_size",
    "data_types",
    "shape_of",
    "to_torch",
    "type_name",
]

#: A constant as operators see it: tensors for numbers, Python values for strings and single booleans, tuples for lists.
Constant = Any

#: Most elements a tensor of a program may have: 4 GiB as float32, more than a phone has for one tensor.
LARGEST = 2**30

#: Data type → NumPy type it is read as; types below one byte are widened.
NUMPY_TYPES: dict[str, type[np.generic]] = {
    **{name: dtype for name, (_, dtype) in WHOLE.items()},
    **{name: np.int8 if signed else np.uint8 for name, (_, _, signed) in PACKED.items()},
    "BOOL": np.bool_,
    "FLOAT64": np.float64,
    "INT64": np.int64,
}

#: Data type → bits of one element, of types that no reader here has yet as well.
BITS = {name: 8 * np.dtype(dtype).itemsize for name, dtype in NUMPY_TYPES.items()}
BITS |= {name: bits for name, (_, bits, _) in PACKED.items()} | {"BFLOAT16": 16, "FLOAT8E4M3FN": 8, "FLOAT8E5M2": 8}

#: In the place of a weights file's name: the constant is one of those that its program hands over, the offset says which.
OUT_OF_BAND = "@specification"

#: NumPy types that this runtime does not compute in, because torch hardly does either → what they become.
_COMPUTED_AS: dict[np.dtype[Any], torch.dtype] = {
    np.dtype(np.float16): torch.float32,
    np.dtype(np.float64): torch.float32,
    np.dtype(np.uint16): torch.int32,
    np.dtype(np.uint32): torch.int64,
}

#: Kind of NumPy type → fields of a TensorValue that may hold it.
_FIELDS = {"b": ("bools",), "i": ("ints", "longInts", "bytes"), "u": ("ints", "longInts", "bytes"), "f": ("floats", "doubles", "bytes")}


@cache
def data_types() -> dict[int, str]:
    """Number in the protobuf → name of every data type that MIL knows."""
    from coremltools.proto import MIL_pb2

    return {number: name for name, number in MIL_pb2.DataType.items()}


def type_name(value_type: "ValueType") -> str:
    """Data type of a tensor (``FLOAT16``, ``INT32`` …), or the kind of another value (``listType`` …)."""
    kind = value_type.WhichOneof("type")
    if kind != "tensorType":
        return str(kind)
    number = value_type.tensorType.dataType
    return data_types().get(number, f"number {number}")


def shape_of(value_type: "ValueType") -> tuple[int, ...]:
    """Shape of a tensor type; -1 where a dimension is unknown."""
    dimensions = value_type.tensorType.dimensions
    return tuple(int(d.constant.size) if d.WhichOneof("dimension") == "constant" else -1 for d in dimensions)


def check_size(shape: tuple[int, ...], what: str) -> None:
    """Refuse a shape that no memory holds; unknown dimensions (-1) count as one.

    Raises:
        MilError: more than ``LARGEST`` elements.
    """
    if math.prod(max(length, 1) for length in shape) > LARGEST:
        # A length is unsigned in the file; people write the huge ones as negative numbers.
        shown = "×".join(str(length - 2**64 if length >= 2**63 else length) for length in shape)
        raise MilError(f"{what} has the shape {shown}, the limit is {LARGEST} elements: {DAMAGED}")


class Constants:
    """Reads constants of one program; every weights file is checked once.

    Args:
        folder: what ``@model_path`` stands for.
        arrays: constants that come with the program itself, see ``OUT_OF_BAND``.
    """

    def __init__(self, folder: Path, arrays: Sequence[NDArray[Any]] = ()) -> None:
        self._folder = folder
        self._arrays = arrays
        self._blobs: dict[str, BlobFile] = {}

    def read(self, value: "Value", what: str = "a constant") -> Constant:
        """One constant, as operators take it: float16 and float64 become float32, uint16 int32, uint32 int64.

        Args:
            value: the protobuf.
            what: its name in messages.

        Raises:
            MilError: an unsupported type, values that do not fill the declared shape, or a weights file that cannot be read.
        """
        storage = value.WhichOneof("value")
        if storage == "immediateValue":
            immediate = value.immediateValue
            kind = immediate.WhichOneof("value")
            if kind in ("tuple", "list"):
                return tuple(self.read(item, what) for item in getattr(immediate, kind).values)
            if kind != "tensor":
                raise MilError(f"{what} is of kind '{kind or 'none'}', which is not supported: only tensors, tuples and lists are")
        elif storage != "blobFileValue":
            raise MilError(f"{what} has no value: export the package again")
        name, shape = type_name(value.type), shape_of(value.type)
        if -1 in shape:
            raise MilError(f"{what} has an unknown dimension: export the package again")
        check_size(shape, what)
        if name == "STRING" and storage == "immediateValue":
            strings = tuple(value.immediateValue.tensor.strings.values)
            _check_count(len(strings), math.prod(shape), what)
            return strings if shape else strings[0]
        if name not in NUMPY_TYPES:
            raise MilError(f"{what} has data type {name}, which this runtime cannot read: export with float or integer constants")
        if storage == "blobFileValue":
            array = self._stored(value, name, math.prod(shape), what)
        else:
            array = _immediate(value.immediateValue.tensor, name, math.prod(shape), what)
        if name == "BOOL" and not shape:
            return bool(array[0])
        return to_torch(array.reshape(shape))

    def check(self, value: "Value", what: str = "a constant") -> None:
        """Make sure that the weights file holds a constant, without reading it; one that stands in the specification passes.

        Raises:
            MilError: the file is missing or damaged, or holds something else there.
        """
        if value.WhichOneof("value") == "blobFileValue" and not self._is_handed_over(value):
            count = math.prod(shape_of(value.type))
            self._blob(value, what).find(int(value.blobFileValue.offset), type_name(value.type), count)

    def _stored(self, value: "Value", name: str, count: int, what: str) -> NDArray[np.generic]:
        if self._is_handed_over(value):
            return self._arrays[value.blobFileValue.offset].reshape(-1)
        return self._blob(value, what).read(int(value.blobFileValue.offset), name, count)

    def _is_handed_over(self, value: "Value") -> bool:
        return value.blobFileValue.fileName == OUT_OF_BAND and value.blobFileValue.offset < len(self._arrays)

    def _blob(self, value: "Value", what: str) -> BlobFile:
        """The file that a constant is in."""
        file_name = value.blobFileValue.fileName
        if file_name not in self._blobs:
            path = file_within(self._folder, file_name.removeprefix("@model_path/"), f"the weights file {file_name[:80]!r} of {what}")
            self._blobs[file_name] = BlobFile(path)
        return self._blobs[file_name]


def to_torch(array: NDArray[np.generic]) -> torch.Tensor:
    """The array itself as a tensor, or its one conversion if torch has no arithmetic for its type.

    Args:
        array: contiguous and writable; the tensor shares its memory where no conversion is needed.
    """
    tensor = torch.from_numpy(array)
    computed = _COMPUTED_AS.get(array.dtype)
    return tensor if computed is None else tensor.to(computed)


def _immediate(tensor: "TensorValue", name: str, count: int, what: str) -> NDArray[np.generic]:
    """The elements that stand in the specification itself."""
    dtype = np.dtype(NUMPY_TYPES[name])
    field = tensor.WhichOneof("value")
    if field is None:
        _check_count(0, count, what)
        return np.zeros(0, dtype)
    if field not in _FIELDS[dtype.kind]:
        raise MilError(f"{what} is declared as {name} but holds {field}: export the package again")
    if field == "bytes":
        return _from_bytes(bytearray(tensor.bytes.values), name, count, what)
    array = np.array(getattr(tensor, field).values)
    _check_count(array.size, count, what)
    if array.size and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if array.min() < bounds.min or array.max() > bounds.max:
            raise MilError(f"{what} has values from {array.min()} to {array.max()}, which {name} cannot hold: export the package again")
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)


def _from_bytes(raw: bytearray, name: str, count: int, what: str) -> NDArray[np.generic]:
    dtype = np.dtype(NUMPY_TYPES[name])
    size = math.ceil(BITS[name] * count / 8)
    if len(raw) != size:
        raise MilError(f"{what} holds {len(raw)} bytes where its shape takes {size}: export the package again")
    if name in PACKED:
        return unpack(np.frombuffer(raw, np.uint8), BITS[name], PACKED[name][2], count)
    return np.frombuffer(raw, dtype)


def _check_count(count: int, declared: int, what: str) -> None:
    if count != declared:
        raise MilError(f"{what} holds {count} elements where its shape takes {declared}: export the package again")
